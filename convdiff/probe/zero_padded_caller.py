"""Calls of a function whose padding holds other numbers, as if it held zeros.

What such a padding adds does not depend on the input, so it is all that the function gives for an
input of zeros, besides a bias.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from convdiff.probe.function_caller import FunctionCaller, Reply
from convdiff.spec.layout import Array


class ZeroPaddedCaller:
    """Calls a function as if its padding held zeros; otherwise like the `FunctionCaller`."""

    def __init__(self, caller: FunctionCaller) -> None:
        self._caller = caller
        self._outputs: dict[tuple[bytes, ...], Array] = {}

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the arrays that the function is called with."""
        return self._caller.dtype

    def call(
        self, input: Array, kernel: Array, bias: Array | None = None, *, repeat: int = 1
    ) -> Reply:
        """The reply, less what the kernel gives for an input of zeros, plus what a bias does."""
        reply = self._caller.call(input, kernel, bias, repeat=repeat)
        of_zeros = self._caller.call(np.zeros(input.shape), kernel, bias)
        of_bias = self._caller.call(np.zeros(input.shape), np.zeros(kernel.shape), bias)
        outputs = [each.output for each in (reply, of_zeros, of_bias)]
        if any(output is None or output.shape != _shape(reply) for output in outputs):
            return reply if reply.output is None else Reply(None, "it refuses an input of zeros")
        whole, padding, added = (np.asarray(output, np.float64) for output in outputs)
        self._outputs[_key(input, kernel)] = whole
        return replace(reply, output=whole - padding + added)

    def own_output(self, input: Array, kernel: Array) -> Array:
        """What the function itself gave for these arrays, which it was called with."""
        return self._outputs[_key(input, kernel)]


def _shape(reply: Reply) -> tuple[int, ...] | None:
    return None if reply.output is None else reply.output.shape


def _key(input: Array, kernel: Array) -> tuple[bytes, ...]:
    return np.asarray(input, np.float64).tobytes(), np.asarray(kernel, np.float64).tobytes()
