"""The hypothesis of a backend that gives different outputs for the same arrays."""

from __future__ import annotations

from typing import ClassVar

from convdiff.diagnose.hypotheses.base import Hypothesis
from convdiff.records import Edit


class NotDeterministic(Hypothesis):
    """The backend gave different outputs when it ran several times with the same arrays.

    How it shows: small differences between two runs of the same code, at other positions each
    time. Exact sums, as of small whole numbers, show nothing.
    Typical causes: sums by atomic additions on a GPU (weight gradients, transposed convolutions);
    an algorithm chosen by measuring, which may choose another the next time; threads that share
    the work by load; in a user's own call, dropout or random weights.
    What tells it apart: long sums of normal random numbers, and more runs (--repeat); small whole
    numbers tell a different order of summation, which leaves them exact, from memory that is read
    before it is written.
    Fix: change settings of the process, not the call; NumPy and Theano on a CPU need none:
        torch: `torch.use_deterministic_algorithms(True)`
        torch: `torch.backends.cudnn.benchmark = False`
        tensorflow: `tf.keras.utils.set_random_seed(0)`, and after it
        tensorflow: `tf.config.experimental.enable_op_determinism()`
        jax: XLA_FLAGS=--xla_gpu_deterministic_ops=true in the environment
    """

    code: ClassVar[str] = "not-deterministic"
    shown_by: ClassVar[str] = "long sums of normal random numbers"

    def sentence(self, edit: Edit) -> str:
        return "the backend's output changed between runs with the same arrays"
