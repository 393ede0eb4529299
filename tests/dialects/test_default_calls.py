"""The frameworks' default calls: right where their defaults are what was asked, else wrong.

How they are wrong is known, and tested.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace

import numpy as np
import pytest

from convdiff.dialects import DIALECTS, Unsupported, write_default
from convdiff.execution_paths import PATHS, ExecutionPath
from convdiff.spec.conv_spec import ConvSpec
from tests.dialects.conftest import Ask
from tests.dialects.test_conformance import check
from tests.specs import SPECS, arrays, conv

MOVES = ("permute", "transpose(", "flip", "reverse", "[::-1")


@pytest.mark.parametrize("name", DIALECTS)
def test_no_array_is_permuted_or_flipped(name: str) -> None:
    for spec in SPECS.values():
        with contextlib.suppress(Unsupported):
            body = write_default(name, spec).body
            compile(body, "default", "exec")
            assert not any(word in body.replace("_transpose(", "") for word in MOVES), body


@pytest.mark.parametrize(
    ("name", "layouts"),
    [("torch", "NCHW OIHW"), ("tensorflow", "NHWC HWIO"), ("jax", "NCHW OIHW"), ("numpy", "W W")],
)
@pytest.mark.parametrize(("k", "padding"), [(3, 1), (3, 0), (3, 3)])
def test_a_default_call_is_right_where_its_defaults_are_asked_for(
    name: str, layouts: str, k: int, padding: int, ask: Ask
) -> None:
    channels = {} if layouts == "W W" else {"c": 2, "o": 3}
    spec = conv(layouts, n=7, k=k, padding=padding, bias=True, **channels)
    check(ask, name, spec, write_default(name, spec).body)


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        (
            "torch",
            conv(
                "NCW IOW",
                n=4,
                k=3,
                c=2,
                o=2,
                stride=2,
                padding=1,
                output_padding=1,
                transposed=True,
                bias=True,
            ),
        ),
        (
            "torch",
            conv(n=8, k=3, c=4, o=2, groups=2, stride=2, dilation=2, padding=((0, 1), (1, 2))),
        ),
        (
            "tensorflow",
            conv(
                "NWC WOI", n=4, k=3, c=2, o=2, stride=2, padding=(0, 1), transposed=True, bias=True
            ),
        ),
        (
            "tensorflow",
            conv(
                "NDHWC DHWIO",
                n=4,
                k=3,
                c=2,
                o=2,
                stride=2,
                padding=((2, 2), (1, 1), (2, 1)),
                bias=True,
            ),
        ),
        ("tensorflow", conv("NHWC HWIM", n=4, k=3, c=2, o=4, groups=2, padding=1)),
        ("jax", conv(n=4, k=3, c=2, o=2, input_dilation=2, padding=1)),
        ("jax", conv("NHWC HWIO", n=4, k=3, c=2, o=2, stride=2, transposed=True, flip=True)),
    ],
)
def test_a_default_call_is_right_in_the_frameworks_layouts(
    name: str, spec: ConvSpec, ask: Ask
) -> None:
    check(ask, name, spec, write_default(name, spec).body)


@pytest.mark.xdist_group("theano")
def test_theano_flips_the_kernel(ask: Ask) -> None:
    spec = conv(n=7, k=3, c=2, o=3, padding=1)
    flipped = conv(n=7, k=3, c=2, o=3, padding=1, flip=True)
    check(ask, "theano", flipped, write_default("theano", spec).body)


def test_torch_pads_half_the_kernel_at_both_ends(ask: Ask) -> None:
    asked = conv(n=8, k=3, c=2, o=3, stride=2, padding=(0, 1))
    check(
        ask,
        "torch",
        conv(n=8, k=3, c=2, o=3, stride=2, padding=1),
        write_default("torch", asked).body,
        **arrays(asked),
    )


def test_tensorflow_pads_more_at_the_end(ask: Ask) -> None:
    asked = conv("NHWC HWIO", n=8, k=3, c=2, o=3, stride=2, padding=1)
    did = conv("NHWC HWIO", n=8, k=3, c=2, o=3, stride=2, padding=(0, 1))
    check(ask, "tensorflow", did, write_default("tensorflow", asked).body, **arrays(asked))


def test_jax_transposes_without_flipping(ask: Ask) -> None:
    asked = conv("NHWC HWIO", n=4, k=4, c=2, o=3, stride=2, padding=1, transposed=True)
    did = conv("NHWC HWIO", n=4, k=4, c=2, o=3, stride=2, padding=1, transposed=True, flip=True)
    check(ask, "jax", did, write_default("jax", asked).body, **arrays(asked))


def test_numpys_same_differs_from_the_asked_one(ask: Ask) -> None:
    asked = conv("W W", n=8, k=4, padding=(1, 2))
    answer = ask("numpy", write_default("numpy", asked).body, arrays(asked))
    assert np.array_equal(answer.output, np.correlate(*arrays(asked).values(), "same"))  # type: ignore[arg-type, call-overload]


# Paths whose call is not the framework's default call; the others are settings around it.
OTHER_CALLS = {"tensorflow:cpu/keras", "theano:cpu/convop", "cudnn:tf32", "cudnn:no-tf32"}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: f"{path.backend}:{path.name}")
def test_a_default_call_takes_its_path(path: ExecutionPath) -> None:
    plain = path.backend in ("numpy", "scipy")
    spec = (
        conv("HW HW" if path.backend == "scipy" else "W W", n=7, k=3, padding=1)
        if plain
        else conv(n=7, k=3, c=2, o=3, padding=1)
    )
    if path.style == "float32 sums":
        spec = replace(spec, dtype="float16")
    if f"{path.backend}:{path.name}" in OTHER_CALLS:
        with pytest.raises(Unsupported, match="default"):
            write_default(path.backend, spec, path)
        return
    body = write_default(path.backend, spec, path).body
    compile(body, "default", "exec")
    assert (
        all(line in body for line in path.setup)
        and path.device in body
        and path.wrapper.partition("{}")[0] in body
    )
    if path.style and path.style != "auto_pad":
        assert body != write_default(path.backend, spec).body


def test_ndimage_mirrors_at_the_border_by_default(ask: Ask) -> None:
    asked = conv("HW HW", n=6, k=3, padding=1)
    path = next(path for path in PATHS if path.style == "ndimage")
    check(
        ask,
        "scipy",
        replace(asked, pad_mode="symmetric"),
        write_default("scipy", asked, path).body,
        **arrays(asked),
    )
