"""Hypotheses of outputs that hold something else than a convolution, in part or as a whole.

They make no forms: `fit` looks for them.
"""

from __future__ import annotations

from typing import ClassVar

from convdiff.diagnose.hypotheses.base import Hypothesis, enumeration
from convdiff.records import Edit


class NotComputed(Hypothesis):
    """A part of the output, mostly its border, was never computed.

    How it shows: The outermost rows and columns, the last row, a channel or a batch item hold zero,
    NaN, one number or a copy of the input; the rest is right, or has one fault throughout.
    Typical causes: A loop over the inner pixels, from 1 to h-1; Pillow's ImageFilter.Kernel, which
    copies the border from the input; pandas' rolling windows, which start with NaN; an unpadded
    result written into a padded buffer; a loop that ends one too early.
    What tells it apart: An input whose border is not zero, and values that differ. A kernel of
    zeros or a ReLU gives zeros too, but only where the sums are zero or negative.
    Fix: Pad the input, so that every element is computed, or compare without the border:
        numpy: `np.pad(input, 1)` before a loop over the windows; `output[..., 1:-1, 1:-1]`
        scipy: `scipy.ndimage.correlate(input, kernel, mode="constant")`
        torch: `F.conv2d(input, kernel, padding="same")`
        tensorflow: `tf.nn.conv2d(input, kernel, strides=1, padding="SAME")`
        jax: `jax.lax.conv(input, kernel, (1, 1), "SAME")`
    """

    code: ClassVar[str] = "not-computed"
    shown_by: ClassVar[str] = "an input whose border is not zero"

    def sentence(self, edit: Edit) -> str:
        left = edit["left"]
        holds = {"zero": "zeros", "nan": "NaN", "input": "a copy of the input"}.get(
            left, f"{left:.6g}" if isinstance(left, float) else str(left)
        )
        where = edit.get("where") or f"the border, {_widths(edit['width'])}"
        return f"{where} was not computed and holds {holds}"


def _widths(width: list[list[int]]) -> str:
    """The width of a border: "1 wide", or each axis' lo and hi."""
    sides = {side for pair in width for side in pair}
    if len(sides) == 1:
        return f"{sides.pop()} wide,"
    return "(lo, hi) " + enumeration([f"({lo}, {hi})" for lo, hi in width]) + ","
