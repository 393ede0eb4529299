"""`--backend NAME:PATH` and `--paths all`: a row for every path that is there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from convdiff.execution_paths import _JAX_NO_GPU, PATHS, ExecutionPath, built_in_paths
from tests.cli.conftest import Invoke
from tests.dialects.conftest import environment


def rows(output: str) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in json.loads(output)["rows"]}


def test_a_path_is_a_row_with_its_own_code(invoke: Invoke) -> None:
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
    found = rows(result.stdout)
    assert result.exit_code == 0 and list(found) == ["torch", "torch:cpu/native"]
    native = found["torch:cpu/native"]
    assert (native["backend"], native["path"], native["status"]) == ("torch", "cpu/native", "ok")
    assert (
        "torch.backends.mkldnn.enabled = False" in native["code"]
        and "mkldnn" not in found["torch"]["code"]
    )
    assert (
        "torch.backends.mkldnn.enabled = False"
        in invoke("code", "x.npy", "w.npy", "--for", "torch:cpu/native").stdout
    )


def test_all_paths_of_this_machine(invoke: Invoke) -> None:
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
    found = rows(result.stdout)
    own = found["jax"]["path"]
    here = [
        path.name
        for path in built_in_paths("jax")
        if path.name.startswith(own) and path.name != own and not path.dtypes
    ]
    assert list(found) == ["jax", *(f"jax:{name}" for name in here), "numpy"]
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
    assert f"jax:{own}/float32-sums" in rows(narrow.stdout)
    assert {row["status"] for row in found.values()} <= {"ok", "unsupported"}


def test_one_that_is_not_there_is_a_row_with_its_reason(invoke: Invoke) -> None:
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
    ("option", "name", "said"),
    [
        (
            "--backend",
            "torch:cpu/natve",
            "path of torch: found 'cpu/natve', expected one of cpu/channels_last, ",
        ),
        ("--backend", "torhc:cpu", "--backend: found 'torhc', expected one of "),
        ("--backend", "none:cpu", "--backend: found 'none:cpu', expected none alone"),
        ("--require", "numpy:cpu/fast", "path of numpy: found 'cpu/fast'"),
    ],
)
def test_a_path_that_is_none(option: str, name: str, said: str, invoke: Invoke) -> None:
    result = invoke("run", "x.npy", "w.npy", option, name)
    assert result.exit_code == 2 and said in result.stderr


def test_code_sets_what_a_path_needs_before_the_import(invoke: Invoke) -> None:
    text = invoke("code", "x.npy", "w.npy", "--for", "tensorflow:cpu/native").stdout
    assert text.index('os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"') < text.index("import tensorflow")


def test_a_processor_s_path_keeps_off_an_accelerator(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine that seems to have one, what computes on it by default has a process of its own
    that sees none.
    """
    environment("jax")
    alone = invoke("code", "x.npy", "w.npy", "--for", "jax:cpu/high").stdout
    monkeypatch.setattr("convdiff.backends.capacity.ACCELERATOR_DEVICES", ("x.npy",))
    beside = invoke("code", "x.npy", "w.npy", "--for", "jax:cpu/high").stdout
    assert "JAX_PLATFORMS" not in alone
    assert beside.index('os.environ["JAX_PLATFORMS"] = "cpu"') < beside.index("import jax")
    seen = "jax.config.jax_platforms == 'cpu' and np.ones(1)"
    monkeypatch.setattr(
        "convdiff.execution_paths.PATHS",
        (
            *PATHS,
            ExecutionPath(
                "jax",
                "cpu/seen",
                "what it sees",
                setup=(f"assert {seen}",),
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
