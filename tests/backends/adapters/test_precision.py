"""Which settings in force lower the precision, and the code that switches them off."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from convdiff.backends.fleet import Fleet, Job
from convdiff.backends.process import HERE
from convdiff.backends.worker import load_file
from convdiff.cli.main import group
from tests.backends.support import ARRAYS, PATIENCE, environment

BF16 = 'torch.backends.mkldnn.conv.fp32_precision = "bf16"'


def test_a_setting_is_reported_for_its_job_and_not_for_the_next() -> None:
    with Fleet([environment("torch")], timeout=PATIENCE) as fleet:
        jobs = [
            Job(
                "set", "backend", "torch", f"{BF16}\noutput = input", "body", path="cpu/onednn-bf16"
            ),
            Job("unset", "backend", "torch", "output = input", "body"),
        ]
        answers = {answer.name: answer for answer in fleet.run(jobs, ARRAYS)}
    assert answers["set"].precision == (("bf16", BF16, BF16.replace("bf16", "ieee")),)
    assert BF16 in answers["set"].aligned
    assert answers["unset"].precision == ()


def test_a_setting_for_float32_is_not_reported_for_other_types() -> None:
    with Fleet([environment("torch")], timeout=PATIENCE) as fleet:
        narrow = Job(
            "narrow",
            "backend",
            "torch",
            f"{BF16}\noutput = input",
            "body",
            path="cpu/onednn-bf16",
            dtype="float16",
        )
        (answer,) = fleet.run([narrow], ARRAYS)
    assert answer.precision == ()


def test_the_report_names_the_setting_and_how_to_switch_it_off(tmp_path: Path) -> None:
    """The call rounds as oneDNN does on a processor with bfloat16 arithmetic."""
    environment("torch")
    random = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", random.standard_normal((1, 16, 12, 12), dtype=np.float32))
    np.save(tmp_path / "w.npy", random.standard_normal((8, 16, 3, 3), dtype=np.float32))
    (tmp_path / "port.py").write_text(
        "import torch\ndef conv(input, kernel):\n"
        f"    {BF16}\n"
        "    x, w = (torch.tensor(array).bfloat16().float() for array in (input, kernel))\n"
        "    return torch.nn.functional.conv2d(x, w)\n"
    )
    arguments = [
        "run",
        f"{tmp_path}/x.npy",
        f"{tmp_path}/w.npy",
        "--backend",
        "none",
        "--call",
        f"torch={tmp_path}/port.py:conv",
    ]
    (row,) = json.loads(CliRunner().invoke(group, [*arguments, "--format", "json"]).stdout)["rows"]
    assert row["verdict"] == "reduced-precision"
    (finding,) = row["findings"]
    assert finding["edits"][0]["obtained"] == "bf16"
    assert finding["fix"] == {"torch": BF16.replace("bf16", "ieee") + "\n"}
    assert finding["notes"] == [
        f"caused by a setting: {BF16}; to switch it off: {BF16.replace('bf16', 'ieee')}"
    ]
    assert "to switch it off" in " ".join(CliRunner().invoke(group, arguments).stdout.split())


def test_a_flag_that_a_version_lacks_is_none() -> None:
    """torch 1.13 raises AssertionError for a flag that it does not know."""

    class Backend:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"Unknown attribute {name}")

    module: Any = load_file(str(HERE / "adapters/torch_adapter.py"), "test_torch_flags")
    assert (
        module.read_flag(SimpleNamespace(backends=Backend()), "backends.cuda.matmul.fp32_precision")
        is None
    )


# Stand-ins for the frameworks' modules on machines with accelerators.
def torch(capability: tuple[int, int], *, products: bool = False, **cudnn: Any) -> Any:
    return SimpleNamespace(
        cuda=SimpleNamespace(is_available=lambda: True, get_device_capability=lambda: capability),
        backends=SimpleNamespace(
            cudnn=SimpleNamespace(**cudnn),
            mkldnn=SimpleNamespace(),
            cuda=SimpleNamespace(matmul=SimpleNamespace(allow_tf32=products)),
        ),
    )


def jax(mode: str | None, backend: str = "cuda", capability: str = "9.0") -> Any:
    return SimpleNamespace(
        default_backend=lambda: backend,
        config=SimpleNamespace(jax_default_matmul_precision=mode),
        devices=lambda: [SimpleNamespace(compute_capability=capability)],
    )


def tensorflow(capability: tuple[int, int]) -> Any:
    experimental = SimpleNamespace(
        tensor_float_32_execution_enabled=lambda: True,
        get_device_details=lambda gpu: {"compute_capability": capability},
    )
    return SimpleNamespace(
        config=SimpleNamespace(
            experimental=experimental, list_physical_devices=lambda kind: ["gpu"]
        )
    )


@pytest.mark.parametrize(
    ("adapter", "framework", "path", "narrow"),
    [
        ("torch", torch((8, 0), allow_tf32=True), "cuda/cudnn", ["tf32"]),
        ("torch", torch((8, 0), allow_tf32=False), "cuda/cudnn-no-tf32", []),
        ("torch", torch((7, 5), allow_tf32=True), "cuda/cudnn", []),
        ("torch", torch((9, 0), allow_tf32=True), "cpu/onednn", []),
        ("torch", torch((9, 0), allow_tf32=True), "cuda/native", []),
        ("torch", torch((9, 0), allow_tf32=False, products=True), "cuda/native", ["tf32"]),
        ("torch", torch((9, 0), allow_tf32=True), "", ["tf32"]),
        ("tensorflow", tensorflow((8, 6)), "gpu/cudnn", ["tf32"]),
        ("tensorflow", tensorflow((7, 5)), "gpu/cudnn", []),
        ("tensorflow", tensorflow((8, 6)), "cpu/xla", []),
        ("jax", jax(None, capability="7.0"), "gpu", []),
        ("onnxruntime", None, "cuda", ["tf32"]),
        ("onnxruntime", None, "cuda/no-tf32", []),
        ("jax", jax(None), "gpu", ["tf32"]),
        ("jax", jax("highest"), "gpu/highest", []),
        ("jax", jax("bfloat16"), "gpu", ["bf16"]),
        ("jax", jax(None, "cpu"), "cpu", []),
    ],
)
def test_settings_that_lower_the_precision_of_accelerators(
    adapter: str, framework: Any, path: str, narrow: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NVIDIA_TF32_OVERRIDE", "ONEDNN_DEFAULT_FPMATH_MODE", "TF_SET_ONEDNN_FPMATH_MODE"):
        monkeypatch.delenv(name, raising=False)
    module: Any = load_file(str(HERE / "adapters" / f"{adapter}_adapter.py"), f"test_{adapter}")
    assert [to for to, _, _ in module.precision(framework, path)] == narrow
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    assert "tf32" not in [to for to, _, _ in module.precision(framework, path)]
