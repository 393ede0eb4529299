"""Which interpreter a backend runs in, and the reason where there is none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from convdiff.backends.environments import all_environments, find_environment, has_module
from convdiff.backends.table import NAMES
from convdiff.errors import ConvdiffError


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def test_numpy_runs_in_the_running_interpreter() -> None:
    found = find_environment("numpy")
    assert (found.python, found.origin, found.reason) == (Path(sys.executable), "running", None)


def test_the_reason_says_what_provides_a_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convdiff.backends.environments.has_module", lambda name: False)
    assert [environment.name for environment in all_environments()] == list(NAMES)
    assert (
        find_environment("jax").reason
        == "jax is not installed; `convdiff backends install jax` provides it"
    )


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(ConvdiffError, match=r"found 'trch', expected one of .*did you mean torch"):
        find_environment("trch")
    with pytest.raises(ConvdiffError, match=r"'torch@1\.13'"):
        find_environment("torch@1.13")


def test_the_current_folder_provides_no_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fake_framework.py").write_text("")
    (tmp_path / "packages" / "bare_folder").mkdir(parents=True)
    for entry in ("", str(tmp_path)):
        monkeypatch.setattr(sys, "path", [entry, *sys.path])
        assert not has_module("fake_framework")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "packages"), *sys.path])
    assert not has_module("bare_folder") and has_module("numpy")
