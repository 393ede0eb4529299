"""The environment variables of a worker: what is kept, dropped and added."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from convdiff.backends.environment_variables import path_variables, worker_variables
from convdiff.execution_paths import ExecutionPath

HERE = Path(sys.executable)


@pytest.fixture(autouse=True)
def user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The variables of a user without settings for Theano."""
    for name, value in {
        "PYTHONPATH": "/mine",
        "PYTHONWARNINGS": "error",
        "TF_CPP_MIN_LOG_LEVEL": "0",
        "HOME": str(tmp_path),
        "OMP_NUM_THREADS": "3",
        "XDG_CACHE_HOME": "/cache",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("THEANO_FLAGS", "THEANORC"):
        monkeypatch.delenv(name, raising=False)


def test_the_users_variables_are_kept_except_those_that_disturb_an_import() -> None:
    own, other = worker_variables(HERE), worker_variables(Path("/other/python"))
    assert own["PYTHONPATH"] == "/mine" and "PYTHONPATH" not in other
    assert "PYTHONWARNINGS" not in own
    assert own["TF_CPP_MIN_LOG_LEVEL"] == "0" and own["OMP_NUM_THREADS"] == "3"


def test_theano_needs_no_blas_and_caches_in_convdiffs_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert (
        worker_variables(HERE)["THEANO_FLAGS"]
        == "blas__ldflags=,base_compiledir=/cache/convdiff/theano"
    )
    monkeypatch.setenv("THEANO_FLAGS", "floatX=float32,compiledir=/c")
    assert worker_variables(HERE)["THEANO_FLAGS"] == "blas__ldflags=,floatX=float32,compiledir=/c"
    (tmp_path / ".theanorc").write_text("[blas]\nldflags = -lopenblas\n")
    assert worker_variables(HERE)["THEANO_FLAGS"] == "floatX=float32,compiledir=/c"


def test_the_variables_of_a_path_win(monkeypatch: pytest.MonkeyPatch) -> None:
    required = (("OMP_NUM_THREADS", "1"), ("THEANO_FLAGS", "device=cuda"))
    variables = worker_variables(HERE, required)
    assert variables["OMP_NUM_THREADS"] == "1"
    assert variables["THEANO_FLAGS"].endswith(",device=cuda")
    path = ExecutionPath("jax", "cpu", "", variables=(("A", "1"),), hide_accelerator=(("B", "2"),))
    for present, names in ((False, ["A"]), (True, ["A", "B"])):
        monkeypatch.setattr("convdiff.backends.capacity.has_accelerator", lambda: present)  # noqa: B023
        assert [name for name, _ in path_variables(path)] == names
