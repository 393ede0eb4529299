"""Complete scripts, run by an interpreter on files."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convdiff.backends.environment_variables import worker_variables
from convdiff.dialects import DIALECTS, standalone_script, write
from convdiff.numerics.reference import compute_reference
from convdiff.spec.canonical import user_output
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array
from tests.backends.support import PATIENCE
from tests.dialects.conftest import environment
from tests.specs import arrays, conv

SPEC = conv("NHWC HWIO", n=6, k=3, c=2, o=3, stride=2, padding=(0, 1), flip=True, bias=True)


def expected(spec: ConvSpec, data: dict[str, Array]) -> Array:
    return user_output(
        spec, compute_reference(spec, data["input"], data["kernel"], data.get("bias")).output
    )


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in DIALECTS]
)
def test_a_script_saves_its_output(name: str, tmp_path: Path) -> None:
    data = arrays(SPEC)
    np.save(tmp_path / "x's.npy", data["input"])
    params: dict[str, Any] = {"kernel": data["kernel"], "conv1/bias": data["bias"]}
    np.savez(tmp_path / "params.npz", **params)
    text = standalone_script(
        write(name, SPEC),
        SPEC,
        input="x's.npy",
        kernel="params.npz:kernel",
        bias="params.npz:conv1/bias",
        output="y.npy",
        stored={"input": "float32", "kernel": "float32", "bias": "float32"},
    )
    (tmp_path / "script.py").write_text(text)
    subprocess.run(
        [environment(name).python, "script.py"],
        cwd=tmp_path,
        check=True,
        timeout=PATIENCE,
        capture_output=True,
        env=worker_variables(Path()),
    )
    assert np.array_equal(np.load(tmp_path / "y.npy"), expected(SPEC, data))


def test_a_script_widens_bfloat16_and_prints_its_output(tmp_path: Path) -> None:
    spec = conv("W W", n=3, k=2)
    data = arrays(spec)
    upper = (data["input"].view(np.uint32) >> 16).astype(np.uint16)
    np.save(tmp_path / "x.npy", upper.view("V2"))
    np.save(tmp_path / "w.npy", data["kernel"])
    text = standalone_script(
        write("numpy", spec),
        spec,
        input="x.npy",
        kernel="w.npy",
        bias=None,
        output=None,
        stored={"input": "bfloat16"},
    )
    (tmp_path / "script.py").write_text(text)
    printed = subprocess.run(
        [environment("numpy").python, "script.py"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert printed.strip() == str(expected(spec, data).astype(np.float32))


def test_the_text_of_a_script() -> None:
    text = standalone_script(
        write("jax", SPEC),
        SPEC,
        input="x.npy",
        kernel="w.npy",
        bias="b.npy",
        output="y.npy",
        stored={},
    )
    assert (
        text
        == f"""\
# {SPEC}
import jax.numpy as jnp
import numpy as np
from jax import lax

input = np.load('x.npy')
kernel = np.load('w.npy')
bias = np.load('b.npy')

x = jnp.asarray(input, jnp.float32)
w = jnp.asarray(kernel[::-1, ::-1], jnp.float32)
y = lax.conv_general_dilated(
    x, w, window_strides=(2, 2), padding=[(0, 1), (0, 1)],
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
)
output = np.asarray(y + jnp.asarray(bias, jnp.float32))
np.save('y.npy', output)
"""
    )


def test_the_setting_for_float64_precedes_jaxs_arrays() -> None:
    spec = conv("W W", n=3, k=2, dtype="float64")
    text = standalone_script(
        write("jax", spec), spec, input="x.npy", kernel="w.npy", bias=None, output=None, stored={}
    )
    assert text.index("jax_enable_x64") < text.index("jnp.asarray")
