"""The hypothesis of a backend that gives different outputs for the same arrays."""

from __future__ import annotations

from typing import ClassVar

from convdiff.diagnose.hypotheses.base import Hypothesis
from convdiff.records import Edit


class NotDeterministic(Hypothesis):
    """The backend gave different outputs for the same arrays.

    How it shows: Small differences between two runs of the same code, at other positions each time.
    Exact sums, such as those of small whole numbers, show nothing.
    Typical causes: Atomic additions on a GPU (weight gradients, transposed convolutions); an
    algorithm chosen by timing, which may be another one next time; threads that divide the work by
    load; dropout or random weights in a call of your own.
    What tells it apart: Long sums of normally distributed numbers, and more runs (--repeat). Sums
    of small whole numbers are exact in any order; if they still change, memory is read before it is
    written.
    Fix: Change settings of the process, not the call; NumPy and Theano on a CPU need none:
        torch: `torch.use_deterministic_algorithms(True)`
        torch: `torch.backends.cudnn.benchmark = False`
        tensorflow: `tf.keras.utils.set_random_seed(0)`, and after it
        tensorflow: `tf.config.experimental.enable_op_determinism()`
        jax: XLA_FLAGS=--xla_gpu_deterministic_ops=true in the environment
    """

    code: ClassVar[str] = "not-deterministic"
    has_no_fix: ClassVar[bool] = True
    shown_by: ClassVar[str] = "long sums of normally distributed numbers"

    def sentence(self, edit: Edit) -> str:
        return "the backend's output changed between runs with the same arrays"
