"""What is found by asking a backend again."""

from __future__ import annotations

from typing import ClassVar

from convdiff.diagnose.hypotheses.base import Hypothesis
from convdiff.records import Edit


class NotDeterministic(Hypothesis):
    """The backend gave another answer when it was asked again with the same arrays.

    How it shows: small differences between two runs of the same code, in other places each time.
    Sums that are exact, as of small whole numbers, show nothing.
    Typical causes: sums by atomic additions on a GPU (weight gradients, transposed convolutions);
    an algorithm chosen anew by measuring; threads that divide the work by load; in a call of the
    user's own, dropout or random weights.
    What tells it apart: long sums of normal random numbers, and more runs (--repeat); small whole
    numbers tell the order of summation, which leaves them exact, from memory that is read before it
    is written.
    Fix: these are settings of the process, and no change of the call; NumPy and Theano on a CPU
    need none:
        torch: `torch.use_deterministic_algorithms(True)` and `torch.backends.cudnn.benchmark = False`
        tensorflow: `tf.config.experimental.enable_op_determinism()` after `tf.keras.utils.set_random_seed(0)`
        jax: XLA_FLAGS=--xla_gpu_deterministic_ops=true in the environment
    """

    code: ClassVar[str] = "not-deterministic"
    shown_by: ClassVar[str] = "long sums of normal random numbers"

    def sentence(self, edit: Edit) -> str:
        return "the backend answered differently when asked again"
