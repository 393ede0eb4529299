"""`convdiff run --backend NAME:PATH` and `--paths all`: a row for every available path."""

from __future__ import annotations

import json
from typing import Any

import pytest

from convdiff.execution_paths import _JAX_NO_GPU, PATHS, ExecutionPath, built_in_paths
from tests.cli.conftest import Invoke
from tests.dialects.conftest import environment


def rows(output: str) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in json.loads(output)["rows"]}


def test_a_path_has_a_row_with_code_of_its_own(invoke: Invoke) -> None:
    environment("torch")
    result = invoke(
        "run",
        "x.npy",
        "w.npy",
        "--backend",
        "torch",
        "--backend",
        "torch:cpu/native",
        "--format",
        "json",
    )
    by_name = rows(result.stdout)
    assert result.exit_code == 0 and list(by_name) == ["torch", "torch:cpu/native"]
    native = by_name["torch:cpu/native"]
    assert (native["backend"], native["path"], native["status"]) == ("torch", "cpu/native", "ok")
    assert (
        "torch.backends.mkldnn.enabled = False" in native["code"]
        and "mkldnn" not in by_name["torch"]["code"]
    )
    assert (
        "torch.backends.mkldnn.enabled = False"
        in invoke("code", "x.npy", "w.npy", "--for", "torch:cpu/native").stdout
    )


def test_paths_all_runs_every_path_of_this_machine(invoke: Invoke) -> None:
    environment("jax")
    result = invoke(
        "run",
        "x.npy",
        "w.npy",
        "--backend",
        "jax",
        "--backend",
        "numpy",
        "--paths",
        "all",
        "--format",
        "json",
    )
    by_name = rows(result.stdout)
    default = by_name["jax"]["path"]
    others = [
        path.name
        for path in built_in_paths("jax")
        if path.name.startswith(default) and path.name != default and not path.dtypes
    ]
    assert list(by_name) == ["jax", *(f"jax:{name}" for name in others), "numpy"]
    narrow = invoke(
        "run",
        "x.npy",
        "w.npy",
        "--backend",
        "jax",
        "--paths",
        "all",
        "--dtype",
        "float16",
        "--format",
        "json",
    )
    assert f"jax:{default}/float32-sums" in rows(narrow.stdout)
    assert {row["status"] for row in by_name.values()} <= {"ok", "unsupported"}


def test_an_unavailable_path_is_a_row_with_the_reason(invoke: Invoke) -> None:
    environment("torch")
    arguments = (
        "run",
        "x.npy",
        "w.npy",
        "--backend",
        "torch:mps",
        "--backend",
        "numpy",
        "--format",
        "json",
    )
    row = rows(invoke(*arguments).stdout)["torch:mps"]
    assert row["status"] == "unavailable" and row["message"].endswith(
        "it needs a Mac with Apple silicon"
    )
    assert invoke(*arguments, "--require", "torch:mps").exit_code == 2


@pytest.mark.parametrize(
    ("option", "name", "message"),
    [
        (
            "--backend",
            "torch:cpu/natve",
            "path of torch: found 'cpu/natve', expected one of cpu/channels_last, ",
        ),
        ("--backend", "torhc:cpu", "--backend: found 'torhc', expected one of "),
        ("--backend", "none:cpu", "--backend: found 'none:cpu', expected none; it has no paths"),
        ("--require", "numpy:cpu/fast", "path of numpy: found 'cpu/fast'"),
    ],
)
def test_an_unknown_path_is_an_error(option: str, name: str, message: str, invoke: Invoke) -> None:
    result = invoke("run", "x.npy", "w.npy", option, name)
    assert result.exit_code == 2 and message in result.stderr


def test_the_code_of_a_path_sets_environment_variables_before_the_import(invoke: Invoke) -> None:
    text = invoke("code", "x.npy", "w.npy", "--for", "tensorflow:cpu/native").stdout
    assert text.index('os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"') < text.index("import tensorflow")


def test_a_cpu_path_hides_an_accelerator(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    """A framework that would use the accelerator by default gets a process that does not see it."""
    environment("jax")
    without = invoke("code", "x.npy", "w.npy", "--for", "jax:cpu/high").stdout
    monkeypatch.setattr("convdiff.backends.capacity.ACCELERATOR_DEVICES", ("x.npy",))
    with_device = invoke("code", "x.npy", "w.npy", "--for", "jax:cpu/high").stdout
    assert "JAX_PLATFORMS" not in without
    assert with_device.index('os.environ["JAX_PLATFORMS"] = "cpu"') < with_device.index(
        "import jax"
    )
    sees_cpu_only = "jax.config.jax_platforms == 'cpu' and np.ones(1)"
    monkeypatch.setattr(
        "convdiff.execution_paths.PATHS",
        (
            *PATHS,
            ExecutionPath(
                "jax",
                "cpu/seen",
                "what it sees",
                setup=(f"assert {sees_cpu_only}",),
                hide_accelerator=_JAX_NO_GPU,
            ),
        ),
    )
    result = invoke(
        "run",
        "x.npy",
        "w.npy",
        "--backend",
        "jax:cpu/seen",
        "--backend",
        "jax:cpu/high",
        "--format",
        "json",
    )
    assert {name: row["status"] for name, row in rows(result.stdout).items()} == {
        "jax:cpu/seen": "ok",
        "jax:cpu/high": "ok",
    }
