"""The hypothesis of reduced precision.

Its forms are precision models.  `core.precision_model` has the record, `core.precision_evidence`
the models that the obtained values suggest, and `core.precision_fit` all others and the choice
between them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from convdiff.diagnose.core.precision_evidence import NO_DECIMALS, WHOLE_FLOATS
from convdiff.diagnose.core.precision_model import REDUCED_PRECISION
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.hypotheses.base import Edits, Hypothesis
from convdiff.records import Edit


class ReducedPrecision(Hypothesis):
    """Operands, sums or the output were rounded to a narrower type.

    How it shows: Errors of a few thousandths (bf16) or ten-thousandths (TF32, fp16) of the size of
    the terms, at all positions and without structure. Whole numbers that fit into the type stay
    exact and show nothing.
    Typical causes: cuDNN's float32 convolutions use TF32 on Ampere and later GPUs, by default also
    in torch, whose matrix products do not; autocast and mixed precision; TPUs, which multiply in
    bfloat16 by default; a CPU or GPU routine that accumulates in float16; ncnn's and other phones'
    float16 Winograd, whose errors are larger at some places of each tile; an output printed with 4
    decimals and read back.
    What tells it apart: Long sums of normally distributed numbers. TF32 and float16 round inputs
    alike within float16's range; inputs beyond 65504 tell them apart.
    Fix: Ask for full precision, and save arrays in a binary format:
        numpy: `np.save("output.npy", output)` instead of printed text
        torch: `torch.backends.cudnn.allow_tf32 = False`, and no torch.autocast around the call
        tensorflow: `tf.config.experimental.enable_tensor_float_32_execution(False)`
        jax: `jax.config.update("jax_default_matmul_precision", "highest")`
        jax: `precision="highest"` in the call
        theano: `theano.config.floatX = "float64"`, the default
        environment: in ncnn `net.opt.use_fp16_arithmetic = false`
        environment: NVIDIA_TF32_OVERRIDE=0 turns TF32 off in every framework
    """

    code: ClassVar[str] = REDUCED_PRECISION
    changes_single_values: ClassVar[bool] = True
    has_no_fix: ClassVar[bool] = True
    shown_by: ClassVar[str] = "values that need all the digits of their type"

    def only_rounds(self, edit: Edit) -> bool:
        return True

    def sentence(self, edit: Edit) -> str:
        what, where = edit["obtained"], edit["where"]
        if "decimal" in what or "digits" in what:
            arrays = "input, kernel and output were" if where == "inputs" else "the output was"
            return f"{arrays} rounded to {what}, as when printed and read back"
        if "algorithm" in edit:
            return f"{edit['algorithm']} was computed in {what}: transforms, products and sums"
        if where == "accumulator":
            return f"sums were accumulated in {what}"
        return f"the {where} {'were' if where == 'inputs' else 'was'} rounded to {what}"

    def equivalents(self, edit: Edit, edits: Edits, problem: Problem) -> Iterator[Edit]:
        """Printed without decimals, or rounded to whole numbers."""
        if edit["obtained"] == NO_DECIMALS:
            yield WHOLE_FLOATS
