"""Calls of the probed function: arrays in, its output out, all in one worker process."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convdiff.backends.fleet import NOT_DETERMINISTIC, Fleet, Job
from convdiff.errors import ConvdiffError
from convdiff.records import Call, Stored
from convdiff.spec.layout import Array

# Expressions that turn a numpy array into the framework's own, for functions that take no other.
ARRAY_CONSTRUCTORS = {
    "torch": "torch.from_numpy",
    "tensorflow": "tf.constant",
    "jax": "jnp.asarray",
}
# Beginnings of messages, and parts of messages, about errors that occur whatever the shapes are.
SHAPE_INDEPENDENT_ERRORS = (
    "SyntaxError",
    "IndentationError",
    "NameError",
    "ImportError",
    "ModuleNotFoundError",
    "SystemExit",
    "the result is ",
)
SHAPE_INDEPENDENT_PHRASES = ("no such file (looked for", ": it has no function ")
MAX_CRASHES = 3
COMPLEX_ANSWER = (
    "the result is complex, expected real numbers: probe calls the function with real arrays; "
    "take its .real"
)


@dataclass(frozen=True)
class Reply:
    """The function's output, or None and the message of the error.

    `stored` names the type of the output before it was converted to float. `deterministic` is
    whether repeated calls gave the same output.
    """

    output: Array | None
    message: str = ""
    stored: str = "float32"
    deterministic: bool = True


class FunctionCaller:
    """Calls the function of a `Call` in its worker; `count` is the number of calls answered.

    Until a call succeeds, each is tried with numpy arrays and then with the framework's own. The
    kind of array that succeeds first is used from then on. `first_error` is the message of the
    first call that failed.
    """

    def __init__(self, fleet: Fleet, call: Call, framework: str, mode: str, dtype: str) -> None:
        self._fleet, self._call, self._mode = fleet, call, mode
        self._constructors: list[str | None] = [None]
        if framework in ARRAY_CONSTRUCTORS:
            self._constructors.append(ARRAY_CONSTRUCTORS[framework])
        self.dtype = np.dtype(dtype)
        self.count = 0
        self.first_error = ""
        self._crashes = 0

    @property
    def array_constructor(self) -> str | None:
        """The expression that the arrays are passed through; None if they stay numpy's."""
        return self._constructors[0]

    def call(
        self, input: Array, kernel: Array, bias: Array | None = None, *, repeat: int = 1
    ) -> Reply:
        """The reply to one call, made `repeat` times to see whether its output is deterministic.

        Raises ConvdiffError where no other arrays would help: no backend, no such file, code that
        does not compile, a timeout, or repeated crashes.
        """
        arrays = {"input": input, "kernel": kernel} | ({} if bias is None else {"bias": bias})
        stored = {
            name: Stored(np.ascontiguousarray(array, self.dtype), self.dtype.name)
            for name, array in arrays.items()
        }
        message = ""
        for constructor in self._constructors:
            reply = self._call_with(stored, constructor, repeat)
            if reply.output is not None:
                self._constructors = [constructor]
                self.count += 1
                return reply
            # Such an error may only mean that the function takes no numpy arrays: then the error
            # with the framework's own arrays is the one that matters.
            if not message or message.startswith(("TypeError", "AttributeError")):
                message = reply.message
        self.first_error = self.first_error or message
        return Reply(None, message)

    def _call_with(self, arrays: dict[str, Stored], constructor: str | None, repeat: int) -> Reply:
        call = self._call
        job = Job(
            call.name,
            "call",
            call.backend,
            call.code,
            "function" if self._mode == "function" else "expression",
            repeat=repeat,
            wrap=constructor,
        )
        (answer,) = self._fleet.run([job], arrays)
        message = answer.message or ""
        if answer.status == "ok" and answer.output is not None:
            output = np.asarray(answer.output)
            if output.dtype.kind == "c":
                if output.imag.any():
                    raise ConvdiffError(f"{call.backend}={call.code}: {COMPLEX_ANSWER}")
                output = output.real
            return Reply(
                output if output.dtype.kind == "f" else output.astype(np.float64),
                stored=answer.stored or "float32",
                deterministic=not message.startswith(NOT_DETERMINISTIC),
            )
        self._crashes += answer.status == "crashed"
        shape_independent = answer.status == "failed" and (
            message.startswith(SHAPE_INDEPENDENT_ERRORS)
            or any(phrase in message for phrase in SHAPE_INDEPENDENT_PHRASES)
        )
        if (
            shape_independent
            or answer.status in ("unavailable", "timeout")
            or self._crashes >= MAX_CRASHES
        ):
            raise ConvdiffError(f"{call.backend}={call.code}: {answer.status}: {message}")
        return Reply(None, message)
