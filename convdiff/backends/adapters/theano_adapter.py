"""Adapter for Theano 1.0 and Theano-PyMC."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

IMPORT = "theano"


def names(theano: Any) -> dict[str, Any]:
    """theano, and T with T.nnet loaded."""
    import importlib

    importlib.import_module("theano.tensor.nnet")
    return {"theano": theano, "T": importlib.import_module("theano.tensor")}


def devices(theano: Any) -> list[str]:
    """The configured device."""
    return [str(theano.config.device)]


def path(theano: Any) -> str:
    """cuDNN on a GPU; on the processor CorrMM, or its Python version without a C++ compiler."""
    if str(theano.config.device).startswith("cuda"):
        return "gpu/dnn"
    return "cpu/corrmm" if theano.config.cxx else "cpu/python"


def missing(theano: Any) -> dict[str, str]:
    """The needs cxx (a C++ compiler) and gpuarray, where they are not met."""
    import importlib

    reasons = {}
    if not theano.config.cxx:
        reasons["cxx"] = "Theano finds no C++ compiler"
    try:
        importlib.import_module("pygpu")
    except Exception as error:  # an installed but broken one may raise anything
        reasons["gpuarray"] = f"pygpu cannot be imported ({error})"
    return reasons


def to_numpy(theano: Any, value: Any) -> Any:
    """The value of a shared variable; any other variable is compiled and evaluated."""
    if hasattr(value, "get_value"):
        return value.get_value()
    return value.eval() if hasattr(value, "owner") and hasattr(value, "eval") else None


def settings(theano: Any) -> Callable[[], object]:
    """Restores the default floating-point type."""
    kept = theano.config.floatX

    def restore() -> None:
        theano.config.floatX = kept

    return restore


# What the compiler or the operating system says where memory is short.
MEMORY_SHORTAGE = ("Killed", "Cannot allocate memory", "memory exhausted", "out of memory")


def transient(error: Exception) -> bool:
    """Whether other processes are to blame, and another try may succeed.

    They may have deleted a compiled module while Theano searched the cache that all share, or left
    so little memory that the compiler was killed.
    """
    text = str(error)
    if isinstance(error, FileNotFoundError):
        return "compiledir" in text
    compiling = "Compilation failed" in text or isinstance(error, (OSError, ImportError))
    return compiling and any(reason in text for reason in MEMORY_SHORTAGE)
