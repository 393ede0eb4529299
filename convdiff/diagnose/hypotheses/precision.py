"""Precision as an explanation: which narrower type fits what rounding in the asked type does not.

The bound alone cannot see TF32 in a long sum, so every model is tried where the errors are larger
than sums usually make them, and the one that leaves a far smaller residual is the answer; sums kept
in a narrow type leave none, and are known by errors of the size and the evenness that such sums
have.  Float16 inputs and TF32 inputs are the same rounding inside float16's range: rivals.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import ClassVar

import numpy as np

from convdiff.diagnose.core.precision_model import PrecisionModel
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.hypotheses.base import Hypothesis
from convdiff.numerics.precision import to_bfloat16, to_float16, width
from convdiff.numerics.reference import Truth, truth
from convdiff.records import Edit
from convdiff.spec.canonical import normal_output
from convdiff.spec.layout import Array

# Errors of narrow sums, in what is usual for each element, and in the root mean square of all:
# beyond both a place is wrong.
FAR_OUT, FARTHEST = 8.0, 10.0
# A model must leave errors this much smaller, root mean square, before it is believed.
FAR_SMALLER = 4.0
# Root mean square units below which no one needs an explanation: what plain sums of any length
# show.
USUAL = 0.5

_SHORT = {"float16": "fp16", "bfloat16": "bf16"}


class ReducedPrecision(Hypothesis):
    """Operands, accumulator or output were rounded to a narrower type than the arrays have.

    How it shows: errors of a few thousandths (bf16) or some ten-thousandths (TF32, fp16) of the
    size of the sums' terms, everywhere, without structure. Whole numbers below the type's limit
    come out exact, and so show nothing.
    Typical causes: cuDNN's float32 convolutions use TF32 on Ampere and later, in torch too, where
    matrix products do not; autocast and mixed precision; TPUs multiply in bfloat16 unless told
    otherwise; sums kept in float16 by a CPU or GPU kernel; an output printed with 4 decimals and
    read back.
    What tells it apart: normal random numbers in long sums; TF32 and float16 inputs are the same
    rounding within float16's range, and inputs beyond 65504 tell them apart.
    Fix: ask for full precision, and save arrays as binary:
        numpy: `np.save("output.npy", output)`, not a printed text
        torch: `torch.backends.cudnn.allow_tf32 = False`, and no torch.autocast around the call
        tensorflow: `tf.config.experimental.enable_tensor_float_32_execution(False)`
        jax: `jax.config.update("jax_default_matmul_precision", "highest")`, or `precision="highest"` in the call
        theano: `theano.config.floatX = "float64"`, the default
        environment: NVIDIA_TF32_OVERRIDE=0 turns TF32 off in every framework
    """

    code: ClassVar[str] = "reduced-precision"
    shown_by: ClassVar[str] = "values that need all their digits"

    def sentence(self, edit: Edit) -> str:
        what, where = edit["obtained"], edit["where"]
        if "decimals" in what or "digits" in what:
            return f"the output was rounded to {what}, as when printed and read back"
        if where == "accumulator":
            return f"sums were accumulated in {what}"
        return f"the {where} {'were' if where == 'inputs' else 'was'} rounded to {what}"


def edit(obtained: str, where: str) -> Edit:
    """The contract's edit."""
    return {"code": ReducedPrecision.code, "obtained": obtained, "where": where}


def looks(problem: Problem) -> tuple[PrecisionModel, ...]:
    """Reduced makings that the look of the obtained values speaks for, likeliest first; worked out
    once for a problem.
    """
    known: dict[str, object] = problem.__dict__
    if "looks" not in known:
        known["looks"] = tuple(_looks(problem))
    return known["looks"]  # type: ignore[return-value]


def _looks(problem: Problem) -> Iterator[PrecisionModel]:
    base = problem.rounding
    values = problem.obtained
    if values.dtype.kind == "f":
        # The narrower first: what bfloat16 holds, float16 often holds too.
        for stored, rounds in (("bfloat16", to_bfloat16), ("float16", to_float16)):
            if width(stored) < width(base.stored) and _fixed_by(values, rounds, width(stored)):
                name = _SHORT[stored]
                narrow = replace(base, stored=stored)
                yield PrecisionModel(narrow, None, (edit(name, "output"),))
                yield PrecisionModel(narrow, name, (edit(name, "inputs"), edit(name, "output")))
                yield PrecisionModel(
                    replace(narrow, dtype=stored), name, (edit(name, "accumulator"),)
                )
                break
        if base.stored in _SHORT and base.dtype == "float32":
            name = _SHORT[base.stored]
            # Narrow operands leave nothing where the sums were wide; narrow sums are the wider
            # claim.
            yield PrecisionModel(base, name, (edit(name, "inputs"),))
            yield PrecisionModel(
                replace(base, dtype=base.stored), name, (edit(name, "accumulator"),)
            )
        for what, extra in _printed(values, _natural(problem)):
            yield PrecisionModel(replace(base, extra=extra), None, (edit(what, "output"),))


def operand_makings(problem: Problem) -> Iterator[PrecisionModel]:
    """Operands rounded to each narrower type that hardware multiplies in, where that changes any;
    then one of them alone.

    Weights are stored in 16 bits, and features, where what is computed is float32.
    """
    base = problem.rounding
    if base.dtype != "float32":
        return
    samples = [
        array.reshape(-1)[:: max(1, array.size // SAMPLE)]
        for array in (problem.input, problem.kernel)
    ]
    both = (
        PrecisionModel(base, "tf32", (edit("tf32", "inputs"),), ((edit("fp16", "inputs"),),)),
        PrecisionModel(base, "tf32 (cut off)", (edit("tf32", "inputs"),)),
        PrecisionModel(base, "bf16", (edit("bf16", "inputs"),)),
        PrecisionModel(base, "fp16", (edit("fp16", "inputs"),)),
    )
    changes = {
        making.operands: [
            not np.array_equal(making.rounds(sample, "kernel"), sample, equal_nan=True)
            for sample in samples
        ]
        for making in both
    }
    yield from (making for making in both if any(changes[making.operands]))
    for side, name in itertools.product(("kernel", "input"), _SHORT.values()):
        # Where the other holds only such numbers, both are rounded as soon as one is.
        if all(changes[name]):
            yield PrecisionModel(base, name, (edit(name, side),), sides=(side,))


def narrow_sums(problem: Problem, seen: Iterable[PrecisionModel]) -> Iterator[PrecisionModel]:
    """Sums kept in the 16 bits that the output has, off by no more than such sums usually are: the
    bound would hide any fault.

    `seen` are the makings that the values speak for.
    """
    base = problem.rounding
    stored = {base.stored, *(making.rounding.stored for making in seen)} & set(_SHORT)
    if base.dtype != "float32" or problem.obtained.size < LEAST_SUMS:
        return
    for name in sorted(stored):
        wide = replace(base, dtype=name, stored=name)
        told = () if problem.spec.dtype == name else (edit(_SHORT[name], "accumulator"),)
        if wide.tells(0.0):
            yield PrecisionModel(
                replace(wide, terms=int(wide.usual)), _SHORT[name], told, wide=True
            )


# Outputs that hold so many elements can tell a fault from sums kept in 16 bits.
LEAST_SUMS = 64
# Elements that are asked whether a type holds them.
SAMPLE = 1 << 14
# Chances below this, in powers of ten, are evidence that values lie on a grid on purpose.
EVIDENCE = -6.0
# Decimals that are told, fewer than this; and those of numbers that were not written in decimals.
MOST_DECIMALS, MANY = 8, 99
# A few numbers are round by chance or by nature.
LEAST_DISTINCT = 4


def _fixed_by(values: Array, rounds: Callable[[Array], Array], bits: int) -> bool:
    """Whether the values are numbers of a type with so many significand bits, and use them.

    Judged on up to 4096 of them.  Small whole numbers and constants are numbers of every type:
    values must need the type's last two bits about as often as chance would have it.
    """
    sample = values.reshape(-1)[:: max(1, values.size // 4096)]
    sample = np.unique(sample[np.isfinite(sample) & (sample != 0)]).astype(np.float32)
    if not sample.size or not np.array_equal(rounds(sample), sample):
        return False
    mantissa, exponent = np.frexp(sample.astype(np.float64))
    # Whole numbers, or whole multiples of one step, that are few enough for the type: nothing
    # floats there.
    whole = np.abs(mantissa) * 2.0**24
    finest = float(
        (
            np.gcd.reduce(np.stack([whole.astype(np.int64), np.full(len(whole), 1 << 24)]))
            * 2.0 ** (exponent - 24)
        ).min()
    )
    if float(np.abs(sample).max()) / finest <= 2.0**bits:
        return False
    coarse = mantissa * 2.0 ** (bits - 2)
    used = (coarse != np.rint(coarse)).mean() > 0.4 - 0.5 / np.sqrt(sample.size)
    return bool(used) and sample.size * (24 - bits) * np.log10(2) > -EVIDENCE


def _natural(problem: Problem) -> int:
    """The decimals that sums have by themselves, none for whole numbers; many where the operands
    have many.
    """
    x, w, b = (
        _decimals(array)
        for array in (
            problem.input,
            problem.kernel,
            np.zeros(1) if problem.bias is None else problem.bias,
        )
    )
    return max(x + w, b)


def _decimals(values: Array) -> int:
    """The fewest decimals that the values have, judged on a sample; `MANY` where they have more
    than a few.
    """
    sample = values.reshape(-1)[:: max(1, values.size // SAMPLE)].astype(np.float64)
    slack = np.abs(sample) * _own(values)
    for decimals in range(MOST_DECIMALS):
        step = 10.0**-decimals
        if (np.abs(sample - np.rint(sample / step) * step) <= slack).all():
            return decimals
    return MANY


def _own(values: Array) -> float:
    """What a number that was read from decimals is off by, as a share of it, in the type that these
    have.
    """
    return 2.0**-23 if values.dtype.itemsize < 8 else 2.0**-51


def _printed(values: Array, natural: int) -> Iterator[tuple[str, float]]:
    """The fewest decimals, up to 7, at which the values stand still, with half a unit of the last;
    and significant digits.

    A grid counts only where so many values would hardly lie on it by chance; sums lie on that of
    their `natural` decimals anyhow.
    """
    sample = values.reshape(-1)[:: max(1, values.size // 4096)].astype(np.float64)
    sample = np.unique(np.abs(sample[np.isfinite(sample) & (sample != 0)]))
    if not sample.size:
        return
    if sample.size < LEAST_DISTINCT:
        return
    slack = sample * _own(values)
    for decimals in range(min(natural, MOST_DECIMALS)):
        step = 10.0**-decimals
        if (np.abs(sample - np.rint(sample / step) * step) <= slack).all():
            if np.log10(np.minimum(2 * slack / step, 1)).sum() < EVIDENCE:
                yield f"{decimals} decimal{'s' if decimals != 1 else ''}", step / 2
            break
    size = np.floor(np.log10(sample))
    for digits in range(2, 7):
        step_each = 10.0 ** (size - digits + 1)
        if (np.abs(sample - np.rint(sample / step_each) * step_each) <= 2 * slack).all():
            finer = step_each > 10.0**-natural
            if np.log10(np.minimum(4 * slack / step_each, 1))[finer].sum() < EVIDENCE:
                yield f"{digits} digits", float(10.0 ** (size.max() - digits + 1) / 2)
            break


def _lies_there(values: Array, making: PrecisionModel, natural: int) -> bool:
    """Whether values have no more decimals or digits than a making says they were rounded to."""
    return any(edit(what, "output") in making.edits for what, _ in _printed(values, natural))


# Rounding both operands of every product moves an element by so much of S at most (bfloat16: 2^-8
# for each, and a little).
MOST_MOVED = 2.0**-6.9


def best_making(
    problem: Problem, truth_as_asked: Truth, worst: float, mean_square: float
) -> PrecisionModel | None:
    """The making that explains every element, if one does: with far smaller errors than the asked
    type leaves, or as narrow sums have them.

    `worst` and `mean_square` are of the errors under the asked type, in its units.
    """
    obtained = normal_output(problem.spec, problem.obtained)
    possible: Iterable[PrecisionModel] = (
        operand_makings(problem) if worst * problem.rounding.unit <= MOST_MOVED else ()
    )
    tried = (
        (making, made)
        for making in (*looks(problem), *possible)
        for made in making.problems(problem)
    )
    for making, made in tried:
        if making.accumulates and worst <= problem.rounding.bound:
            # Nothing is left to explain.
            continue
        if making.rounding.extra and _lies_there(
            truth_as_asked.output.astype(problem.obtained.dtype), making, _natural(problem)
        ):
            # The sums are such numbers by themselves.
            continue
        if making.operands is not None:
            sampled = _sampled_units(made, obtained)
            if sampled.size and float(np.sqrt(np.square(sampled).mean())) * FAR_SMALLER > np.sqrt(
                mean_square
            ):
                continue
        expected = (
            truth_as_asked
            if making.operands is None
            else truth(made.spec, made.input, made.kernel, made.bias)
        )
        units = making.rounding.excess(obtained, expected.output, expected.scale)
        if making.accumulates:
            settled = _as_sums_are(units, expected, making)
        else:
            left = (
                float(np.sqrt(np.square(units).mean()))
                * making.rounding.unit
                / problem.rounding.unit
            )
            settled = making.operands is None or left * FAR_SMALLER < np.sqrt(mean_square)
        if bool((units <= making.rounding.bound).all()) and settled:
            return making
    return None


def _as_sums_are(units: Array, expected: Truth, making: PrecisionModel) -> bool:
    """Whether errors are those of sums kept in a narrow type: they leave no smaller ones than
    narrow operands, but a fault's are larger.

    As large altogether as such sums usually have them, and nowhere far larger than everywhere else,
    as where one place is wrong.
    """
    root_mean_square = float(np.sqrt(np.square(units).mean()))
    with np.errstate(all="ignore"):
        # Sums that grow from term to term lose more at each: up to sqrt(n) units, where nothing
        # cancels.
        share = units / (
            1
            + np.sqrt(making.rounding.terms)
            * np.nan_to_num(np.abs(expected.output) / expected.scale)
        )
    usual = float(np.sqrt(np.square(share).mean())) <= 1 or making.rounding.tells_by(
        root_mean_square
    )
    return usual and bool(
        share.max() <= FAR_OUT or units.max() <= FARTHEST * max(root_mean_square, 0.3)
    )


def _sampled_units(problem: Problem, obtained: Array) -> Array:
    """The excess at some elements: one batch item and at most four channels of it."""
    spec = problem.spec
    if spec.batch == 1 or obtained.size * spec.terms < 1 << 22:
        return np.empty(0)
    one = replace(spec, batch=1)
    axis = spec.input_layout.index("N") if "N" in spec.input_layout else None
    if axis is None:
        return np.empty(0)
    expected = truth(one, np.take(problem.input, [0], axis=axis), problem.kernel, problem.bias)
    return problem.rounding.excess(obtained[:1], expected.output, expected.scale)
