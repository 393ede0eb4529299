"""The hypothesis of quantized values: input, kernel or output lie on a grid of a few bits.

Its forms are precision models: `core.output_grid` reads the grid of an output off its values, and
`core.quantized_models` has those of input and kernel.
"""

from __future__ import annotations

from typing import ClassVar

from convdiff.diagnose.core.integer_storage import DOWN
from convdiff.diagnose.core.output_grid import QUANTIZED
from convdiff.diagnose.hypotheses.base import Hypothesis
from convdiff.records import Edit

# What was rounded, with its verb.
ROUNDED = {
    "inputs": "the input was",
    "kernel": "the weights were",
    "output": "the output was",
}


class Quantized(Hypothesis):
    """The input, the kernel or the output was rounded to a grid of a few bits.

    How it shows: Of a rounded output, few different values, all multiples of one step, each within
    half a step of the reference, or the whole numbers of the grid themselves, on a line over the
    reference. Of rounded operands, errors of about a thousandth of the largest weight or input
    times the size of the other, everywhere.
    Typical causes: Weights or features stored as int8, with a scale and a zero point, and read back
    as floats; a quantized layer of TensorFlow Lite, ONNX Runtime or torch; QuantizeLinear and
    DequantizeLinear in an ONNX model; weights stored in an 8-bit float format.
    What tells it apart: Weights of different sizes along each channel axis tell one scale from a
    scale for each channel. Sums of whole numbers are multiples of one step anyway.
    Fix: Compare with the values that were used, or do not quantize them:
        numpy: `np.rint(kernel / 0.02) * 0.02` with the scale that was used, on both sides
        torch: pass `q.dequantize()` as the kernel on both sides, or the float weights
        tensorflow: convert without `converter.optimizations`
        jax: pass `scale * q.astype(jnp.float32)` as the kernel on both sides
        onnx: compare with the model before `quantize_dynamic` or `quantize_static`
    """

    code: ClassVar[str] = QUANTIZED
    has_no_fix: ClassVar[bool] = True
    shown_by: ClassVar[str] = "weights whose largest magnitude differs between channels"

    def only_rounds(self, edit: Edit) -> bool:
        return True

    def sentence(self, edit: Edit) -> str:
        clause = f"{ROUNDED[edit['where']]} rounded to {edit['bits']} bits"
        if edit.get("rounding") == DOWN:
            clause = clause.replace(" rounded to", " rounded down to")
        number_type = edit.get("type")
        if number_type is not None and edit["where"] != "output":
            clause += f" ({number_type})"
        if edit["per"] != "tensor":
            names = {"O": "output channel", "I": "input channel", "M": "filter of a channel"}
            per = names.get(edit["per"], f"index of {edit['per']}")
            return f"{clause} with a scale for each {per}"
        clause += f" with scale {edit['scale']:g}"
        if edit["zero_point"]:
            clause += f" and zero point {edit['zero_point']:g}"
        if number_type is not None and edit["where"] == "output":
            clause += f", and its {number_type} numbers were saved as they are"
        return clause
