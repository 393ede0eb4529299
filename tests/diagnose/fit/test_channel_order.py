"""The order of many input channels, read off the output: alone, beside other edits, and with few
equations.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convdiff
from convdiff.diagnose.core.array_view import ArrayView
from convdiff.diagnose.fit.channel_order import fit_channel_order
from convdiff.diagnose.fit.geometry_score import InputSimilarity, comparison_points
from convdiff.diagnose.search.geometry_table import AskedGeometry, enumerate_geometries
from tests.diagnose.naive import Array, Geometry, convolve


@pytest.mark.parametrize(
    ("channels", "outer", "places", "taps"),
    [
        (5, 5, 10, 3),
        (6, 3, 12, 9),
        (8, 8, 24, 9),
        (12, 12, 30, 9),
        (64, 64, 49, 9),
    ],
)
@pytest.mark.parametrize("after", ["nothing", "relu", "constants"])
@pytest.mark.parametrize("mean", [0.0, 1.0])
def test_the_order_is_read_off(
    channels: int, outer: int, places: int, taps: int, after: str, mean: float
) -> None:
    rng = np.random.default_rng(channels + places)
    order = rng.permutation(channels)
    windows, weights = (
        rng.standard_normal((places, channels, taps)) + mean,
        rng.standard_normal((outer, channels, taps)),
    )
    values = 0.5 * np.einsum("oct,pct->op", weights, windows[:, order])
    if after == "relu":
        values = np.maximum(values, 0)
    if after == "constants":
        values += rng.standard_normal((outer, 1))
    cut = np.where(values > 0, 0, -1) if after == "relu" else None
    read = fit_channel_order(windows, weights, values, cut)
    assert read is not None
    assert read[0] == order.tolist()


@pytest.mark.parametrize("channels", [6, 20])
def test_noise_has_no_order(channels: int) -> None:
    rng = np.random.default_rng(1)
    windows, weights = (
        rng.standard_normal((40, channels, 9)),
        rng.standard_normal((channels, channels, 9)),
    )
    assert fit_channel_order(windows, weights, rng.standard_normal((channels, 40))) is None


def arrays(
    x: tuple[int, ...], w: tuple[int, ...]
) -> tuple[np.random.Generator, Array, Array, list[int]]:
    rng = np.random.default_rng(sum(x) + sum(w))
    return (
        rng,
        rng.standard_normal(x).astype(np.float32),
        rng.standard_normal(w).astype(np.float32),
        rng.permutation(x[1]).tolist(),
    )


@pytest.mark.parametrize(
    ("x", "w", "options"),
    [
        ((1, 64, 7, 7), (64, 64, 3, 3), {"padding": 1}),
        ((1, 64, 7, 7), (64, 16, 5, 5), {"padding": 2, "groups": 4}),
        ((2, 64, 7, 7), (64, 64, 1, 1), {}),
        ((1, 6, 9), (6, 1, 3), {"groups": 6}),
        ((1, 6, 4, 4), (6, 6, 3, 3), {"padding": 1}),
        ((1, 6, 5, 4, 4), (2, 6, 1, 3, 1), {}),
    ],
)
def test_many_channels_in_another_order_need_few_places(
    x: tuple[int, ...], w: tuple[int, ...], options: dict[str, Any]
) -> None:
    _, image, kernel, order = arrays(x, w)
    rank = len(x) - 2
    pads = ((options.get("padding", 0),) * 2,) * rank
    obtained = convolve(
        image[:, order], kernel, Geometry((1,) * rank, pads, (1,) * rank, options.get("groups", 1))
    ).astype(np.float32)
    space = "DHW"[-rank:]
    found = convdiff.diff(
        image, kernel, obtained, input_layout=f"NC{space}", kernel_layout=f"OI{space}", **options
    )
    assert found.findings[0].edits == ({"code": "input-channels-permuted", "permutation": order},)


@pytest.mark.parametrize(
    "beside",
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
def test_many_channels_in_another_order_beside_another_edit(beside: str, channels: int) -> None:
    rng, x, w, order = arrays((3, channels, 6, 6), (channels, channels, 3, 3))
    image, kernel, pads, groups, bias = (
        x[:, order],
        w,
        ((1, 1), (1, 1)),
        1,
        rng.standard_normal(channels).astype(np.float32),
    )
    if beside == "kernel-flipped":
        kernel = kernel[:, :, ::-1, ::-1]
    if beside == "reduced-precision":
        image, kernel = (
            np.asarray(convdiff.numerics.precision.to_tf32(array)) for array in (image, kernel)
        )
    if beside == "wrong-padding":
        pads = ((2, 0), (2, 0))
    if beside == "wrong-groups":
        kernel, groups = kernel[:, : channels // 2], 2
    made = convolve(image, kernel, Geometry((1, 1), pads, (1, 1), groups))
    made = made if beside == "bias-missing" else made + bias.reshape(1, -1, 1, 1)
    if beside == "bias-added":
        made = made + rng.standard_normal((1, channels, 1, 1))
    made = {
        "activation-applied": np.maximum(made, 0),
        "scaled": made / 3,
        "output-batch-permuted": made[[2, 0, 1]],
    }.get(beside, made).astype(np.float32)
    found = convdiff.diff(x, w, made, padding=1, bias=bias)
    edits = {edit["code"]: edit for edit in found.findings[0].edits}
    assert edits.pop("input-channels-permuted")["permutation"] == order
    assert set(edits) == {beside}


def planted(
    x: Array, w: Array, order: list[int], beside: tuple[str, ...], rng: np.random.Generator
) -> Array:
    """A 3x3 convolution padded by one, with the input's channels in this order and two other
    faults.
    """
    channels = x.shape[1]
    image, kernel, pads, mode = x[:, order], w, ((1, 1), (1, 1)), "constant"
    if "kernel-flipped" in beside:
        kernel = kernel[:, :, ::-1, ::-1]
    if "kernel-axes-permuted" in beside:
        kernel = kernel.swapaxes(2, 3)
    if "wrong-padding" in beside:
        pads = ((2, 0), (2, 0))
    if "wrong-pad-mode" in beside:
        mode = "reflect"
    made = convolve(image, kernel, Geometry((1, 1), pads, (1, 1), pad_mode=mode))
    if "overlap-accumulated" in beside:
        made = made * np.minimum(np.minimum(np.arange(7) + 1, 7 - np.arange(7)), 3)
    if "activation-applied" in beside:
        made = np.tanh(made / np.std(made))
    if "output-reshaped" in beside:
        made = np.moveaxis(made, 1, -1).copy().reshape(made.shape)
    if "bias-added" in beside:
        made = made + rng.standard_normal((1, channels, 1, 1))
    return made.astype(np.float32)


@pytest.mark.parametrize(
    "beside",
    [
        ("kernel-flipped", "wrong-padding"),
        ("kernel-axes-permuted", "bias-added"),
        ("wrong-pad-mode", "overlap-accumulated"),
        ("kernel-flipped", "output-reshaped"),
        ("kernel-axes-permuted", "wrong-pad-mode"),
    ],
)
@pytest.mark.parametrize("channels", [6, 64])
def test_many_channels_in_another_order_beside_two_other_edits(
    beside: tuple[str, ...], channels: int
) -> None:
    rng, x, w, order = arrays((1, channels, 7, 7), (channels, channels, 3, 3))
    found = convdiff.diff(x, w, planted(x, w, order, beside, rng), padding=1)
    edits = {edit["code"]: edit for edit in found.findings[0].edits}
    assert edits.pop("input-channels-permuted")["permutation"] == order
    assert set(edits) == set(beside)


@pytest.mark.parametrize("beside", [(), ("kernel-flipped",), ("wrong-padding",), ("bias-added",)])
def test_channels_that_are_much_alike_are_told_apart(beside: tuple[str, ...]) -> None:
    rng, x, w, order = arrays((1, 32, 7, 7), (32, 32, 3, 3))
    ramp = np.add.outer(np.linspace(0, 1, 7), np.linspace(0, 2, 7))
    picture = (np.sin(3 * ramp) + 0.02 * x).astype(np.float32)
    found = convdiff.diff(picture, w, planted(picture, w, order, beside, rng), padding=1)
    edits = {edit["code"]: edit for edit in found.findings[0].edits}
    assert edits.pop("input-channels-permuted")["permutation"] == order
    assert set(edits) == set(beside)


@pytest.mark.parametrize("beside", [(), ("kernel-flipped",), ("wrong-padding",)])
def test_the_channels_of_input_and_output_in_other_orders(beside: tuple[str, ...]) -> None:
    rng, x, w, order = arrays((2, 7, 7, 7), (7, 7, 3, 3))
    outer = rng.permutation(7).tolist()
    found = convdiff.diff(x, w, planted(x, w, order, beside, rng)[:, outer], padding=1)
    edits = {edit["code"]: edit for edit in found.findings[0].edits}
    assert edits.pop("input-channels-permuted")["permutation"] == order
    assert edits.pop("output-channels-permuted")["permutation"] == outer
    assert set(edits) == set(beside)


@pytest.mark.parametrize("stride", [(1, 1), (2, 1)])
@pytest.mark.parametrize("lo", [0, 1, 2])
def test_the_output_speaks_for_its_geometry_whatever_the_kernel(
    stride: tuple[int, int], lo: int
) -> None:
    _, x, w, order = arrays((1, 16, 9, 9), (16, 16, 3, 3))
    made = convolve(x[:, order], w[::-1], Geometry(stride, ((lo, 2 - lo), (1, 1)), (1, 1)))
    asked = AskedGeometry(False, stride, (1, 1), ((1, 1), (1, 1)), (0, 0), "constant")
    made_by = [
        each
        for edits in (0, 1)
        for each in [enumerate_geometries(asked, (9, 9), (3, 3), made.shape[2:], (1, 1), edits)]
        if len(each)
    ]
    told = []
    for several in made_by:
        speaks = InputSimilarity(
            ArrayView.of(x), comparison_points(made.shape, 81), several, (3, 3)
        ).alignment(ArrayView.of(made))
        told += [(float(number), several.form(at).axes[0].lo) for at, number in enumerate(speaks)]
    assert max(told)[1] == lo


def test_few_places_that_speak_softly_do_not_hide_a_common_mistake() -> None:
    rng, x, w, order = arrays((3, 6, 10, 10), (6, 6, 5, 5))
    bias = rng.standard_normal(6).astype(np.float32)
    made = convolve(
        x[:, order], w, Geometry((4, 4), ((1, 1), (1, 1)), (1, 1), pad_mode="edge")
    ) + 2 * bias.reshape(1, -1, 1, 1)
    found = convdiff.diff(x, w, made.astype(np.float32), padding=1, stride=4, bias=bias)
    edits = {edit["code"]: edit for edit in found.findings[0].edits}
    assert edits.pop("input-channels-permuted")["permutation"] == order
    assert set(edits) == {"wrong-pad-mode", "bias-doubled"}
