"""Faults planted in complex convolutions, which a naive implementation computes, are found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import convdiff
from convdiff.diagnose.diagnosis import MAX_RIVALS
from convdiff.records import Edit
from tests.diagnose import faults
from tests.diagnose.faults import Drawn, Fault, Work, draw
from tests.diagnose.naive import Array, Geometry, convolve
from tests.diagnose.test_planted import agree, codes

# Drawn convolutions to which a fault is applied, at most, until it applies to `PLANTED`.
MAX_DRAWN, PLANTED = 200, 3


def complex_convolve(x: Array, w: Array, g: Geometry) -> Array:
    real = convolve(x.real, w.real, g) - convolve(x.imag, w.imag, g)
    imaginary = convolve(x.real, w.imag, g) + convolve(x.imag, w.real, g)
    return real + 1j * imaginary


class ComplexWork(Work):
    def output(self) -> Array:
        output = complex_convolve(self.x, self.w, self.geometry)
        if self.drawn.bias is not None:
            output = output + self.bias_factor * self.per_channel(self.drawn.bias)
        for change in self.after:
            output = change(output)
        return output


def kernel_conjugated(work: Work, rng: np.random.Generator) -> Edit:
    work.w = work.w.conj()
    return {"code": "kernel-conjugated"}


def input_conjugated(work: Work, rng: np.random.Generator) -> Edit:
    work.x = work.x.conj()
    return {"code": "input-conjugated"}


def output_conjugated(work: Work, rng: np.random.Generator) -> Edit:
    work.after.append(np.conj)
    return {"code": "output-conjugated"}


def input_part_kept(work: Work, rng: np.random.Generator) -> Edit:
    work.x = work.x.real.astype(work.x.dtype)
    return {"code": "part-kept", "where": "input", "obtained": "real"}


def kernel_part_kept(work: Work, rng: np.random.Generator) -> Edit:
    work.w = work.w.real.astype(work.w.dtype)
    return {"code": "part-kept", "where": "kernel", "obtained": "real"}


def output_part_kept(work: Work, rng: np.random.Generator) -> Edit:
    parts: dict[str, Callable[[Array], Array]] = {
        "real": np.real,
        "imaginary": np.imag,
        "magnitude": np.abs,
        "squared magnitude": lambda y: np.abs(y) ** 2,
    }
    name = str(rng.choice([*parts]))
    work.after.append(parts[name])
    return {"code": "part-kept", "where": "output", "obtained": name}


def scaled_by_complex_factor(work: Work, rng: np.random.Generator) -> Edit:
    factor = complex(*rng.standard_normal(2))
    work.after.append(lambda y: y * factor)
    return {"code": "scaled"}


OF_COMPLEX_NUMBERS: tuple[Fault, ...] = (
    kernel_conjugated,
    input_conjugated,
    output_conjugated,
    input_part_kept,
    kernel_part_kept,
    output_part_kept,
    scaled_by_complex_factor,
)


def not_computed(work: Work, rng: np.random.Generator) -> Edit | None:
    edit = faults.not_computed(work, rng)
    # A real number is another one in each part.
    return edit if edit is not None and edit["left"] in ("zero", "nan") else None


# Of the faults of real arrays those that move elements, windows or whole numbers.
OF_REAL_ARRAYS: tuple[Fault, ...] = (
    faults.kernel_flipped,
    faults.kernel_axes_permuted,
    faults.kernel_reshaped,
    faults.input_axes_permuted,
    faults.input_channels_reversed,
    faults.input_reversed,
    faults.input_batch_permuted,
    faults.wrong_padding,
    faults.wrong_pad_mode,
    faults.wrong_stride,
    faults.wrong_dilation,
    faults.wrong_transposed,
    faults.wrong_output_padding,
    faults.output_axes_permuted,
    faults.output_batch_permuted,
    faults.bias_missing,
    faults.bias_doubled,
    faults.overlap_accumulated,
    not_computed,
    faults.output_rolled,
)
BESIDE: tuple[Fault, ...] = (faults.kernel_flipped, faults.wrong_padding, faults.bias_missing)


def complex_draw(rng: np.random.Generator, **kwargs: Any) -> Drawn:
    drawn = draw(rng, **kwargs)

    def with_imaginary(array: Array) -> Array:
        imaginary = rng.standard_normal(array.shape).astype(np.float32)
        if np.array_equal(array, np.rint(array)):
            imaginary = np.rint(3 * imaginary)
        return np.asarray(array + 1j * imaginary, np.complex64)

    bias = None if drawn.bias is None else with_imaginary(drawn.bias)
    return replace(drawn, x=with_imaginary(drawn.x), w=with_imaginary(drawn.w), bias=bias)


def stored(output: Array) -> Array:
    return np.ascontiguousarray(output).astype(np.complex64 if np.iscomplexobj(output) else "f4")


def planted_output(
    rng: np.random.Generator, *planted: Fault, **kwargs: Any
) -> tuple[Drawn, Array, list[Edit]]:
    """A convolution to which the faults apply, its output, and their edits."""
    for _ in range(MAX_DRAWN):
        drawn = complex_draw(rng, **kwargs)
        work = ComplexWork(drawn, drawn.x, drawn.w, drawn.geometry)
        edits = [fault(work, rng) for fault in planted]
        try:
            obtained = stored(work.output())
        except ValueError:
            continue
        if all(edit is not None for edit in edits) and obtained.size:
            return drawn, obtained, [edit for edit in edits if edit is not None]
    raise AssertionError("the faults never applied")


def check(drawn: Drawn, obtained: Array, planted: list[Edit]) -> None:
    result = convdiff.diff(drawn.x, drawn.w, obtained, bias=drawn.bias, **drawn.options())
    if result.agrees:
        clean = ComplexWork(drawn, drawn.x, drawn.w, drawn.geometry).output()
        np.testing.assert_allclose(obtained, clean, rtol=1e-4, atol=1e-4)
        return
    assert result.findings, f"no finding for {planted}: {drawn.options()}"
    first = result.findings[0]
    assert len(first.edits) <= len(planted), (first.edits, planted)
    if len(first.edits) == len(planted):
        explanations = (first.edits, *first.rivals)
        found = any(agree(edits, planted) for edits in explanations)
        assert found or len(explanations) > MAX_RIVALS, f"{planted} found as {explanations}"


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(
    "fault", [*OF_COMPLEX_NUMBERS, *OF_REAL_ARRAYS], ids=lambda fault: fault.__name__
)
def test_a_single_fault_of_complex_arrays_is_found(fault: Fault, rank: int) -> None:
    rng = np.random.default_rng(rank)
    transposed = {faults.wrong_output_padding: True, faults.kernel_reshaped: False}.get(fault)
    for _ in range(PLANTED):
        check(*planted_output(rng, fault, rank=rank, transposed=transposed))


@pytest.mark.parametrize("beside", BESIDE, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("fault", OF_COMPLEX_NUMBERS, ids=lambda fault: fault.__name__)
def test_a_fault_of_complex_numbers_is_found_beside_another(fault: Fault, beside: Fault) -> None:
    if fault is scaled_by_complex_factor and beside is not faults.kernel_flipped:
        pytest.skip("a complex factor is fitted beside a flip alone")
    rng = np.random.default_rng(7)
    drawn, obtained, planted = planted_output(rng, beside, fault, rank=2)
    check(drawn, obtained, planted)


@pytest.mark.parametrize("seed", range(12))
def test_a_correct_complex_output_has_no_finding(seed: int) -> None:
    rng = np.random.default_rng(seed)
    drawn = complex_draw(rng)
    clean = ComplexWork(drawn, drawn.x, drawn.w, drawn.geometry).output()
    for dtype in (np.complex64, np.complex128):
        result = convdiff.diff(
            drawn.x, drawn.w, clean.astype(dtype), bias=drawn.bias, **drawn.options()
        )
        assert result.verdict in ("identical", "rounding"), result.row


def test_real_parts_of_both_operands_are_two_edits() -> None:
    drawn = complex_draw(np.random.default_rng(4), rank=2)
    w = drawn.w.real + 0j
    obtained = stored(ComplexWork(drawn, drawn.x.real + 0j, w, drawn.geometry).output())
    result = convdiff.diff(drawn.x, drawn.w, obtained, bias=drawn.bias, **drawn.options())
    edits = result.findings[0].edits
    assert [(edit["code"], edit["where"]) for edit in edits] == [
        ("part-kept", "input"),
        ("part-kept", "kernel"),
    ]


def test_noise_has_no_explanation() -> None:
    rng = np.random.default_rng(3)
    drawn = complex_draw(rng, rank=2)
    shape = ComplexWork(drawn, drawn.x, drawn.w, drawn.geometry).output().shape
    noise = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    for output in (noise, noise.real, np.abs(noise)):
        result = convdiff.diff(drawn.x, drawn.w, stored(output), bias=drawn.bias, **drawn.options())
        assert result.verdict == "different" and not result.findings


def test_numpy_s_correlate_conjugates_and_so_do_scipy_s() -> None:
    signal, ndimage = pytest.importorskip("scipy.signal"), pytest.importorskip("scipy.ndimage")
    drawn = complex_draw(np.random.default_rng(0), rank=1)
    x, w = drawn.x[0, 0].astype(complex), drawn.w[0, 0, :3].astype(complex)
    if w.size % 2 == 0:
        w = np.append(w, 1 - 2j)
    edge = w.size // 2
    outputs = {
        "numpy": np.correlate(x, w, "same"),
        "scipy": signal.correlate(x, w, "same"),
        "ndimage": ndimage.correlate(x, w, mode="constant"),
    }
    for name, output in outputs.items():
        result = convdiff.diff(x, w, output, padding=edge)
        assert codes(result.findings[0].edits) == ["kernel-conjugated"], name
    convolved = convdiff.diff(x, w, outputs["numpy"], padding=edge, flip=True)
    assert codes(convolved.findings[0].edits) == ["kernel-conjugated", "kernel-not-flipped"]


@pytest.mark.parametrize("asked", [2.0, [1.5, -2.0]])
@pytest.mark.parametrize("held", [0.0, 5.0])
def test_numbers_asked_in_the_padding_are_those_of_the_real_parts(asked: Any, held: float) -> None:
    rng = np.random.default_rng(4)
    x, w = (
        (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)
        for shape in ((2, 2, 9, 8), (3, 2, 3, 3))
    )

    def output(numbers: Any) -> Array:
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=np.nan)
        each = np.broadcast_to(numbers, 2)[:, None, None]
        padded = np.where(np.isnan(padded), each, padded)
        return complex_convolve(padded, w, Geometry((1, 1), ((0, 0), (0, 0)), (1, 1)))

    options = {"padding": 1, "pad_value": asked}
    right = convdiff.diff(x, w, output(asked).astype(np.complex64), **options)
    assert right.verdict in ("identical", "rounding")
    wrong = convdiff.diff(x, w, output(held).astype(np.complex64), **options)
    (edit,) = wrong.findings[0].edits
    assert edit["code"] == "wrong-pad-value" and edit["asked"] == asked
    assert edit["obtained"] == pytest.approx(held, abs=1e-4)
