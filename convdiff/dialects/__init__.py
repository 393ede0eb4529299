"""Dialects: from a `ConvSpec` to the code that a careful user of a framework would write for it.

The code is what convdiff runs in a worker and what it shows to users (`convdiff code`, and every
row of a report).  Therefore it is plain source text in the framework's own idiom, without helpers
of convdiff's and without steps that do nothing.  Nothing is run here, and no framework is imported.

From a spec to a script:

1. `write(name, spec, path)` picks the dialect.  Each framework has one module, NAME_dialect
   (`keras_dialect` and `theano_legacy` are execution paths of TensorFlow and Theano).  Its `write`
   brings the arrays to the framework's layout, flips the kernel, pads, calls the framework, and
   brings the output back to the user's layout.  Its `default` writes the framework's default call
   on the same arrays as they are (`run --no-align`).
2. `script` holds the `Script` that a dialect returns, the `ScriptBuilder` that collects its lines,
   and `Unsupported`, raised for a convolution that the framework cannot compute.
3. `expressions` makes small pieces of source text: tuples, indices, transpositions.
4. `numpy_steps` writes what a framework's call lacks (dilation, padding, cropping, a wider type) as
   numpy statements before the call.  `direct_equivalent` turns a transposed convolution into the
   direct one with the same output, for frameworks without a transposed one; `transposed` takes the
   wanted output from a framework's full transposed one.
5. `standalone_script` completes a script to one that loads the arrays and runs by itself.

A script finds the arrays `input`, `kernel` and perhaps `bias` in the user's layouts, and leaves its
result in `output`, in the user's output layout.  On small whole numbers its output is exactly the
reference's (tests/dialects/test_conformance.py).

An execution path (`convdiff.execution_paths`) adds a prelude of settings, wraps the framework's
function, moves the arrays to a device, or selects another `style` of writing the call.
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
from convdiff.dialects.script import Dialect, Script, Unsupported, framework_call
from convdiff.dialects.standalone_script import standalone_script
from convdiff.errors import one_of
from convdiff.execution_paths import DEFAULT_PATH, ExecutionPath
from convdiff.plugins import find_plugin, plugins
from convdiff.spec.conv_spec import ConvSpec

__all__ = [
    "DIALECTS",
    "ConvSpec",
    "Dialect",
    "Script",
    "Unsupported",
    "dialect_names",
    "framework_call",
    "standalone_script",
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


# The frameworks without a convolution of complex numbers, by dialect.
REAL_ONLY = {
    "tensorflow": "TensorFlow",
    "onnxruntime": "ONNX Runtime",
    "cudnn": "cuDNN",
    "theano": "Theano",
}


def dialect_names() -> list[str]:
    """The names of all dialects: those above, and those of other packages."""
    return [
        *DIALECTS,
        *(
            name
            for name, plugin in plugins().items()
            if name not in DIALECTS and not isinstance(plugin, str)
        ),
    ]


def write(name: str, spec: ConvSpec, path: ExecutionPath = DEFAULT_PATH) -> Script:
    """The code for `spec` in framework `name` through an execution path, with arrays aligned.

    Raises `Unsupported` where the framework cannot compute it, ConvdiffError for an unknown name.
    """
    _reject_complex(name, spec)
    return _dialect(name).write(spec, path)


def write_default(name: str, spec: ConvSpec, path: ExecutionPath = DEFAULT_PATH) -> Script:
    """The framework's default call on the same arrays: nothing is permuted or flipped.

    Same padding is what the framework itself means by it.  Raises as `write` does; also
    `Unsupported` for a path whose call differs from the default call.
    """
    _reject_complex(name, spec)
    return _dialect(name).default(spec, path)


def _reject_complex(name: str, spec: ConvSpec) -> None:
    """Raises `Unsupported` for complex numbers where a framework has no such convolution."""
    if spec.is_complex and name in REAL_ONLY:
        raise Unsupported(f"{REAL_ONLY[name]} has no convolution of complex numbers")


def _dialect(name: str) -> Dialect:
    if name in DIALECTS:
        return DIALECTS[name]
    plugin = find_plugin(name)
    if plugin is None:
        raise one_of("backend", name, dialect_names())
    dialect: Dialect = plugin.dialect
    return dialect
