"""Which environment a backend runs in, and what the user registers."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from convdiff.backends import BACKENDS, NAMES
from convdiff.backends.environments import add, all_environments, find, has_module, remove
from convdiff.backends.registry import data_folder, read
from convdiff.backends.environment_variables import worker_variables
from convdiff.errors import ConvdiffError


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data/convdiff"


@pytest.fixture
def torch_environment(tmp_path: Path) -> Path:
    """A virtual environment with a numpy and a torch that are nothing but names."""
    folder = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    for name in ("numpy", "torch"):
        (packages / name).mkdir()
        (packages / name / "__init__.py").write_text("__version__ = '1'\n")
    return folder


def test_the_registry() -> None:
    assert NAMES == (
        "numpy",
        "scipy",
        "torch",
        "tensorflow",
        "jax",
        "onnxruntime",
        "cudnn",
        "theano",
    )
    adapters = Path(sys.modules["convdiff.backends"].__path__[0]) / "adapters"
    assert sorted(f"{name}_adapter.py" for name in NAMES) == sorted(
        path.name for path in adapters.glob("*.py")
    )
    for row in BACKENDS:
        assert f'IMPORT = "{row.module}"' in (adapters / f"{row.name}_adapter.py").read_text()


def test_what_runs_elsewhere_is_python_3_7_and_stands_alone() -> None:
    folder = Path(sys.modules["convdiff.backends"].__path__[0])
    for file in (folder / "worker.py", *folder.glob("adapters/*.py")):
        tree = ast.parse(file.read_text(), feature_version=(3, 7))
        for node in ast.walk(tree):
            names = (
                [node.module]
                if isinstance(node, ast.ImportFrom)
                else [a.name for a in getattr(node, "names", ())]
            )
            if isinstance(node, ast.Import | ast.ImportFrom):
                assert all(
                    name in {*sys.stdlib_module_names, "numpy", "collections.abc"} for name in names
                ), (file, names)
            assert not isinstance(node, ast.NamedExpr)


def test_numpy_runs_here() -> None:
    found = find("numpy")
    assert (found.python, found.origin, found.reason) == (Path(sys.executable), "running", None)
    with pytest.raises(ConvdiffError, match="convdiff's own interpreter"):
        add("numpy", sys.executable)


def test_what_is_not_there_says_what_provides_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convdiff.backends.environments.has_module", lambda name: False)
    assert [e.name for e in all_environments()] == list(NAMES)
    assert find("jax").reason == "jax is not installed; `convdiff backends install jax` provides it"
    with pytest.raises(ConvdiffError, match=r"found 'trch', expected one of .*did you mean torch"):
        find("trch")
    with pytest.raises(ConvdiffError, match=r"'torch@1\.13'"):
        find("torch@1.13")


def test_add_find_remove(torch_environment: Path, data: Path) -> None:
    python = torch_environment / "bin/python"
    assert add("torch", torch_environment).startswith(f"torch: {python} (Python 3.")
    add("torch@1.13", python)
    assert find("torch").python == python and find("torch").origin == "registered"  # a link, kept
    assert [e.name for e in all_environments()] == [
        "numpy",
        "scipy",
        "torch",
        "torch@1.13",
        "tensorflow",
        "jax",
        "onnxruntime",
        "cudnn",
        "theano",
    ]
    assert (find("torch@1.13").backend, json.loads((data / "environments.json").read_text())) == (
        "torch",
        {"torch": str(python), "torch@1.13": str(python)},
    )
    assert "stays as it is" in remove("torch") and python.exists()
    assert find("torch").origin != "registered"
    python.unlink()
    gone = find("torch@1.13")
    assert not gone.usable and str(gone.reason).startswith(
        f"its registered interpreter {python} is gone"
    )
    remove("torch@1.13")
    for name in ("torch@1.13", "torch"):
        with pytest.raises(ConvdiffError, match="nothing is registered or installed"):
            remove(name)


def test_add_refuses(torch_environment: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.write_text("#!/bin/sh\necho '[[2, 7, 18], true, true]'\n")
    odd = tmp_path / "odd"
    odd.write_text("#!/bin/sh\necho hello\n")
    for file in (old, odd):
        file.chmod(0o755)
    for name, python, message in (
        (
            "tensorflow",
            torch_environment,
            "has no module tensorflow; `.* -m pip install tensorflow-cpu`",
        ),
        ("torch", tmp_path / "nowhere", "expected an interpreter or the folder"),
        ("torch", tmp_path, "expected an interpreter"),
        ("torch", old, r"found Python 2.7.18, expected 3.7 or newer"),
        ("torch", odd, "does not run as a Python interpreter"),
        ("torch@1/13", torch_environment, "expected torch or torch@"),
        ("pytorch", torch_environment, "did you mean torch"),
    ):
        with pytest.raises(ConvdiffError, match=message):
            add(name, python)
    assert read() == {}


def test_a_broken_file_is_named(data: Path) -> None:
    data.mkdir(parents=True)
    for text in ("{", "[1]"):
        (data / "environments.json").write_text(text)
        with pytest.raises(ConvdiffError, match=r"environments.json: cannot be read"):
            find("torch")


def test_registrations_made_at_once_are_all_kept(torch_environment: Path) -> None:
    code = (
        "import sys; from convdiff.backends.environments import add; add(sys.argv[1], sys.argv[2])"
    )
    several = [
        subprocess.Popen(
            [sys.executable, "-c", code, f"torch@{i}", torch_environment],
            env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        )
        for i in range(6)
    ]
    assert [process.wait() for process in several] == [0] * 6
    assert sorted(read()) == [f"torch@{i}" for i in range(6)]
    assert sorted(path.name for path in data_folder().iterdir()) == [
        "environments.json",
        "environments.lock",
    ]


def test_the_current_folder_provides_nothing(
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


def test_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
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
    own, other = variables(Path(sys.executable)), variables(Path("/other/python"))
    assert own["PYTHONPATH"] == "/mine" and "PYTHONPATH" not in other
    assert (
        "PYTHONWARNINGS" not in own
        and own["TF_CPP_MIN_LOG_LEVEL"] == "0"
        and own["OMP_NUM_THREADS"] == "3"
    )
    assert own["THEANO_FLAGS"] == "blas__ldflags=,base_compiledir=/cache/convdiff/theano"
    monkeypatch.setenv("THEANO_FLAGS", "floatX=float32,compiledir=/c")
    assert (
        variables(Path(sys.executable))["THEANO_FLAGS"]
        == "blas__ldflags=,floatX=float32,compiledir=/c"
    )
    (tmp_path / ".theanorc").write_text("[blas]\nldflags = -lopenblas\n")
    assert variables(Path(sys.executable))["THEANO_FLAGS"] == "floatX=float32,compiledir=/c"
