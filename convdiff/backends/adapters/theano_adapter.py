"""Theano in a worker: Theano 1.0 and Theano-PyMC."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

IMPORT = "theano"


def names(theano: Any) -> dict[str, Any]:
    """theano and T, with T.nnet loaded."""
    import importlib

    importlib.import_module("theano.tensor.nnet")
    return {"theano": theano, "T": importlib.import_module("theano.tensor")}


def devices(theano: Any) -> list[str]:
    """As configured."""
    return [str(theano.config.device)]


def path(theano: Any) -> str:
    """CorrMM where there is a compiler, else its Python stand-in; cuDNN on a GPU."""
    if str(theano.config.device).startswith("cuda"):
        return "gpu/dnn"
    return "cpu/corrmm" if theano.config.cxx else "cpu/python"


def missing(theano: Any) -> dict[str, str]:
    """A compiler; gpuarray."""
    import importlib

    lacks = {}
    if not theano.config.cxx:
        lacks["cxx"] = "Theano finds no C++ compiler"
    try:
        importlib.import_module("pygpu")
    except Exception as error:  # also one that is there and broken
        lacks["gpuarray"] = f"pygpu cannot be imported ({error})"
    return lacks


def to_numpy(theano: Any, value: Any) -> Any:
    """A shared variable's value; any other variable is compiled and evaluated."""
    if hasattr(value, "get_value"):
        return value.get_value()
    return value.eval() if hasattr(value, "owner") and hasattr(value, "eval") else None


def settings(theano: Any) -> Callable[[], object]:
    """The default type."""
    kept = theano.config.floatX

    def restore() -> None:
        theano.config.floatX = kept

    return restore


def transient(error: Exception) -> bool:
    """Whether another process cleared a compiled module away while Theano looked through its cache,
    which they share.
    """
    return isinstance(error, FileNotFoundError) and "compiledir" in str(error)
