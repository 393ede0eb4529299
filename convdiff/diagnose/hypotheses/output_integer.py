"""The hypothesis about an output that was stored as whole numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from convdiff.diagnose.core.activation_change import Clamped, Magnitude, MagnitudeThen
from convdiff.diagnose.core.forms import OutputForm
from convdiff.diagnose.core.integer_storage import (
    DOWN,
    NEAREST,
    STORED_AS_INTEGER,
    TOWARD_ZERO,
    TYPE_OF_WHOLE_FLOATS,
    RoundedAndWrapped,
    RoundedToInteger,
    integer_edit,
    type_limits,
)
from convdiff.diagnose.core.output_change import UNCHANGED
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.hypotheses.base import OutputHypothesis
from convdiff.records import Edit

# The code of `IntegerWrapped`, whose module imports this one.
INTEGER_WRAPPED = "integer-wrapped"
# How odd each way to round is.
ROUNDING_ODDNESS = {NEAREST: 0.1, TOWARD_ZERO: 0.11, DOWN: 0.3}
IN_WORDS = {
    NEAREST: "rounded to the nearest whole number",
    TOWARD_ZERO: "cut off toward zero",
    DOWN: "rounded down",
}


class StoredAsInteger(OutputHypothesis):
    """The sums were stored in an integer type, and so rounded.

    How it shows: Whole numbers within one unit of the reference. Cut off toward zero, they are
    smaller than it in magnitude, by half a unit on average. Where the type saturates, values beyond
    its limits are set to them.
    Typical causes: OpenCV's filter2D with ddepth=-1, which returns the type of its input;
    scipy.ndimage on an integer array, which does too; Pillow's filters; astype("uint8") at the end.
    What tells it apart: Sums with fractions, both positive and negative. If all are positive,
    rounding down and toward zero are the same.
    Fix: Convert the input before the call, and round only what is stored as an image:
        numpy: `input.astype(np.float32)`
        scipy: `ndimage.correlate(input, kernel, output=np.float64)`
        opencv: `cv2.filter2D(image, cv2.CV_32F, kernel)`
        torch: `input.float()`
        tensorflow: `tf.cast(input, tf.float32)`
        jax: `input.astype(jnp.float32)`
    """

    code: ClassVar[str] = STORED_AS_INTEGER
    changes_single_values: ClassVar[bool] = True
    shown_by: ClassVar[str] = "sums with fractions, both positive and negative"

    def only_rounds(self, edit: Edit) -> bool:
        return not edit.get("saturated")

    def forms(self, problem: Problem, base: OutputForm) -> Iterator[OutputForm]:
        """The ways to round, if the obtained values are whole numbers.

        Also after clipping, ReLU or abs, and before wrapping around.  Rounding to the nearest is a
        precision model unless values are cut off at limits, or sums of whole numbers were scaled.
        """
        if not problem.obtained_integral:
            return
        if base.edits and base.edits[-1]["code"] == INTEGER_WRAPPED:
            yield from self._wrapped(problem, base, base.edits[-1]["obtained"])
        if not isinstance(base.change, Clamped | Magnitude) and base.change != UNCHANGED:
            return
        name = problem.integer_type or TYPE_OF_WHOLE_FLOATS
        least, most = type_limits(name)
        low, high = problem.obtained_range
        saturates = low == least or high == most
        if isinstance(base.change, Clamped):
            if least >= base.change.low and most <= base.change.high:
                return
            least, most = max(least, base.change.low), min(most, base.change.high)
            saturates = True
        for rounding, oddness in ROUNDING_ODDNESS.items():
            is_model = problem.rounded_to_integers and not (saturates and problem.integer_type)
            if rounding == NEAREST and is_model:
                continue
            rounded = RoundedToInteger(name, rounding, least, most)
            change = MagnitudeThen(rounded) if isinstance(base.change, Magnitude) else rounded
            yield base.plus(integer_edit(name, rounding), oddness, change=change)

    def _wrapped(self, problem: Problem, base: OutputForm, name: str) -> Iterator[OutputForm]:
        """The ways to round before the whole numbers wrapped around in the type of this name."""
        if problem.integer_type not in (None, name):
            return
        least, most = type_limits(name)
        for rounding, oddness in ROUNDING_ODDNESS.items():
            rounded = RoundedToInteger(name, rounding, -np.inf, np.inf)
            change = RoundedAndWrapped(rounded, modulus=most - least + 1)
            yield base.plus(integer_edit(name, rounding), oddness, change=change)

    def sentence(self, edit: Edit) -> str:
        clause = f"the sums were stored as {edit['type']}, {IN_WORDS[edit['rounding']]}"
        if edit.get("saturated"):
            low, high = type_limits(edit["type"])
            clause += f", those beyond {low:.0f} and {high:.0f} set to these limits"
        return clause
