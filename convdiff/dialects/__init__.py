"""From a `ConvSpec` to the code that a careful user of a framework would write for it.  Pure:
nothing is run here.
"""

from __future__ import annotations

from convdiff.dialects import (
    cudnn_dialect,
    jax_dialect,
    numpy_dialect,
    onnxruntime_dialect,
    scipy_dialect,
    tensorflow_dialect,
    theano_dialect,
    torch_dialect,
)
from convdiff.dialects.script import Dialect, Script, Unsupported, own_call
from convdiff.dialects.standalone import standalone
from convdiff.errors import one_of
from convdiff.execution_paths import PLAIN, ExecutionPath
from convdiff.plugins import plugin, plugins
from convdiff.spec.conv_spec import ConvSpec

__all__ = [
    "DIALECTS",
    "Dialect",
    "Script",
    "Unsupported",
    "known",
    "own_call",
    "standalone",
    "write",
    "write_default",
]

DIALECTS: dict[str, Dialect] = {
    "numpy": numpy_dialect.DIALECT,
    "scipy": scipy_dialect.DIALECT,
    "torch": torch_dialect.DIALECT,
    "tensorflow": tensorflow_dialect.DIALECT,
    "jax": jax_dialect.DIALECT,
    "onnxruntime": onnxruntime_dialect.DIALECT,
    "cudnn": cudnn_dialect.DIALECT,
    "theano": theano_dialect.DIALECT,
}


def known() -> list[str]:
    """The names of all dialects: those above, and those of other packages."""
    return [
        *DIALECTS,
        *(
            name
            for name, found in plugins().items()
            if name not in DIALECTS and not isinstance(found, str)
        ),
    ]


def write(name: str, spec: ConvSpec, path: ExecutionPath = PLAIN) -> Script:
    """The code that does `spec` in framework `name` through one of its paths, everything aligned.

    Raises `Unsupported` where the framework cannot do it, ConvdiffError for an unknown name.
    """
    return _dialect(name).write(spec, path)


def write_default(name: str, spec: ConvSpec, path: ExecutionPath = PLAIN) -> Script:
    """The framework's own default call on the same arrays: nothing permuted or flipped, its own
    idea of same padding.

    Raises as `write` does; `Unsupported` too for a path that is another call than that.
    """
    return _dialect(name).default(spec, path)


def _dialect(name: str) -> Dialect:
    if name in DIALECTS:
        return DIALECTS[name]
    added = plugin(name)
    if added is None:
        raise one_of("backend", name, known())
    dialect: Dialect = added.dialect
    return dialect
