"""What another process did to Theano's cache of compiled modules, which all share, costs no row."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from convdiff.backends.adapters import theano_adapter
from convdiff.backends.worker import Worker

CLEARED = FileNotFoundError(
    2, "No such file or directory", "/home/u/.cache/convdiff/theano/compiledir_Linux/tmpx/key.pkl"
)


def tried(errors: list[Exception]) -> str:
    def run() -> str:
        if errors:
            raise errors.pop(0)
        return "done"

    return Worker.patiently(SimpleNamespace(adapter=theano_adapter), run)  # type: ignore[arg-type]


def test_a_module_cleared_away_is_tried_again() -> None:
    assert tried([CLEARED]) == "done"


def test_any_other_error_is_the_code_s_own() -> None:
    with pytest.raises(FileNotFoundError, match=r"weights\.npy"):
        tried([FileNotFoundError(2, "No such file or directory", "weights.npy")])
