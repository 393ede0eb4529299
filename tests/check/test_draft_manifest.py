"""A manifest drafted from a folder of arrays agrees, whatever settings gave the outputs."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convdiff.numerics.reference import compute_reference
from convdiff.spec.canonical import user_output
from convdiff.spec.infer_spec import read_spec
from convdiff.spec.settings import Settings
from tests.cli.conftest import Invoke

# The shapes of input and kernel, and the settings that give the output.
DRAFTED: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "plain": ((2, 4, 9, 8), (6, 4, 3, 3), {}),
    "padded": ((2, 4, 9, 8), (6, 4, 3, 3), {"padding": 1}),
    "strided same": (
        (1, 8, 9, 4),
        (3, 3, 4, 6),
        {"stride": 2, "padding": "same", "as_": "tensorflow"},
    ),
    "even kernel": ((1, 3, 8, 8), (5, 3, 4, 4), {"padding": "same_lower"}),
    "grouped": ((2, 4, 9, 8), (6, 2, 3, 3), {"groups": 2}),
    "depthwise": ((2, 9, 8, 4), (3, 3, 4, 2), {"depthwise": True, "as_": "tensorflow"}),
    "transposed": ((2, 4, 5, 6), (4, 6, 3, 3), {"transposed": True, "stride": 2, "padding": 1}),
    "transposed torch": (
        (2, 4, 5, 6),
        (4, 6, 3, 3),
        {"transposed": True, "stride": 2, "padding": 1, "output_padding": 1},
    ),
    "transposed zero": (
        (2, 4, 5, 6),
        (4, 6, 2, 2),
        {"transposed": True, "stride": 3, "padding": 0},
    ),
    "transposed grouped": (
        (2, 4, 5, 6),
        (4, 3, 3, 3),
        {"transposed": True, "stride": 2, "groups": 2, "padding": "same"},
    ),
    "transposed depthwise": (
        (2, 4, 5, 6),
        (4, 1, 4, 4),
        {"transposed": True, "stride": 2, "groups": 4, "padding": 1},
    ),
    "transposed last": (
        (2, 5, 6, 4),
        (3, 3, 6, 4),
        {"transposed": True, "stride": 2, "padding": "same", "as_": "tensorflow"},
    ),
    "dilated": ((2, 4, 12, 11), (6, 4, 3, 3), {"dilation": 2, "padding": 2}),
    "flipped": ((2, 4, 9, 8), (6, 4, 3, 3), {"flip": True, "padding": 1}),
    "a plain signal": (
        (19,),
        (4,),
        {"flip": True, "padding": "same", "input_layout": "W", "kernel_layout": "W"},
    ),
    "strides that differ": (
        (2, 4, 9, 8),
        (6, 4, 3, 2),
        {"stride": (2, 1), "padding": ((0, 2), (1, 0))},
    ),
    "mirrored": ((2, 4, 9, 8), (6, 4, 3, 3), {"pad_mode": "reflect", "padding": 1}),
    "a panorama": ((2, 4, 9, 8), (6, 4, 3, 3), {"pad_mode": ("reflect", "wrap"), "padding": 1}),
    "numbers in the padding": (
        (2, 4, 9, 8),
        (6, 4, 3, 3),
        {"padding": 1, "pad_value": (1.5, -2, 0.25, 3)},
    ),
    "dilations that differ": (
        (2, 12, 9, 4),
        (3, 3, 4, 6),
        {"dilation": (1, 2), "as_": "tensorflow"},
    ),
    "1-D": ((2, 4, 19), (6, 4, 5), {"padding": "causal"}),
    "3-D": ((1, 2, 5, 6, 7), (3, 2, 3, 3, 3), {"padding": 1, "stride": 2}),
}


def save(name: str, x: Any, w: Any, options: dict[str, Any]) -> None:
    spec, _ = read_spec(x.shape, w.shape, Settings(**options), bias=True, dtype="float32")
    b = np.arange(spec.out_channels, dtype=np.float32)
    y = user_output(spec, compute_reference(spec, x, w, b).output.astype(np.float32))
    for role, array in {"x": x, "w": w, "b": b, "y": y}.items():
        np.save(f"{name}.{role}.npy", array)


@pytest.mark.parametrize("name", DRAFTED)
def test_a_drafted_manifest_agrees(name: str, invoke: Invoke) -> None:
    x, w, options = DRAFTED[name]
    random = np.random.default_rng(3)
    Path("dump").mkdir()
    save(
        "dump/layer.1",
        random.standard_normal(x).astype(np.float32),
        random.standard_normal(w).astype(np.float32),
        options,
    )
    # A flipped kernel may be intended or be the fault.
    doubt = ", 1 with a comment to look at" if options.get("flip") else ""
    assert (
        invoke("check", "--write-manifest", "dump").stdout == f"dump/manifest.toml: 1 case{doubt}\n"
    )
    result = invoke("check", "dump")
    assert result.exit_code == 0, result.stdout + Path("dump/manifest.toml").read_text()
    case = tomllib.loads(Path("dump/manifest.toml").read_text())["case"][0]
    assert case["name"] == "layer.1"
    assert case["saved"] == {"saved": "layer.1.y.npy"}


def test_roles_are_read_from_names_and_doubts_are_comments(invoke: Invoke) -> None:
    x, w, y = (np.load(f"{name}.npy") for name in "xwy")
    Path("dump").mkdir()
    np.savez("dump/pack.npz", **{"a.x": x, "a.w": w, "a.y": y, "a.y.port": y[:, ::-1]})
    np.savez("dump/single.npz", input=x, weight=w, output=y)
    for at in (10, 9):
        for role, array in {"x": x, "w": w, "y": y}.items():
            np.save(f"dump/conv{at}.{role}.npy", array)
    np.save("dump/noise.x.npy", x)
    np.save("dump/noise.w.npy", w)
    np.save("dump/noise.y.npy", np.zeros((1, 2, 3), np.float32))
    np.save("dump/half.x.npy", x)
    assert invoke("check", "--write-manifest", "dump").stdout == (
        "dump/manifest.toml: 5 cases, 1 with a comment to look at; left out, as they lack an "
        "input or a kernel: half\n"
    )
    manifest = Path("dump/manifest.toml").read_text()
    cases = {case["name"]: case for case in tomllib.loads(manifest)["case"]}
    assert list(cases) == ["a", "conv9", "conv10", "noise", "single"]
    assert cases["a"]["saved"] == {"saved": "pack.npz:a.y", "port": "pack.npz:a.y.port"}
    assert cases["single"]["input"] == "single.npz:input"
    assert "# no setting tried gives an output of this shape" in manifest
    assert invoke("check", "dump", "--case", "conv*").exit_code == 0


def test_a_draft_replaces_no_manifest(invoke: Invoke) -> None:
    Path("manifest.toml").write_text("mine")
    assert "found a manifest already" in invoke("check", "--write-manifest", ".").stderr
    Path("manifest.toml").unlink()
    Path("empty").mkdir()
    assert (
        "found no pair of NAME.x.npy and NAME.w.npy"
        in invoke("check", "--write-manifest", "empty").stderr
    )
    assert "found no such folder" in invoke("check", "--write-manifest", "nowhere").stderr
