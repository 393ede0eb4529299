"""Precision models that the obtained values suggest by themselves: 16-bit or printed numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from convdiff.diagnose.core.integer_storage import NEAREST, TYPE_OF_WHOLE_FLOATS, integer_edit
from convdiff.diagnose.core.precision_model import (
    SIXTEEN_BIT_FORMATS,
    PrecisionModel,
    precision_edit,
)
from convdiff.numerics.error_bound import Rounding
from convdiff.numerics.precision import significand_bits, to_bfloat16, to_float16
from convdiff.spec.layout import Array
from convdiff.spec.pad_value import PadValue, channel_values

# Elements that are checked for the numbers they hold: of an operand, and of the output.
OPERAND_SAMPLE = 1 << 14
OUTPUT_SAMPLE = 4096
# Values lie on a grid on purpose if by chance they would with a probability below 10^this.
MAX_LOG10_CHANCE = -6.0
# Fewer different values than this lie on a grid by chance or by nature.
MIN_DISTINCT_VALUES = 4
# A float array that was printed so may as well have been rounded to whole numbers.
NO_DECIMALS = "0 decimals"
WHOLE_FLOATS = integer_edit(TYPE_OF_WHOLE_FLOATS, NEAREST)
# Numbers with so many decimals or more were not written in decimals.
MAX_DECIMALS = 8
# Stands for the decimals of such numbers.
UNLIMITED_DECIMALS = 99
# The decimals that printed operands may have, how many different values they have at least, and the
# share of these that need the last decimal.
PRINTED_DECIMALS, MIN_PRINTED_VALUES, MIN_SHARE_WITH_LAST_DECIMAL = range(2, 7), 6, 0.7
# The largest error of many printed operands over the typical one, where windows differ in size.
MAX_TO_TYPICAL_ERROR = 6.0
# The share of the output's spread that such an error may be.
MAX_PRINTING_SHARE = 0.1
# The significant digits that printed numbers may have.
PRINTED_DIGITS = range(2, 7)


def suggested_models(
    obtained: Array, rounding: Rounding, operands: Sequence[Array], pad_value: PadValue = 0
) -> Iterator[PrecisionModel]:
    """Models of reduced precision that the obtained values suggest, likeliest first.

    `rounding` is that of the asked precision; `operands` are input, kernel and bias (if any).
    """
    if obtained.dtype.kind != "f":
        return
    yield from _stored_in_16_bits(obtained, rounding)
    stored = rounding.stored_dtype
    if stored in SIXTEEN_BIT_FORMATS and rounding.compute_dtype == "float32":
        name = SIXTEEN_BIT_FORMATS[stored]
        # Rounded operands come first: they fit with no error left over, or not at all, while
        # narrow sums allow much.
        yield PrecisionModel(rounding, name, (precision_edit(name, "inputs"),))
        yield PrecisionModel(
            replace(rounding, compute_dtype=stored), name, (precision_edit(name, "accumulator"),)
        )
    for digits, error in printed_grids(obtained, natural_decimals(operands, pad_value)):
        edit = precision_edit(digits, "output")
        rivals = ((WHOLE_FLOATS,),) if digits == NO_DECIMALS else ()
        yield PrecisionModel(replace(rounding, decimal_error=error), None, (edit,), rivals)
    yield from _printed_throughout(obtained, rounding, operands)


def _printed_throughout(
    obtained: Array, rounding: Rounding, operands: Sequence[Array]
) -> Iterator[PrecisionModel]:
    """A model for arrays that were all copied from a printout, where each was rounded by itself.

    The output is then that of operands with more decimals than are left.
    """
    decimals = [_printed_decimals(array) for array in operands]
    known = [each for each in decimals if each is not None]
    if not known or _decimals(obtained) > max(known):
        return
    x, w = operands[:2]
    # An error of the input is multiplied by the kernel's weights, and the other way around.
    variance = sum(
        (10.0**-digits) ** 2 / 12 * rounding.terms * float(np.square(other, dtype=float).mean())
        for digits, other in zip(decimals[:2], (w, x), strict=True)
        if digits is not None
    )
    error = MAX_TO_TYPICAL_ERROR * np.sqrt(variance) + sum(
        10.0**-each for each in decimals[2:] if each
    )
    if error and error < MAX_PRINTING_SHARE * float(np.std(obtained.astype(np.float64))):
        digits = f"{max(known)} decimals"
        total = float(error) + 10.0 ** -max(known) / 2
        edit = precision_edit(digits, "inputs")
        yield PrecisionModel(
            replace(rounding, decimal_error=total), None, (edit,), could_hide_fault=True
        )


def _printed_decimals(values: Array) -> int | None:
    """With how many decimals the values were printed; None where they have more, or few by nature.

    Numbers that were printed need their last decimal nine times out of ten.
    """
    if values.dtype.kind != "f":
        return None
    decimals = _decimals(values)
    different = np.unique(values)
    if decimals not in PRINTED_DECIMALS or different.size < MIN_PRINTED_VALUES:
        return None
    without_last = different.astype(np.float64) * 10.0 ** (decimals - 1)
    needs_last = np.abs(without_last - np.rint(without_last)) > 0.01
    return decimals if needs_last.mean() > MIN_SHARE_WITH_LAST_DECIMAL else None


def _stored_in_16_bits(obtained: Array, rounding: Rounding) -> Iterator[PrecisionModel]:
    """Models for values that a 16-bit type holds although a wider one was declared."""
    # bfloat16 first: what it holds, float16 often holds too.
    for stored, round_to in (("bfloat16", to_bfloat16), ("float16", to_float16)):
        bits = significand_bits(stored)
        if bits < significand_bits(rounding.stored_dtype) and _uses_type(obtained, round_to, bits):
            name = SIXTEEN_BIT_FORMATS[stored]
            narrow = replace(rounding, stored_dtype=stored)
            inputs, output = precision_edit(name, "inputs"), precision_edit(name, "output")
            yield PrecisionModel(narrow, None, (output,))
            yield PrecisionModel(narrow, name, (inputs, output))
            yield PrecisionModel(
                replace(narrow, compute_dtype=stored), name, (precision_edit(name, "accumulator"),)
            )
            return


def _uses_type(values: Array, round_to: Callable[[Array], Array], bits: int) -> bool:
    """Whether all sampled values are numbers of a type with `bits` significand bits, and use them.

    Small whole numbers and constants are numbers of every type, so the values must need the type's
    last two bits about as often as chance would have it.
    """
    sample = values.reshape(-1)[:: max(1, values.size // OUTPUT_SAMPLE)]
    sample = np.unique(sample[np.isfinite(sample) & (sample != 0)]).astype(np.float32)
    if not sample.size or not np.array_equal(round_to(sample), sample):
        return False
    mantissa, exponent = np.frexp(sample.astype(np.float64))
    # Multiples of one step, few enough for the type to hold them all, are fixed-point numbers.
    whole = np.abs(mantissa) * 2.0**24
    finest_step = float(
        (
            np.gcd.reduce(np.stack([whole.astype(np.int64), np.full(len(whole), 1 << 24)]))
            * 2.0 ** (exponent - 24)
        ).min()
    )
    if float(np.abs(sample).max()) / finest_step <= 2.0**bits:
        return False
    without_last_bits = mantissa * 2.0 ** (bits - 2)
    needs_last_bits = (without_last_bits != np.rint(without_last_bits)).mean()
    return bool(
        needs_last_bits > 0.4 - 0.5 / np.sqrt(sample.size)
        and sample.size * (24 - bits) * np.log10(2) > -MAX_LOG10_CHANCE
    )


def natural_decimals(operands: Iterable[Array], pad_value: PadValue = 0) -> int:
    """The decimals that sums of products of these operands (input, kernel, bias) have anyway.

    The padding holds `pad_value`.  0 for whole numbers; `UNLIMITED_DECIMALS` or more where an
    operand has many.
    """
    x, w, *bias = (_decimals(array) for array in operands)
    padding = _decimals(np.array(channel_values(pad_value), np.float64))
    return max(max(x, padding) + w, *bias, 0)


def _decimals(values: Array) -> int:
    """The fewest decimals that write all sampled values, or `UNLIMITED_DECIMALS`."""
    sample = values.reshape(-1)[:: max(1, values.size // OPERAND_SAMPLE)].astype(np.float64)
    slack = np.abs(sample) * _decimal_roundoff(values)
    for decimals in range(MAX_DECIMALS):
        step = 10.0**-decimals
        if (np.abs(sample - np.rint(sample / step) * step) <= slack).all():
            return decimals
    return UNLIMITED_DECIMALS


def _decimal_roundoff(values: Array) -> float:
    """The relative error of decimal numbers that were read into the type of `values`."""
    return 2.0**-23 if values.dtype.itemsize < 8 else 2.0**-51


def printed_grids(values: Array, natural: int) -> Iterator[tuple[str, float]]:
    """Yields ("3 decimals" or "4 digits", largest error) for grids that the values lie on.

    The coarsest grid of decimals, and that of significant digits.  A grid counts only if so many
    values would hardly lie on it by chance and it is coarser than that of the `natural` decimals of
    such sums.
    """
    sample = values.reshape(-1)[:: max(1, values.size // OUTPUT_SAMPLE)].astype(np.float64)
    sample = np.unique(np.abs(sample[np.isfinite(sample) & (sample != 0)]))
    if sample.size < MIN_DISTINCT_VALUES:
        return
    slack = sample * _decimal_roundoff(values)
    for decimals in range(min(natural, MAX_DECIMALS)):
        step = 10.0**-decimals
        if (np.abs(sample - np.rint(sample / step) * step) <= slack).all():
            if np.log10(np.minimum(2 * slack / step, 1)).sum() < MAX_LOG10_CHANCE:
                yield f"{decimals} decimal{'s' if decimals != 1 else ''}", step / 2
            break
    magnitude = np.floor(np.log10(sample))
    for digits in PRINTED_DIGITS:
        steps = 10.0 ** (magnitude - digits + 1)
        if (np.abs(sample - np.rint(sample / steps) * steps) <= 2 * slack).all():
            coarser = steps > 10.0**-natural
            if np.log10(np.minimum(4 * slack / steps, 1))[coarser].sum() < MAX_LOG10_CHANCE:
                yield f"{digits} digits", float(10.0 ** (magnitude.max() - digits + 1) / 2)
            break
