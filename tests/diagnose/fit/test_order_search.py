"""Input channels in another order are found alone, beside other edits and from few positions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convdiff
from tests.diagnose.naive import Array, Geometry, convolve


def arrays(
    input_shape: tuple[int, ...], kernel_shape: tuple[int, ...]
) -> tuple[np.random.Generator, Array, Array, list[int]]:
    """A generator, an input, a kernel and an order of the input's channels."""
    rng = np.random.default_rng(sum(input_shape) + sum(kernel_shape))
    return (
        rng,
        rng.standard_normal(input_shape).astype(np.float32),
        rng.standard_normal(kernel_shape).astype(np.float32),
        rng.permutation(input_shape[1]).tolist(),
    )


@pytest.mark.parametrize(
    ("input_shape", "kernel_shape", "options"),
    [
        ((1, 64, 7, 7), (64, 64, 3, 3), {"padding": 1}),
        ((1, 64, 7, 7), (64, 16, 5, 5), {"padding": 2, "groups": 4}),
        ((2, 64, 7, 7), (64, 64, 1, 1), {}),
        ((1, 6, 9), (6, 1, 3), {"groups": 6}),
        ((1, 6, 4, 4), (6, 6, 3, 3), {"padding": 1}),
        ((1, 6, 5, 4, 4), (2, 6, 1, 3, 1), {}),
    ],
)
def test_an_order_of_many_channels_is_found_from_few_positions(
    input_shape: tuple[int, ...], kernel_shape: tuple[int, ...], options: dict[str, Any]
) -> None:
    _, x, w, order = arrays(input_shape, kernel_shape)
    rank = len(input_shape) - 2
    ones, padding = (1,) * rank, ((options.get("padding", 0),) * 2,) * rank
    obtained = convolve(x[:, order], w, Geometry(ones, padding, ones, options.get("groups", 1)))
    space = "DHW"[-rank:]
    layouts = {"input_layout": f"NC{space}", "kernel_layout": f"OI{space}"}
    result = convdiff.diff(x, w, obtained.astype(np.float32), **layouts, **options)
    assert result.findings[0].edits == ({"code": "input-channels-permuted", "permutation": order},)


def edits_of(result: convdiff.Result) -> dict[str, dict[str, Any]]:
    """The edits of the first finding, by code."""
    return {edit["code"]: edit for edit in result.findings[0].edits}


@pytest.mark.parametrize(
    "other",
    [
        "kernel-flipped",
        "wrong-padding",
        "activation-applied",
        "scaled",
        "bias-added",
        "bias-missing",
        "wrong-groups",
        "reduced-precision",
        "output-batch-permuted",
    ],
)
@pytest.mark.parametrize("channels", [6, 32])
def test_an_order_of_many_channels_is_found_beside_another_edit(other: str, channels: int) -> None:
    rng, x, w, order = arrays((3, channels, 6, 6), (channels, channels, 3, 3))
    permuted, kernel, padding, groups = x[:, order], w, ((1, 1), (1, 1)), 1
    bias = rng.standard_normal(channels).astype(np.float32)
    if other == "kernel-flipped":
        kernel = kernel[:, :, ::-1, ::-1]
    if other == "reduced-precision":
        permuted, kernel = (
            np.asarray(convdiff.numerics.precision.to_tf32(array)) for array in (permuted, kernel)
        )
    if other == "wrong-padding":
        padding = ((2, 0), (2, 0))
    if other == "wrong-groups":
        kernel, groups = kernel[:, : channels // 2], 2
    obtained = convolve(permuted, kernel, Geometry((1, 1), padding, (1, 1), groups))
    if other != "bias-missing":
        obtained = obtained + bias.reshape(1, -1, 1, 1)
    if other == "bias-added":
        obtained = obtained + rng.standard_normal((1, channels, 1, 1))
    obtained = {
        "activation-applied": np.maximum(obtained, 0),
        "scaled": obtained / 3,
        "output-batch-permuted": obtained[[2, 0, 1]],
    }.get(other, obtained)
    edits = edits_of(convdiff.diff(x, w, obtained.astype(np.float32), padding=1, bias=bias))
    assert edits.pop("input-channels-permuted")["permutation"] == order
    assert set(edits) == {other}


def planted(
    x: Array, w: Array, order: list[int], others: tuple[str, ...], rng: np.random.Generator
) -> Array:
    """A 3x3 convolution padded by one, with the input's channels in this order and other faults."""
    channels = x.shape[1]
    permuted, kernel, padding, mode = x[:, order], w, ((1, 1), (1, 1)), "constant"
    if "kernel-flipped" in others:
        kernel = kernel[:, :, ::-1, ::-1]
    if "kernel-axes-permuted" in others:
        kernel = kernel.swapaxes(2, 3)
    if "wrong-padding" in others:
        padding = ((2, 0), (2, 0))
    if "wrong-pad-mode" in others:
        mode = "reflect"
    output = convolve(permuted, kernel, Geometry((1, 1), padding, (1, 1), pad_mode=mode))
    if "overlap-accumulated" in others:
        output = output * np.minimum(np.minimum(np.arange(7) + 1, 7 - np.arange(7)), 3)
    if "activation-applied" in others:
        output = np.tanh(output / np.std(output))
    if "output-reshaped" in others:
        output = np.moveaxis(output, 1, -1).copy().reshape(output.shape)
    if "bias-added" in others:
        output = output + rng.standard_normal((1, channels, 1, 1))
    return output.astype(np.float32)


@pytest.mark.parametrize(
    "others",
    [
        ("kernel-flipped", "wrong-padding"),
        ("kernel-axes-permuted", "bias-added"),
        ("wrong-pad-mode", "overlap-accumulated"),
        ("kernel-flipped", "output-reshaped"),
        ("kernel-axes-permuted", "wrong-pad-mode"),
    ],
)
@pytest.mark.parametrize("channels", [6, 64])
def test_an_order_of_many_channels_is_found_beside_two_other_edits(
    others: tuple[str, ...], channels: int
) -> None:
    rng, x, w, order = arrays((1, channels, 7, 7), (channels, channels, 3, 3))
    edits = edits_of(convdiff.diff(x, w, planted(x, w, order, others, rng), padding=1))
    assert edits.pop("input-channels-permuted")["permutation"] == order
    assert set(edits) == set(others)


@pytest.mark.parametrize("others", [(), ("kernel-flipped",), ("wrong-padding",), ("bias-added",)])
def test_channels_with_nearly_the_same_values_are_told_apart(others: tuple[str, ...]) -> None:
    rng, x, w, order = arrays((1, 32, 7, 7), (32, 32, 3, 3))
    ramp = np.add.outer(np.linspace(0, 1, 7), np.linspace(0, 2, 7))
    picture = (np.sin(3 * ramp) + 0.02 * x).astype(np.float32)
    edits = edits_of(convdiff.diff(picture, w, planted(picture, w, order, others, rng), padding=1))
    assert edits.pop("input-channels-permuted")["permutation"] == order
    assert set(edits) == set(others)


@pytest.mark.parametrize("others", [(), ("kernel-flipped",), ("wrong-padding",)])
def test_the_channels_of_both_input_and_output_may_be_in_another_order(
    others: tuple[str, ...],
) -> None:
    rng, x, w, order = arrays((2, 7, 7, 7), (7, 7, 3, 3))
    output_order = rng.permutation(7).tolist()
    obtained = planted(x, w, order, others, rng)[:, output_order]
    edits = edits_of(convdiff.diff(x, w, obtained, padding=1))
    assert edits.pop("input-channels-permuted")["permutation"] == order
    assert edits.pop("output-channels-permuted")["permutation"] == output_order
    assert set(edits) == set(others)


def test_a_common_edit_is_tried_where_few_positions_score_it_low() -> None:
    rng, x, w, order = arrays((3, 6, 10, 10), (6, 6, 5, 5))
    bias = rng.standard_normal(6).astype(np.float32)
    sums = convolve(x[:, order], w, Geometry((4, 4), ((1, 1), (1, 1)), (1, 1), pad_mode="edge"))
    obtained = (sums + 2 * bias.reshape(1, -1, 1, 1)).astype(np.float32)
    edits = edits_of(convdiff.diff(x, w, obtained, padding=1, stride=4, bias=bias))
    assert edits.pop("input-channels-permuted")["permutation"] == order
    assert set(edits) == {"wrong-pad-mode", "bias-doubled"}


@pytest.mark.parametrize(
    "order", [[1, 0, 2, 3, 4, 5, 6, 7], [1, 2, 0, 3, 4, 5, 6, 7], [0, 1, 7, 3, 4, 5, 6, 2]]
)
def test_silent_channels_are_reported_in_their_places(order: list[int]) -> None:
    rng = np.random.default_rng(4)
    x = np.maximum(rng.standard_normal((2, 8, 7, 7)), 0).astype(np.float32)
    # Channels that a ReLU has silenced hold the same values, so that nothing tells their order.
    x[:, 3:7] = 0
    w = rng.standard_normal((4, 8, 3, 3)).astype(np.float32)
    obtained = convolve(x[:, order], w, Geometry((1, 1), ((1, 1), (1, 1)), (1, 1)))
    (edit,) = convdiff.diff(x, w, obtained.astype(np.float32), padding=1).findings[0].edits
    assert edit == {"code": "input-channels-permuted", "permutation": order}


@pytest.mark.parametrize("items", [2, 3, 4])
def test_permuted_channels_beside_a_permuted_batch(items: int) -> None:
    rng = np.random.default_rng(30 + items)
    x = rng.standard_normal((items, 6, 9, 9)).astype(np.float32)
    w = rng.standard_normal((5, 6, 3, 3)).astype(np.float32)
    channels, batch = [3, 0, 5, 1, 4, 2], [*range(1, items), 0]
    output = convolve(x[:, channels], w, Geometry((1, 1), ((1, 1), (1, 1)), (1, 1)))
    (finding,) = convdiff.diff(x, w, output[batch].astype(np.float32), padding=1).findings
    planted = (
        {"code": "input-channels-permuted", "permutation": channels},
        {"code": "output-batch-permuted", "permutation": batch},
    )
    assert planted in (finding.edits, *finding.rivals)
