"""Failures that other processes cause in Theano are tried again, any other is the code's own."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from convdiff.backends import worker
from convdiff.backends.adapters import theano_adapter
from convdiff.backends.worker import Worker

COMPILEDIR = "/home/u/.cache/convdiff/theano/compiledir_Linux/tmpx/key.pkl"
TRANSIENT = {
    "a module that was deleted": FileNotFoundError(2, "No such file or directory", COMPILEDIR),
    "a compiler that was killed": Exception(
        "Compilation failed (return status=1): g++: fatal error: Killed signal terminated "
        "program cc1plus. compilation terminated.. "
    ),
    "a compiler without memory": Exception(
        "Compilation failed (return status=1): cc1plus: out of memory allocating 65536 bytes. "
    ),
    "no memory for a process": OSError(12, "Cannot allocate memory"),
}
LASTING = {
    "a file of the user's": FileNotFoundError(2, "No such file or directory", "weights.npy"),
    "an error in generated code": Exception(
        "Compilation failed (return status=1): mod.cpp:1: error: expected unqualified-id. "
    ),
    "an error of Python": ValueError("Killed"),
}


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "RETRY_PAUSE", 0)


def run_after(errors: list[Exception]) -> str:
    """The result of code that first raises these errors, one in each try."""

    def run() -> str:
        if errors:
            raise errors.pop(0)
        return "done"

    return Worker.run_with_retries(SimpleNamespace(adapter=theano_adapter), run)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", TRANSIENT)
def test_a_transient_failure_is_tried_again(name: str) -> None:
    assert run_after([TRANSIENT[name]] * worker.TRANSIENT_RETRIES) == "done"


def test_the_last_try_raises() -> None:
    with pytest.raises(OSError, match="Cannot allocate memory"):
        run_after([TRANSIENT["no memory for a process"]] * (worker.TRANSIENT_RETRIES + 1))


@pytest.mark.parametrize("name", LASTING)
def test_any_other_failure_is_raised_at_once(name: str) -> None:
    errors = [LASTING[name]] * 2
    with pytest.raises(type(LASTING[name])):
        run_after(errors)
    assert len(errors) == 1
