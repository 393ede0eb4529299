"""The environment variables of a worker.

They are the user's own, without those that would mix two interpreters or disturb the import, and
with a few that keep frameworks quiet.  None of them changes a result: threads, oneDNN, TF32 and the
choice of device are left as the user has them, except where an execution path is defined by them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from convdiff.backends import capacity
from convdiff.backends.user_folders import cache_folder
from convdiff.execution_paths import ExecutionPath

# Not passed on to another interpreter: it would find this one's modules, a numpy that is built for
# another version of Python among them.
INTERPRETER_VARIABLES = (
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONUSERBASE",
    "__PYVENV_LAUNCHER__",
    "PYTHONEXECUTABLE",
)
# Never passed on: a warning during a framework's import must not end it (PYTHONWARNINGS=error), nor
# may the process stay open after its end (PYTHONINSPECT).
DROPPED_VARIABLES = (
    "PYTHONWARNINGS",
    "PYTHONINSPECT",
    "PYTHONSTARTUP",
    "PYTHONPROFILEIMPORTTIME",
    "PYTHONVERBOSE",
)
DEFAULTS = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "PYTHONIOENCODING": "utf-8:backslashreplace",
    # Several frameworks share one accelerator, so none may reserve all of its memory.
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
}


def worker_variables(python: Path, required: tuple[tuple[str, str], ...] = ()) -> dict[str, str]:
    """All variables for a worker of that interpreter.

    What the user has set wins over the defaults, and `required` (those of an execution path) wins
    over what the user has set.
    """
    dropped = {
        *DROPPED_VARIABLES,
        *(INTERPRETER_VARIABLES if python != Path(sys.executable) else ()),
    }
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    added = dict(required)
    flags = ",".join(filter(None, [_theano_flags(), added.pop("THEANO_FLAGS", "")]))
    return {**DEFAULTS, **kept, **added, "THEANO_FLAGS": flags}


def path_variables(path: ExecutionPath) -> tuple[tuple[str, str], ...]:
    """The variables that the process of an execution path needs.

    On a machine with an accelerator they include those that hide it from a path on the processor.
    """
    return path.variables + (path.hide_accelerator if capacity.has_accelerator() else ())


def _theano_flags() -> str:
    """THEANO_FLAGS: no BLAS to link, compiled modules in convdiff's cache, then the user's flags.

    Later flags win, so the user's come last.  A .theanorc would lose against all of these flags, so
    a setting that occurs in one is left out here.
    """
    user_flags = os.environ.get("THEANO_FLAGS", "")
    settings = user_flags
    for file in os.environ.get("THEANORC", "~/.theanorc").split(os.pathsep):
        try:
            settings += Path(file).expanduser().read_text()
        except (OSError, ValueError, RuntimeError):
            continue
    flags = [user_flags] if user_flags else []
    if "compiledir" not in settings:
        flags.insert(0, f"base_compiledir={cache_folder() / 'theano'}")
    if "ldflags" not in settings:
        flags.insert(0, "blas__ldflags=")
    return ",".join(flags)
