"""Options turned into the numbers of a `ConvSpec`: padding words, output sizes, flips, the bias."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convdiff import assert_agrees
from convdiff.errors import ConvdiffError
from convdiff.spec.infer_spec import bias_vector, read_spec
from convdiff.spec.settings import Settings
from tests.spec.conftest import Shape, read

# Lengths of signal and kernel, options with `as`, and the (lo, hi) pair of that library's mode.
PLAIN_MODES: list[tuple[int, int, dict[str, Any], tuple[int, int]]] = [
    (9, 3, {"as": "numpy", "padding": "same"}, (1, 1)),
    (9, 4, {"as": "numpy", "padding": "same"}, (2, 1)),
    (9, 4, {"as": "numpy", "padding": " SAME"}, (2, 1)),
    (9, 4, {"as": "scipy", "padding": "same"}, (2, 1)),
    (9, 4, {"as": "torch", "padding": "same"}, (1, 2)),
    (9, 4, {"as": "numpy", "padding": "same_lower"}, (2, 1)),
    (9, 4, {"as": "numpy", "padding": np.array([[1, 2]])}, (1, 2)),
    # The longer kernel is taken for the signal: the output is as long as it.
    (4, 7, {"as": "numpy", "padding": "same"}, (5, 4)),
    (4, 7, {"as": "numpy", "padding": "same", "flip": False}, (4, 5)),
    (4, 7, {"as": "numpy", "padding": "valid"}, (3, 3)),
    (4, 7, {"as": "scipy", "padding": "same"}, (3, 3)),
    (4, 7, {"as": "scipy", "padding": "valid"}, (3, 3)),
]

INPUT, KERNEL = (1, 4, 8, 8), (4, 4, 3, 3)

# Options of a 3x3 kernel on an 8x8 input, and the (lo, hi) pairs, the output size and the output
# padding that the frameworks give them.
PADDINGS: list[tuple[dict[str, Any], tuple[tuple[int, int], ...], Shape, Shape]] = [
    ({"padding": "same"}, ((1, 1), (1, 1)), (8, 8), (0, 0)),
    ({"padding": "same", "stride": 2}, ((0, 1), (0, 1)), (4, 4), (0, 0)),
    ({"padding": "same_lower", "stride": 2}, ((1, 0), (1, 0)), (4, 4), (0, 0)),
    ({"padding": "same", "dilation": 2}, ((2, 2), (2, 2)), (8, 8), (0, 0)),
    ({"padding": "half"}, ((1, 1), (1, 1)), (8, 8), (0, 0)),
    ({"padding": "full"}, ((2, 2), (2, 2)), (10, 10), (0, 0)),
    ({"padding": "causal"}, ((2, 0), (2, 0)), (8, 8), (0, 0)),
    ({"padding": "0:1,2:-1"}, ((0, 1), (2, -1)), (7, 7), (0, 0)),
    ({"padding": 2}, ((2, 2), (2, 2)), (10, 10), (0, 0)),
    ({"padding": "valid", "input_dilation": 2}, ((0, 0), (0, 0)), (13, 13), (0, 0)),
    ({"transposed": True, "padding": "same", "stride": 2}, ((0, 1), (0, 1)), (16, 16), (0, 0)),
    ({"transposed": True, "padding": "same", "stride": 4}, ((0, 0), (0, 0)), (32, 32), (1, 1)),
    ({"transposed": True, "padding": "valid", "stride": 4}, ((0, 0), (0, 0)), (32, 32), (1, 1)),
    ({"transposed": True, "padding": "valid", "stride": 2}, ((0, 0), (0, 0)), (17, 17), (0, 0)),
    (
        {"transposed": True, "padding": 1, "stride": 2, "output_padding": 1},
        ((1, 1), (1, 1)),
        (16, 16),
        (1, 1),
    ),
    (
        {"transposed": True, "padding": "same", "stride": 2, "output_size": 15},
        ((1, 1), (1, 1)),
        (15, 15),
        (0, 0),
    ),
    (
        {"transposed": True, "padding": "valid", "stride": 2, "output_size": 18},
        ((0, 0), (0, 0)),
        (18, 18),
        (1, 1),
    ),
    (
        {"transposed": True, "padding": 1, "stride": 2, "output_size": 16},
        ((1, 1), (1, 1)),
        (16, 16),
        (1, 1),
    ),
]


@pytest.mark.parametrize(("options", "padding", "output_size", "output_padding"), PADDINGS)
def test_padding_becomes_pairs(
    options: dict[str, Any],
    padding: tuple[tuple[int, int], ...],
    output_size: Shape,
    output_padding: Shape,
) -> None:
    spec = read(INPUT, KERNEL, **options)
    assert (spec.padding, spec.output_size, spec.output_padding) == (
        padding,
        output_size,
        output_padding,
    )


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"stride": 0}, "--stride: found 0, expected at least 1"),
    ({"output_size": 5}, "--output-size: expected --transposed with it"),
    ({"output_padding": 1}, "--output-padding 1: expected --transposed with it"),
    (
        {"transposed": True, "output_size": 17, "output_padding": 1},
        "--output-size and --output-padding: expected one of them",
    ),
    (
        {"transposed": True, "padding": "same", "stride": 2, "output_size": 30},
        "gives 15 positions, expected 8",
    ),
    ({"pad_mode": "zero"}, "--pad-mode: found 'zero', expected one of constant"),
    (
        {"pad_mode": "edge,wrap,wrap"},
        "--pad-mode edge,wrap,wrap: found 3 modes, expected 1 or 2, one per spatial axis",
    ),
    (
        {"pad_mode": ["edge", "wrap"], "pad_value": 5},
        "--pad-value 5: found it with --pad-mode edge,wrap, expected --pad-mode constant",
    ),
    (
        {"pad_mode": "edge,wrap", "transposed": True},
        "--pad-mode edge,wrap: found it with --transposed, expected no pad mode: the padding of a",
    ),
    ({"pad_value": "1;2"}, "--pad-value: found '1;2', expected a number: 5, or one per input"),
    ({"pad_value": [1, 2]}, "--pad-value 1,2: found 2 numbers, expected 1 or 4, one per input"),
    (
        {"pad_value": 5, "pad_mode": "edge"},
        "--pad-value 5: found it with --pad-mode edge, expected --pad-mode constant",
    ),
    (
        {"pad_value": 5, "transposed": True},
        "--pad-value 5: found it with --transposed, expected no pad value: the padding of a",
    ),
    ({"depthwise": True, "groups": 2}, "--depthwise with --groups 2: expected one of them"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED)
def test_options_that_contradict_each_other_are_refused(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConvdiffError) as caught:
        read(INPUT, KERNEL, **options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_kernel_larger_than_the_input_is_refused() -> None:
    with pytest.raises(ConvdiffError, match="the output would be empty along H"):
        read(INPUT, (4, 4, 9, 9))


@pytest.mark.parametrize(
    ("framework", "transposed", "flip"),
    [
        ("torch", False, False),
        ("theano", False, True),
        ("scipy", False, True),
        ("jax", True, True),
        ("jax", False, False),
        ("tensorflow", True, False),
    ],
)
def test_each_framework_flips_or_not_unless_told(
    framework: str, transposed: bool, flip: bool
) -> None:
    kernel = (3, 3, 4, 4) if transposed or framework == "tensorflow" else (4, 4, 3, 3)
    shapes = ((9,), (3,)) if framework == "scipy" else ((1, 4, 4, 4), kernel)
    options: dict[str, Any] = {"as": framework, "transposed": transposed}
    assert read(*shapes, **options).flip is flip
    assert read(*shapes, **options, flip=not flip).flip is not flip


def test_numpy_pads_fully_unless_told() -> None:
    assert read((10,), (3,), **{"as": "numpy"}).output_size == (12,)
    assert read((10,), (3,), **{"as": "numpy", "padding": "valid"}).output_size == (8,)
    assert read((10,), (3,)).output_size == (8,)


def test_the_bias_has_one_value_per_output_channel() -> None:
    spec = read(INPUT, KERNEL)
    bias = np.arange(4.0)
    assert np.array_equal(bias_vector(bias.reshape(1, 4, 1, 1), spec, "--bias"), bias)
    for array in (np.zeros(3), np.zeros((2, 2))):
        with pytest.raises(ConvdiffError, match=r"^--bias: found shape .* expected \(4,\)"):
            bias_vector(array, spec, "--bias")


@pytest.mark.parametrize(("n", "k", "options", "pair"), PLAIN_MODES)
def test_the_modes_of_numpy_and_scipy(
    n: int, k: int, options: dict[str, Any], pair: tuple[int, int]
) -> None:
    shape = ((1, 1, n), (1, 1, k)) if options["as"] == "torch" else ((n,), (k,))
    assert read(*shape, **options).padding == (pair,)


@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize(("n", "k"), [(10, 4), (10, 5), (4, 7), (5, 8), (4, 8), (5, 9), (6, 6)])
def test_the_modes_are_those_of_numpy(n: int, k: int, mode: Any, flip: bool) -> None:
    rng = np.random.default_rng(n)
    x, w = rng.standard_normal(n), rng.standard_normal(k)
    obtained = (np.convolve if flip else np.correlate)(x, w, mode)
    assert_agrees(x, w, obtained, as_="numpy", padding=mode, flip=flip)


def test_a_note_says_that_the_longer_kernel_is_taken_for_the_signal() -> None:
    settings = Settings.from_mapping({"as": "numpy", "padding": "same"})
    notes = read_spec((4,), (7,), settings, bias=False, dtype="float64")[1]
    assert "the kernel is longer than the input: numpy slides the input over it" in notes
