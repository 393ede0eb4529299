"""What is found by asking a backend again."""

from __future__ import annotations

from typing import ClassVar

from convdiff.case import Edit


class NotDeterministic:
    """The backend gave another answer when it was asked again with the same arrays.

    How it shows: small differences between two runs of the same code, in other places each time.
    Typical causes: sums by atomic additions on a GPU (weight gradients, transposed convolutions), an algorithm chosen anew by
    measuring, threads that divide the work by load.
    Fix: torch.use_deterministic_algorithms(True) and torch.backends.cudnn.benchmark = False;
    tf.config.experimental.enable_op_determinism(); XLA_FLAGS=--xla_gpu_deterministic_ops=true.
    """

    code: ClassVar[str] = "not-deterministic"

    def sentence(self, edit: Edit) -> str:
        return "the backend answered differently when asked again"
