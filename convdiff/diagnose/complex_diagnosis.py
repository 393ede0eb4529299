"""The diagnosis of a complex output: that of its parts, and of variants made in complex terms.

A complex convolution is a real one of twice the channels (`numerics.complex_parts`), and most
mistakes are the same in both: flips, geometry, padding, counts, factors, constants. Those that
are not (a conjugated kernel, a part that was dropped, a complex factor) are made first, each as a
`Variant`: a problem in which the mistake is undone or made, on which the real search then runs.
`translated` brings what it finds into complex terms, and drops what has no meaning there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from convdiff.diagnose.complex_layouts import reorderings
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.diagnosis import MAX_RIVALS, Diagnosis, Explanation, Unexplained
from convdiff.diagnose.hypotheses.base import Edits
from convdiff.diagnose.hypotheses.complex_numbers import (
    InputConjugated,
    KernelConjugated,
    OutputConjugated,
    PartKept,
)
from convdiff.diagnose.hypotheses.geometry import WrongPadValue
from convdiff.diagnose.hypotheses.kernel import KernelFlipped, KernelNotFlipped
from convdiff.diagnose.hypotheses.output_scale import Scaled
from convdiff.diagnose.schedule import MAX_EDITS
from convdiff.numerics.complex_parts import (
    channel_parts,
    joined_parts,
    kernel_parts,
    with_common_scale,
)
from convdiff.numerics.reference import Reference, compute_reference
from convdiff.records import Edit
from convdiff.spec.canonical import reversed_space
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array, from_order

# Edits that mean the same of the parts as of complex numbers.
SAME_OF_PARTS = {
    "kernel-flipped",
    "kernel-not-flipped",
    "input-reversed",
    "operands-exchanged",
    "wrong-padding",
    "wrong-pad-mode",
    "wrong-stride",
    "wrong-dilation",
    "wrong-output-padding",
    "averaged-by-count",
    "output-rolled",
    "output-is-input",
    "overlap-accumulated",
    "input-batch-permuted",
    "output-batch-permuted",
    "reduced-precision",
    "scaled",
}
# Edits with a list of numbers, one for each channel of a side, and the field that has it.
VALUES_OF_CHANNELS = {
    "bias-missing": "values",
    "bias-doubled": "values",
    "bias-added": "values",
    "wrong-pad-value": "obtained",
}
# Edits with a permutation of channels.
PERMUTATIONS = ("input-channels-permuted", "output-channels-permuted")
AXES_PERMUTED = ("kernel-axes-permuted", "input-axes-permuted", "output-axes-permuted")
# The least share of a factor that is imaginary: others are found as real ones.
MIN_IMAGINARY_SHARE = 1e-4
# How far a fitted factor may be from a power of the imaginary unit to be taken for it.
UNIT_TOLERANCE = 1e-5
# The share of the output that a fitted factor may leave unexplained to be worth a proof.
MAX_RESIDUAL = 1e-2
# Real products of a convolution up to which other orders of its arrays are tried.
MAX_REORDERED_PRODUCTS = 1 << 24
# How far fitted numbers in the padding may be from each other, or from real, to be taken for one.
PAD_VALUE_TOLERANCE = 1e-5
# Elements from which on a complex factor is fitted.
MIN_ELEMENTS_FOR_A_FACTOR = 3
# Errors of both parts make that of a magnitude.
MAGNITUDE_ERROR = float(np.sqrt(2.0))


@dataclass(frozen=True)
class Variant:
    """A problem of real parts, and the edits that lead from the asked convolution to it.

    Its output channels are pairs of parts, unless it is about one part of them.  At most
    `max_beside` other edits are looked for.
    """

    problem: Problem
    edits: Edits
    paired: bool = True
    max_beside: int = 1


class ComplexDiagnosis:
    """What the other side did, for one problem of real parts; `spec` is the complex convolution."""

    def __init__(self, problem: Problem, spec: ConvSpec) -> None:
        self.problem = problem
        self.spec = spec

    def explanation(self, max_edits: int = MAX_EDITS) -> Explanation | None:
        """The simplest proven explanation with at most `max_edits` edits; None if there is none."""
        # Lists that became longer in complex terms than they were.
        longer: list[Edits] = []
        for edits in range(1, max_edits + 1):
            found = [each for each in self._magnitudes() if len(each) == edits]
            found += self._proven(self._diagnoses, edits)
            found = found or self._proven(self._diagnoses_of_reordered, edits)
            longer += [each for each in found if len(each) > edits]
            found = [each for each in found if len(each) <= edits]
            found += [each for each in longer if len(each) == edits and each not in found]
            if found:
                return Explanation(tuple(sorted(found, key=len))[: MAX_RIVALS + 1])
        return None

    @cached_property
    def _diagnoses(self) -> list[tuple[Variant, Diagnosis]]:
        return [(variant, Diagnosis(variant.problem)) for variant in self._variants]

    @cached_property
    def _diagnoses_of_reordered(self) -> list[tuple[Variant, Diagnosis]]:
        return [(variant, Diagnosis(variant.problem)) for variant in self._reordered()]

    def _proven(self, diagnoses: list[tuple[Variant, Diagnosis]], edits: int) -> list[Edits]:
        """The proven lists of so many edits of some variants, each once."""
        found: list[Edits] = []
        for variant, diagnosis in diagnoses:
            inner = edits - len(variant.edits)
            if not 0 <= inner <= variant.max_beside or diagnosis.believable_edits < edits:
                continue
            for proven in diagnosis.proven_with(inner):
                full = self._full_edits(variant, proven)
                if full is not None and full not in found:
                    found.append(full)
        return found

    def unexplained(self, agreeing: float) -> Unexplained:
        """What is known of the output without an explanation."""
        return Unexplained(agreeing)

    def _full_edits(self, variant: Variant, proven: Edits) -> Edits | None:
        """The variant's edits and the proven ones in complex terms; None if one has no meaning."""
        edits = translated(proven, self.spec, paired=variant.paired)
        if edits is None:
            return None
        codes = [edit["code"] for edit in edits]
        both = (*variant.edits, *edits)
        if codes.count(KernelConjugated.code) and KernelConjugated.code in (
            edit["code"] for edit in variant.edits
        ):
            # Exchanged channels conjugate the kernel's blocks, which was conjugated before.
            both = tuple(edit for edit in both if edit["code"] != KernelConjugated.code)
        last = [e for e in both if e["code"] in (OutputConjugated.code, PartKept.code)]
        first = [e for e in both if e["code"] == KernelConjugated.code]
        others = [e for e in both if e not in last and e not in first]
        return (*first, *others, *last)

    @cached_property
    def _input(self) -> Array:
        """The complex input (N, C, *space)."""
        return joined_parts(self.problem.input)

    @cached_property
    def _kernel(self) -> Array:
        """The complex kernel, its channels in the order of the problem's kernel layout."""
        blocks, first = self.problem.kernel, (slice(0, None, 2), slice(0, None, 2))
        imaginary = (slice(0, None, 2), slice(1, None, 2))
        if not self._input_first:
            imaginary = imaginary[::-1]
        kernel = np.empty(blocks[first].shape, np.result_type(blocks.dtype, np.complex64))
        kernel.real, kernel.imag = blocks[first], blocks[imaginary]
        return kernel

    @property
    def _input_first(self) -> bool:
        return self.problem.spec.kernel_layout.startswith("I")

    def _with(
        self,
        edits: Edits,
        *,
        input: Array | None = None,
        kernel: Array | None = None,
        factor: complex = 1,
        output: Array | None = None,
    ) -> Variant:
        """The problem with other complex arrays; a `factor` is on the kernel and the bias."""
        bias = self.problem.bias
        if factor != 1:
            kernel = (self._kernel if kernel is None else kernel) * factor
            if bias is not None:
                complex_bias = joined_parts(bias.reshape(1, -1)) * factor
                bias = channel_parts(complex_bias).reshape(-1)
        changed = replace(
            self.problem,
            input=self.problem.input if input is None else channel_parts(input),
            kernel=self.problem.kernel
            if kernel is None
            else kernel_parts(kernel, input_first=self._input_first),
            bias=bias,
            obtained=self.problem.obtained if output is None else channel_parts(output),
        )
        return Variant(changed, edits)

    @cached_property
    def _variants(self) -> list[Variant]:
        """The variants that these arrays can tell from the asked convolution, common ones first."""
        has_imaginary_input = bool(self._input.imag.any())
        has_imaginary_kernel = bool(self._kernel.imag.any())
        variants = [Variant(self.problem, (), max_beside=MAX_EDITS)]
        obtained = self.problem.obtained
        imaginary_output = bool(obtained[:, 1::2].any())
        if not imaginary_output:
            variants += self._output_parts_kept()
        conjugated = list(self._conjugated(has_imaginary_input, has_imaginary_kernel))
        variants += conjugated
        real_kernel: Edit = {"code": PartKept.code, "where": "kernel", "obtained": "real"}
        real_input: Edit = {"code": PartKept.code, "where": "input", "obtained": "real"}
        x, w = self._input.real, self._kernel.real
        if has_imaginary_kernel:
            variants.append(self._with((real_kernel,), kernel=w))
        if has_imaginary_input:
            variants.append(self._with((real_input,), input=x))
        if has_imaginary_input and has_imaginary_kernel:
            variants.append(self._with((real_input, real_kernel), input=x, kernel=w))
        if imaginary_output:
            variants += self._with_complex_factor()
        return variants

    def _reordered(self) -> Iterator[Variant]:
        """The arrays read in other orders, each also with a conjugated kernel.

        Where the output has another shape than asked, it has few orders, and one edit more.
        """
        spec, order = self.spec, "NC" + self.spec.axes
        conjugated = bool(self._kernel.imag.any())
        products = self.problem.obtained.size * self.problem.spec.terms
        if products > MAX_REORDERED_PRODUCTS or not self._output.size:
            return
        output = from_order(self._output, order, spec.output_layout)
        other_size = output.shape != spec.shape("output")
        conjugate: Edit = {"code": KernelConjugated.code}
        for role, edit, elements in reorderings(spec, output.shape, self.problem.rounding):
            if role == "output":
                if other_size and elements.shape != (
                    spec.batch,
                    spec.out_channels,
                    *spec.output_size,
                ):
                    continue
                y = output.reshape(-1)[elements]
                variant = replace(self._with((edit,), output=y), max_beside=int(other_size))
                yield variant
                if conjugated:
                    kernel = self._kernel.conj()
                    yield self._with((conjugate, edit), kernel=kernel, output=y)
            elif other_size:
                continue
            elif role == "input":
                x = from_order(self._input, order, spec.input_layout).reshape(-1)[elements]
                yield replace(self._with((edit,), input=x), max_beside=0)
            else:
                user = from_order(self._kernel, "OI" + spec.axes, spec.kernel_layout)
                w = reversed_space(user.reshape(-1)[elements], spec.flip)
                yield replace(self._with((edit,), kernel=w), max_beside=0)
                if conjugated:
                    yield replace(self._with((conjugate, edit), kernel=w.conj()), max_beside=0)

    def _conjugated(self, input: bool, kernel: bool) -> Iterator[Variant]:
        """The kernel, the input or the output conjugated."""
        if kernel:
            conjugated = self._with(({"code": KernelConjugated.code},), kernel=self._kernel.conj())
            yield replace(conjugated, max_beside=MAX_EDITS)
        if input:
            yield self._with(({"code": InputConjugated.code},), input=self._input.conj())
        if self.problem.obtained[:, 1::2].any():
            yield self._with(({"code": OutputConjugated.code},), output=self._output.conj())

    @cached_property
    def _output(self) -> Array:
        """The complex output (N, O, *space)."""
        return joined_parts(self.problem.obtained)

    def _output_parts_kept(self) -> list[Variant]:
        """The real or the imaginary part of the sums was kept as a real output.

        Also with a conjugated kernel, which np.correlate makes.
        """
        variants = []
        kernels: list[tuple[Edits, Problem]] = [((), self.problem)]
        if self._kernel.imag.any():
            conjugated = self._with(({"code": KernelConjugated.code},), kernel=self._kernel.conj())
            kernels.append((conjugated.edits, conjugated.problem))
        for edits, problem in kernels:
            axis = problem.spec.kernel_layout.index("O")
            spec = problem.spec
            for first, name in ((0, "real"), (1, "imaginary")):
                edit = {"code": PartKept.code, "where": "output", "obtained": name}
                chosen = np.arange(first, problem.kernel.shape[axis], 2)
                part = replace(
                    problem,
                    spec=replace(spec, out_channels=spec.out_channels // 2),
                    kernel=problem.kernel.take(chosen, axis),
                    bias=None if problem.bias is None else problem.bias[first::2],
                    obtained=problem.obtained[:, 0::2],
                    complex_parts=False,
                )
                variants.append(Variant(part, (*edits, edit), paired=False))
        return variants

    def _predictions(self) -> Iterator[tuple[Edits, Array, Reference]]:
        """Conjugated and flipped kernels: the edits, the complex kernel, and what it gives."""
        spec = self.problem.spec
        if self.problem.obtained.shape != spec.shape("output"):
            return
        code = KernelNotFlipped.code if self.spec.flip else KernelFlipped.code
        axes = [a for a, k in zip(spec.axes, spec.kernel_size, strict=True) if k > 1]
        for flipped in (False, True)[: 1 + bool(axes)]:
            for conjugated in (False, True)[: 1 + bool(self._kernel.imag.any())]:
                edits: list[Edit] = [{"code": KernelConjugated.code}] if conjugated else []
                if flipped:
                    edits.append({"code": code, "axes": axes})
                kernel = reversed_space(self._kernel, flipped)
                kernel = kernel.conj() if conjugated else kernel
                parts = kernel_parts(kernel, input_first=self._input_first)
                with np.errstate(all="ignore"):
                    reference = compute_reference(
                        spec, self.problem.input, parts, self.problem.bias
                    )
                yield tuple(edits), kernel, with_common_scale(reference)

    def _with_complex_factor(self) -> Iterator[Variant]:
        """Everything multiplied by one complex factor, which is fitted to the output."""
        y = self._output.astype(np.complex128)
        if y.size < MIN_ELEMENTS_FOR_A_FACTOR or not np.isfinite(y).all():
            return
        for edits, kernel, reference in self._predictions():
            sums = joined_parts(reference.output)
            size = np.vdot(sums, sums).real
            if not np.isfinite(size) or size == 0:
                continue
            factor = _tidy(complex(np.vdot(sums, y) / size))
            left = np.linalg.norm(y - factor * sums)
            if left > MAX_RESIDUAL * np.linalg.norm(y) or (
                abs(factor.imag) < MIN_IMAGINARY_SHARE * abs(factor)
            ):
                continue
            edit = {"code": Scaled.code, "factor": factor}
            yield self._with((*edits, edit), kernel=kernel, factor=factor)

    def _magnitudes(self) -> Iterator[Edits]:
        """The magnitudes of the sums, or their squares, were kept as a real output."""
        obtained, rounding = self.problem.obtained, self.problem.rounding
        if obtained[:, 1::2].any() or not (obtained[:, 0::2] >= 0).all():
            return
        for edits, _, reference in self._predictions():
            expected = np.abs(joined_parts(reference.output))
            scale = MAGNITUDE_ERROR * reference.scale[:, 0::2]
            kinds = {
                "magnitude": (expected, scale),
                "squared magnitude": (np.square(expected), 2 * expected * scale),
            }
            for name, (values, error_scale) in kinds.items():
                if scale.any() and rounding.explains_all(obtained[:, 0::2], values, error_scale):
                    edit = {"code": PartKept.code, "where": "output", "obtained": name}
                    yield (*edits, edit)


def _tidy(factor: complex) -> complex:
    """The fitted factor; i or -i where it differs from that by no more than a fit's error."""
    for unit in (1j, -1j):
        if abs(factor - unit) < UNIT_TOLERANCE:
            return unit
    return factor


def translated(edits: Edits, spec: ConvSpec, *, paired: bool = True) -> Edits | None:
    """Edits of the parts as edits of complex numbers; None if one of them has no meaning there.

    `spec` is the complex convolution.  With `paired`, the output's channels are pairs of parts.
    """
    found: list[Edit] = []
    for edit in edits:
        complex_edits = _translated(edit, spec, paired)
        if complex_edits is None:
            return None
        found += complex_edits
    return tuple(found)


def _translated(edit: Edit, spec: ConvSpec, paired: bool) -> list[Edit] | None:
    code = edit["code"]
    if code in SAME_OF_PARTS:
        return [edit]
    if code in VALUES_OF_CHANNELS:
        field = VALUES_OF_CHANNELS[code]
        if code == WrongPadValue.code:
            asked = list(spec.pad_value) if isinstance(spec.pad_value, tuple) else spec.pad_value
            return [{**edit, "asked": asked, field: _pad_value(edit[field])}]
        return [{**edit, field: _joined(edit[field])}] if paired else [edit]
    if code == "not-computed":
        return _translated_part(edit)
    if code == "wrong-transposed":
        # Its kernel has input and output channels exchanged, which conjugates the blocks.
        return [edit, {"code": KernelConjugated.code}] if paired else None
    if code in PERMUTATIONS:
        if not paired and code.startswith("output"):
            return [edit]
        permutation = _halved(edit["permutation"])
        if permutation is None:
            return None
        if code == "input-channels-permuted" and permutation == [*range(len(permutation))][::-1]:
            return [{"code": "input-channels-reversed"}]
        return [{**edit, "permutation": permutation}]
    if code in AXES_PERMUTED:
        return _translated_axes(edit, spec, paired)
    return None


def _translated_part(edit: Edit) -> list[Edit] | None:
    """A part that was not computed; None where it is only one part of complex channels."""
    named = re.fullmatch(r"channels? ([\d, ]+)", edit.get("where", ""))
    if named is None:
        return [edit]
    channels = _halved([int(number) for number in named[1].split(",")])
    if channels is None:
        return None
    plural = "s" if len(channels) > 1 else ""
    return [{**edit, "where": f"channel{plural} {', '.join(map(str, channels))}"}]


def _joined(values: object) -> object:
    """Numbers of the parts, a list, as a list of complex ones."""
    if not isinstance(values, list):
        return values
    return [complex(a, b) for a, b in zip(values[0::2], values[1::2], strict=True)]


def _pad_value(values: object) -> object:
    """What the padding held: a number if all channels held the same, else complex ones in a list.

    A number for both parts, which the real search gives, is the same number for each of them.
    """
    joined = _joined(values) if isinstance(values, list) else [complex(values, values)]  # type: ignore[call-overload]
    assert isinstance(joined, list)
    mean = complex(np.mean(joined))
    if max(abs(value - mean) for value in joined) > PAD_VALUE_TOLERANCE * abs(mean):
        return joined
    return mean.real if abs(mean.imag) <= PAD_VALUE_TOLERANCE * abs(mean) else mean


def _halved(permutation: list[int]) -> list[int] | None:
    """A permutation of parts as one of channels; None where it takes pairs apart."""
    first, second = permutation[0::2], permutation[1::2]
    if len(first) != len(second):
        return None
    together = all(a % 2 == 0 and b == a + 1 for a, b in zip(first, second, strict=True))
    return [a // 2 for a in first] if together else None


def _translated_axes(edit: Edit, spec: ConvSpec, paired: bool) -> list[Edit] | None:
    """Axes that were read in another order, in the user's layout.

    The channels of the parts may change places with each other only: pairs stay together then.
    """
    role = edit["code"].partition("-")[0]
    layout = getattr(spec, f"{role}_layout")
    read_as = dict(zip(edit["asked"], edit["obtained"], strict=True))
    exchanged = False
    for letter in "NCOI":
        other = read_as.get(letter, letter)
        if other == letter:
            continue
        if {letter, other} != {"O", "I"} or not paired:
            return None
        exchanged = True
    # One channel in and out: what was exchanged are its parts, which is a conjugation.
    if exchanged and ("M" in layout or spec.kernel_in == spec.kernel_out == 1):
        return None
    full = {**read_as, "M": "M"}
    complex_edit = {
        **edit,
        "asked": layout,
        "obtained": "".join(full.get(letter, letter) for letter in layout),
    }
    return [complex_edit, {"code": KernelConjugated.code}] if exchanged else [complex_edit]
