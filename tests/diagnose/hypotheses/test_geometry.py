"""Hypotheses about the geometry: what is found, and the name that it has."""

from __future__ import annotations

import numpy as np
import pytest

import convdiff
from tests.diagnose.findings import conv, finding, first_edits, normal, summary

X, W = normal(2, 3, 8, 9), normal(4, 3, 3, 3)


@pytest.mark.parametrize(("asked", "obtained", "words"), [(1, 2, "one more"), (3, 2, "one less")])
def test_a_dilation_off_by_one_is_onednns(asked: int, obtained: int, words: str) -> None:
    x = normal(1, 3, 14, 13)
    text = summary(x, W, conv(x, W, 1, dilation=obtained), padding=1, dilation=asked)
    assert f"{words} on every axis: oneDNN counts dilation from 0" in text


def test_an_ignored_dilation_is_not_onednns() -> None:
    x = normal(1, 3, 14, 13)
    assert "oneDNN" not in summary(x, W, conv(x, W, 1), padding=1, dilation=2)


def test_exchanged_strides_are_named() -> None:
    obtained = conv(X, W, 1, stride=(2, 1))
    words = "the strides of H and W exchanged"
    assert words in summary(X, W, obtained, padding=1, stride=(1, 2))


def test_exchanged_dilations_are_named() -> None:
    obtained = conv(X, W, 1, dilation=(2, 1))
    words = "the dilations of H and W exchanged"
    assert words in summary(X, W, obtained, padding=1, dilation=(1, 2))


def test_exchanged_stride_and_padding_are_named() -> None:
    text = summary(X, W, conv(X, W, 2), stride=2, padding=1)
    assert "(stride and padding were exchanged)" in text


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("reflect", "BORDER_REFLECT_101"),
        ("symmetric", "scipy.ndimage calls reflect"),
        ("edge", "replicate"),
        ("wrap", "circular"),
    ],
)
def test_a_pad_mode_has_the_names_of_the_libraries(mode: str, words: str) -> None:
    w = normal(4, 3, 5, 5)
    padded = np.pad(X, ((0, 0), (0, 0), (2, 2), (2, 2)), mode=mode)  # type: ignore[call-overload]
    assert words in summary(X, w, conv(padded, w), padding=2)


UNEVEN_MODES = [
    ("wrap", "constant"),
    ("constant", "wrap"),
    ("edge", "reflect"),
    ("constant", "constant", "wrap"),
    ("wrap", "edge", "wrap"),
]


@pytest.mark.parametrize("modes", UNEVEN_MODES)
@pytest.mark.parametrize("asked", ["constant", "wrap"])
@pytest.mark.parametrize("flipped", [False, True])
def test_the_axes_may_have_different_pad_modes(
    modes: tuple[str, ...], asked: str, flipped: bool
) -> None:
    rank = len(modes)
    x, w = normal(2, 3, *(8, 7, 9)[:rank]), normal(4, 3, *(5,) * rank)
    kernel = np.flip(w, (*range(2, w.ndim),)) if flipped else w
    obtained = conv(x, kernel, 2, pad_mode=modes)
    edits = first_edits(x, w, obtained, padding=2, pad_mode=asked)
    expected = {"code": "wrong-pad-mode", "asked": asked, "obtained": list(modes)}
    assert [edit["code"] for edit in edits if edit != expected] == ["kernel-flipped"] * flipped
    assert expected in edits


ASKED_MODES = [("edge", "wrap"), ("wrap", "constant"), ("constant", "edge", "wrap")]


@pytest.mark.parametrize("asked", ASKED_MODES)
@pytest.mark.parametrize("obtained", ["constant", "wrap", "exchanged", "first changed"])
def test_another_mode_than_was_asked_for_each_axis(asked: tuple[str, ...], obtained: str) -> None:
    rank = len(asked)
    x, w = normal(2, 3, *(8, 7, 9)[:rank]), normal(4, 3, *(5,) * rank)
    modes: str | tuple[str, ...] = {
        "exchanged": asked[::-1],
        "first changed": ("reflect", *asked[1:]),
    }.get(obtained, obtained)
    edits = first_edits(x, w, conv(x, w, 2, pad_mode=modes), padding=2, pad_mode=asked)
    expected = modes if isinstance(modes, str) else list(modes)
    assert edits == [{"code": "wrong-pad-mode", "asked": list(asked), "obtained": expected}]


@pytest.mark.parametrize("asked", ASKED_MODES)
@pytest.mark.parametrize("given", ["list", "text"])
def test_the_mode_that_was_asked_for_each_axis_is_right(asked: tuple[str, ...], given: str) -> None:
    rank = len(asked)
    x, w = normal(2, 3, *(8, 7, 9)[:rank]), normal(4, 3, *(3,) * rank)
    option = list(asked) if given == "list" else ",".join(asked)
    result = convdiff.diff(x, w, conv(x, w, 1, pad_mode=asked), padding=1, pad_mode=option)
    assert result.verdict in ("identical", "rounding")


FAULTS_BESIDE = {
    "kernel-flipped": lambda x, w: (x, np.flip(w, (2, 3))),
    "input-channels-reversed": lambda x, w: (x[:, ::-1], w),
    "kernel-axes-permuted": lambda x, w: (x, w.swapaxes(2, 3)),
}


@pytest.mark.parametrize("asked", ASKED_MODES[:2])
@pytest.mark.parametrize("code", FAULTS_BESIDE)
def test_other_faults_are_found_under_a_mode_for_each_axis(
    code: str, asked: tuple[str, ...]
) -> None:
    changed = FAULTS_BESIDE[code](X, W)
    edits = first_edits(X, W, conv(*changed, 1, pad_mode=asked), padding=1, pad_mode=asked)
    assert [edit["code"] for edit in edits] == [code]


def test_other_geometry_is_found_under_a_mode_for_each_axis() -> None:
    asked = ("edge", "wrap")
    strided = conv(X, W, 1, stride=2, pad_mode=asked)
    (edit,) = first_edits(X, W, strided, padding=1, pad_mode=asked)
    assert edit["code"] == "wrong-stride"
    shifted = conv(X, W, ((0, 2), (0, 2)), pad_mode=asked)
    (edit,) = first_edits(X, W, shifted, padding=1, pad_mode=asked)
    assert edit["obtained"] == [[0, 2], [0, 2]]


def test_the_option_with_a_mode_for_each_axis_is_told() -> None:
    w = normal(4, 3, 5, 5)
    obtained = conv(X, w, 2, pad_mode=("wrap", "constant"))
    result = convdiff.diff(X, w, obtained, padding=2)
    assert "with --pad-mode wrap,constant it agrees" in str(result)
    exchanged = convdiff.diff(X, w, obtained, padding=2, pad_mode="constant,wrap")
    assert "with --pad-mode wrap,constant it agrees" in str(exchanged)
    assert "the modes of the axes were exchanged" in str(exchanged)


@pytest.mark.parametrize(("pads", "mode"), [(((2, 2), (0, 0)), "wrap"), (((1, 1), (1, 1)), "edge")])
def test_one_pad_mode_is_simpler_than_one_for_each_axis(
    pads: tuple[tuple[int, int], ...], mode: str
) -> None:
    obtained = conv(X, W, pads, pad_mode=mode)
    (edit,) = first_edits(X, W, obtained, padding=[list(pair) for pair in pads])
    assert edit["obtained"] == mode


def test_the_axes_may_have_different_pad_modes_beside_another_padding() -> None:
    obtained = conv(X, normal(4, 3, 5, 5), 2, pad_mode=("constant", "wrap"))
    edits = first_edits(X, normal(4, 3, 5, 5), obtained, padding=1)
    assert [edit["obtained"] for edit in edits] == [[[2, 2], [2, 2]], ["constant", "wrap"]]


def test_a_pad_mode_for_each_axis_is_told_in_words() -> None:
    w = normal(4, 3, 5, 5)
    text = summary(X, w, conv(X, w, 2, pad_mode=("constant", "wrap")), padding=2)
    assert "by 'constant' along H and by 'wrap' along W instead of by 'constant'" in text
    assert "circular along one axis only" in text


@pytest.mark.parametrize(
    ("conjugate", "words"),
    [
        (False, "a product of FFTs without zero padding is a circular convolution"),
        (True, "is a circular cross-correlation"),
    ],
)
@pytest.mark.parametrize("size", [(8, 9), (12, 12)])
def test_a_product_of_ffts_is_named(conjugate: bool, words: str, size: tuple[int, int]) -> None:
    x, w = normal(*size).astype(np.float64), normal(3, 3).astype(np.float64)
    spectrum = np.fft.fft2(w, x.shape)
    product = np.fft.fft2(x) * (spectrum.conj() if conjugate else spectrum)
    text = summary(x, w, np.fft.ifft2(product).real, padding="same")
    assert words in text
    assert "causal" not in text
    assert ("the kernel was flipped" in text) == (not conjugate)


@pytest.mark.parametrize(("asked", "obtained"), [((1, 1, 1), (1, 2, 2)), ((2, 2, 2), (2, 1, 1))])
@pytest.mark.parametrize("name", ["stride", "dilation"])
def test_two_of_three_axes_may_differ(
    asked: tuple[int, ...], obtained: tuple[int, ...], name: str
) -> None:
    x, w = normal(1, 2, 8, 8, 8), normal(3, 2, 2, 2, 2)
    output = conv(x, w, **{name: obtained})  # type: ignore[arg-type]
    edit = {"code": f"wrong-{name}", "asked": [*asked], "obtained": [*obtained]}
    assert first_edits(x, w, output, **{name: asked}) == [edit]


@pytest.mark.parametrize(
    ("k", "asked", "dilation", "pad"),
    [(3, {"dilation": 3, "padding": 3}, 1, 6), (5, {"padding": 2}, 3, 4)],
)
def test_another_dilation_is_found_beside_any_padding(
    k: int, asked: dict[str, int], dilation: int, pad: int
) -> None:
    x, w = normal(2, 3, 13, 13), normal(4, 3, k, k)
    obtained = conv(x, w, pad, dilation=dilation)
    edits = {edit["code"]: edit for edit in first_edits(x, w, obtained, **asked)}
    assert set(edits) == {"wrong-dilation", "wrong-padding"}
    assert edits["wrong-padding"]["obtained"] == [[pad, pad]] * 2


@pytest.mark.parametrize(("k", "dilation"), [(2, 1), (3, 1), (3, 2), (5, 1)])
@pytest.mark.parametrize("cropped", [False, True])
def test_causal_padding_may_be_applied_twice(k: int, dilation: int, cropped: bool) -> None:
    x, w, lo = normal(1, 4, 24), normal(4, 4, k), (k - 1) * dilation
    output = conv(x, w, ((2 * lo, 0),), dilation=dilation)
    obtained = output[..., :24] if cropped else output
    pads = [[2 * lo, -lo if cropped else 0]]
    edit = {"code": "wrong-padding", "asked": [[lo, 0]], "obtained": pads}
    assert first_edits(x, w, obtained, padding="causal", dilation=dilation) == [edit]


@pytest.mark.parametrize(("k", "pad"), [(1, 3), (3, 4), (3, 6)])
def test_padding_may_be_wider_than_the_kernel(k: int, pad: int) -> None:
    x, w = normal(1, 3, 9, 9), normal(4, 3, k, k)
    edit = {"code": "wrong-padding", "asked": [[1, 1], [1, 1]], "obtained": [[pad, pad]] * 2}
    assert first_edits(x, w, conv(x, w, pad), padding=1) == [edit]


@pytest.mark.parametrize(("n", "dilation"), [(20, 5), (20, 8), (24, 12), (24, 18)])
def test_the_dilations_of_a_spatial_pyramid_are_found(n: int, dilation: int) -> None:
    x, w = normal(1, 3, n, n), normal(2, 3, 3, 3)
    edits = first_edits(x, w, conv(x, w, dilation, dilation=dilation), padding=1)
    assert {edit["code"]: edit["obtained"] for edit in edits} == {
        "wrong-dilation": [dilation] * 2,
        "wrong-padding": [[dilation] * 2] * 2,
    }


@pytest.mark.parametrize(
    ("k", "stride", "n"),
    [(16, 16, 48), (14, 14, 56), (11, 11, 36), (8, 4, 30), (3, 5, 22), (10, 5, 40)],
)
def test_the_strides_of_patch_embeddings_are_found(k: int, stride: int, n: int) -> None:
    x, w = normal(1, 2, n, n), normal(2, 2, k, k)
    edit = {"code": "wrong-stride", "asked": [2, 2], "obtained": [stride] * 2}
    assert first_edits(x, w, conv(x, w, stride=stride), stride=2) == [edit]


def test_the_stride_of_learned_upsampling_is_found() -> None:
    x, w = normal(1, 2, 3, 3), normal(2, 2, 16, 16)
    obtained = conv(x, w, 4, stride=8, transposed=True)
    asked = {"transposed": True, "stride": 2, "padding": 4, "kernel_layout": "IOHW"}
    edit = {"code": "wrong-stride", "asked": [2, 2], "obtained": [8, 8]}
    assert first_edits(x, w, obtained, **asked) == [edit]


def test_causal_padding_of_unequal_axes_is_found_beside_a_stride() -> None:
    x, w = normal(2, 2, 6, 6, 6), normal(3, 2, 4, 5, 2)
    obtained = conv(x, w, ((3, 0), (4, 0), (1, 0)), stride=(2, 1, 1))
    edits = first_edits(x, w, obtained, padding="same")
    assert {edit["code"]: edit["obtained"] for edit in edits} == {
        "wrong-stride": [2, 1, 1],
        "wrong-padding": [[3, 0], [4, 0], [1, 0]],
    }


def test_an_end_padding_that_no_window_reaches_is_a_rival() -> None:
    x, w = normal(1, 2, 8, 8), normal(2, 2, 3, 3)
    first = finding(x, w, conv(x, w, ((0, 1), (0, 1)), stride=2), padding=1, stride=2)
    paddings = [edits[0]["obtained"] for edits in (first.edits, *first.rivals)]
    assert [[0, 1], [0, 1]] in paddings
    assert [[0, 2], [0, 2]] in paddings
