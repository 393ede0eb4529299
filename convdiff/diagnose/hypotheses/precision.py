"""The hypothesis of reduced precision, whose forms are the models of `core.precision_model`."""

from __future__ import annotations

from typing import ClassVar

from convdiff.diagnose.core.precision_model import REDUCED_PRECISION
from convdiff.records import Edit


class ReducedPrecision:
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

    code: ClassVar[str] = REDUCED_PRECISION

    def sentence(self, edit: Edit) -> str:
        what, where = edit["obtained"], edit["where"]
        if "decimals" in what or "digits" in what:
            return f"the output was rounded to {what}, as when printed and read back"
        if where == "accumulator":
            return f"sums were accumulated in {what}"
        return f"the {where} {'were' if where == 'inputs' else 'was'} rounded to {what}"
