"""The environment variables of a worker: the user's own, less what would mix two interpreters, and
quiet.

Nothing here changes a number: threads, oneDNN, TF32 and the choice of devices are left as the user
has them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from convdiff.backends import capacity
from convdiff.execution_paths import ExecutionPath

# Another interpreter's modules: a numpy built for this one would be found first by that one.
FOREIGN = ("PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "__PYVENV_LAUNCHER__", "PYTHONEXECUTABLE")
# A framework warns while it is imported: that must neither end it (=error) nor keep the process
# open (inspect).
UNWANTED = (
    "PYTHONWARNINGS",
    "PYTHONINSPECT",
    "PYTHONSTARTUP",
    "PYTHONPROFILEIMPORTTIME",
    "PYTHONVERBOSE",
)
QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "PYTHONIOENCODING": "utf-8:backslashreplace",
    # Several frameworks share one accelerator, so none may take all of its memory at once.
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
}


def variables(python: Path, also: tuple[tuple[str, str], ...] = ()) -> dict[str, str]:
    """The variables for a worker of that interpreter; what the user set stands, but for what a path
    needs (`also`).
    """
    drop = {*UNWANTED, *(FOREIGN if python != Path(sys.executable) else ())}
    kept = {name: value for name, value in os.environ.items() if name not in drop}
    needed = dict(also)
    flags = ",".join(filter(None, [_theano_flags(), needed.pop("THEANO_FLAGS", "")]))
    return {**QUIET, **kept, **needed, "THEANO_FLAGS": flags}


def of_path(path: ExecutionPath) -> tuple[tuple[str, str], ...]:
    """What the process of a path has set: its own, and on a machine with an accelerator what keeps
    it off that.
    """
    return path.variables + (path.off if capacity.accelerator() else ())


def _theano_flags() -> str:
    """Theano without a BLAS to link and with compiled code in convdiff's cache, unless the user
    says otherwise.

    The user's flags come last, where they win; a theanorc would lose against these flags, so what
    it mentions is left out.
    """
    from platformdirs import user_cache_path

    own = os.environ.get("THEANO_FLAGS", "")
    said = own
    for file in os.environ.get("THEANORC", "~/.theanorc").split(os.pathsep):
        try:
            said += Path(file).expanduser().read_text()
        except (OSError, ValueError, RuntimeError):
            continue
    flags = [own] if own else []
    if "compiledir" not in said:
        flags.insert(
            0, f"base_compiledir={user_cache_path('convdiff', appauthor=False) / 'theano'}"
        )
    if "ldflags" not in said:
        flags.insert(0, "blas__ldflags=")
    return ",".join(flags)
