"""Every dialect's code gives exactly the reference on integers, wherever its framework can."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from convdiff.backends import capacity, find_backend
from convdiff.dialects import DIALECTS, REAL_ONLY, Unsupported, write
from convdiff.numerics.complex_parts import joined_parts, real_parts
from convdiff.numerics.reference import compute_reference
from convdiff.spec.canonical import user_output
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array
from convdiff.spec.pad_value import PadValue
from tests.dialects.conftest import Ask
from tests.specs import SPECS, arrays, conv, random_specs

BFLOAT16 = {"bfloat16", "bfloat16, transposed", "pad values, bfloat16"}
# What a framework cannot compute; anything else that a dialect rejects is an error in convdiff.
UNSUPPORTED = {
    "scipy": BFLOAT16,
    "onnxruntime": {"float64", "float64, transposed", "pad value, float64"} | BFLOAT16,
    "numpy": BFLOAT16,
    "theano": BFLOAT16,
}
# Frameworks that compile for every shape get fewer specs.
RANDOM_SPECS = {"jax": 20, "theano": 15}

# One process per framework: where tests run in parallel, those of one framework stay together.
AVAILABLE = [name for name in DIALECTS if capacity.has_accelerator() or not find_backend(name).gpu]
BACKENDS = [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in AVAILABLE]


def check(ask: Ask, name: str, spec: ConvSpec, body: str, **given: Array) -> None:
    """The output on integers is the reference's, in values, shape and dtype."""
    data = given or arrays(spec)
    answer = ask(name, body, data)
    assert answer.status == "ok" and answer.output is not None, f"{answer.message}\n{spec}\n{body}"
    expected = user_output(
        spec, compute_reference(spec, data["input"], data["kernel"], data.get("bias")).output
    )
    assert answer.output.dtype == ("float32" if spec.dtype == "bfloat16" else spec.dtype), body
    assert answer.output.shape == expected.shape, f"{spec}\n{body}"
    assert np.array_equal(answer.output, expected), f"{spec}\n{body}"


@pytest.mark.parametrize("title", SPECS)
@pytest.mark.parametrize("name", BACKENDS)
def test_every_spec_is_exact(name: str, title: str, ask: Ask) -> None:
    spec = SPECS[title]
    if title in UNSUPPORTED.get(name, ()):
        with pytest.raises(Unsupported):
            write(name, spec)
    else:
        check(ask, name, spec, write(name, spec).body)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", BACKENDS)
def test_random_specs_are_exact(name: str, seed: int, ask: Ask) -> None:
    for spec in random_specs(RANDOM_SPECS.get(name, 75), seed):
        if name == "onnxruntime":
            spec = replace(spec, dtype="float32")  # the only type besides float16
        check(ask, name, spec, write(name, spec).body)


@pytest.mark.parametrize("kind", ["float16", "float64", "int8", "int64", "uint8", "uint16", "bool"])
@pytest.mark.parametrize("name", BACKENDS)
def test_every_stored_type_is_exact(name: str, kind: str, ask: Ask) -> None:
    spec = conv(
        "NHWC HWIO",
        n=5,
        k=3,
        c=2,
        o=2,
        padding=((1, 2), (0, 1)),
        pad_mode="reflect",
        flip=True,
        bias=True,
    )
    data = {role: np.abs(array).astype(kind) for role, array in arrays(spec).items()}
    check(ask, name, spec, write(name, spec).body, **data)


@pytest.mark.parametrize("title", [title for title in SPECS if "float" not in title])
@pytest.mark.parametrize("name", BACKENDS)
def test_every_spec_is_exact_on_complex_integers(name: str, title: str, ask: Ask) -> None:
    # Both types of every framework, without compiling each spec twice.
    dtype = "complex64" if len(title) % 2 else "complex128"
    spec = replace(SPECS[title], dtype=dtype)
    if name in REAL_ONLY:
        with pytest.raises(Unsupported, match="no convolution of complex numbers"):
            write(name, spec)
        return
    parts = [arrays(spec, seed) for seed in (0, 1)]
    data = {role: (parts[0][role] + 1j * parts[1][role]).astype(dtype) for role in parts[0]}
    body = write(name, spec).body
    answer = ask(name, body, data)
    assert answer.status == "ok" and answer.output is not None, f"{answer.message}\n{body}"
    real = real_parts(spec, data["input"], data["kernel"], data.get("bias"))
    expected = compute_reference(real.spec, real.input, real.kernel, real.bias).output
    assert answer.output.dtype == dtype, body
    assert np.array_equal(answer.output, user_output(spec, joined_parts(expected))), body


@pytest.mark.parametrize("pad_value", [0.5, -130, (0.5, 300)])
@pytest.mark.parametrize("name", BACKENDS)
def test_a_stored_type_need_not_hold_the_pad_value(
    name: str, pad_value: PadValue, ask: Ask
) -> None:
    spec = conv("NHWC HWIO", n=4, k=3, c=2, o=2, padding=1, pad_value=pad_value)
    data = {role: np.abs(array).astype("uint8") for role, array in arrays(spec).items()}
    for asked in (spec, replace(spec, padding=((1, 1), (-1, 1)), input_dilation=(1, 2))):
        check(ask, name, asked, write(name, asked).body, **data)


@pytest.mark.parametrize(
    "name", ["scipy", pytest.param("theano", marks=pytest.mark.xdist_group("theano"))]
)
def test_operands_are_rounded_to_the_asked_type_before_a_wider_computation(
    name: str, ask: Ask
) -> None:
    """2049 is not a float16; rounded to one it is 2048."""
    spec = conv(n=3, k=1, c=1, o=1, dtype="float16")
    data = {
        "input": np.full(spec.shape("input"), 2049, np.float32),
        "kernel": np.ones(spec.shape("kernel"), np.float32),
    }
    answer = ask(name, write(name, spec).body, data)
    assert answer.output is not None and answer.output.dtype == np.float16
    assert np.array_equal(answer.output, np.full(spec.shape("output"), 2048, np.float16))


FAULTS = {
    "kernel not flipped": ("NHWC/HWIO", {"flip": True}),
    "padding at the other end": ("same at stride 2", {"padding": ((1, 0), (1, 0))}),
    "pad mode": ("reflect", {"pad_mode": "symmetric"}),
    "pad modes in the other order": ("edge and wrap", {"pad_mode": ("wrap", "edge")}),
    "pad value": ("pad value", {"pad_value": 0}),
    "pad values in the other order": ("pad values", {"pad_value": (3, -2, 1)}),
    "bias left out": ("NCHW/OIHW", {"bias": False}),
    "stride in the other order": ("stride and dilation differ by axis", {"stride": (3, 2)}),
    "kernel axes swapped": ("NCHW/OIHW", {"kernel_layout": "OIWH"}),
    "output in the other layout": ("NHWC/HWIO", {"output_layout": "NWHC"}),
    "groups left out": (
        "groups of one output each",
        {"groups": 1, "kernel_layout": "IOHW", "in_channels": 3, "out_channels": 2},
    ),
    "output padding at the start": (
        "transposed, stride above the kernel",
        {"padding": ((-2, 0), (-2, 0)), "output_padding": (0, 0)},
    ),
    "another type": ("float64", {"dtype": "float32"}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_dialect_is_detected(fault: str, ask: Ask) -> None:
    title, changes = FAULTS[fault]
    wrong = write("numpy", replace(SPECS[title], **changes))  # type: ignore[arg-type]
    with pytest.raises(AssertionError):
        check(ask, "numpy", SPECS[title], wrong.body)
