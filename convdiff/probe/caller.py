"""Questions to the function: arrays in, its answer out, all of them to one worker that stays alive."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convdiff.backends.fleet import NOT_DETERMINISTIC, Fleet, Job
from convdiff.errors import ConvdiffError
from convdiff.records import Call, Stored
from convdiff.spec.layout import Array

# What makes a framework's own array of numpy's, for functions that take nothing else.
WRAPS = {"torch": "torch.from_numpy", "tensorflow": "tf.constant", "jax": "jnp.asarray"}
# What no other shape will mend.
HOPELESS = (
    "SyntaxError",
    "IndentationError",
    "NameError",
    "ImportError",
    "ModuleNotFoundError",
    "SystemExit",
    "the result is ",
)
FATAL = ("no such file (looked for", ": it has no function ")
MOST_CRASHES = 3


@dataclass(frozen=True)
class Reply:
    """The function's output, or None and why there is none.

    `stored` is the name of the type it came in; `steady` whether, asked again, it gave the same.
    """

    output: Array | None
    message: str = ""
    stored: str = "float32"
    steady: bool = True


class FunctionCaller:
    """Asks the function of a `Call`; `count` says how often it answered.

    Each question is asked with numpy's arrays and, where that fails, with the framework's own,
    until one of the two has worked: `wrap` is the one that did.  `message` is why the first
    question of all failed, in the words that say most.
    """

    def __init__(self, fleet: Fleet, call: Call, base: str, mode: str, dtype: str) -> None:
        self._fleet, self._call, self._mode = fleet, call, mode
        self._wraps: list[str | None] = [None, *([WRAPS[base]] if base in WRAPS else [])]
        self.dtype = np.dtype(dtype)
        self.count = 0
        self.settled = False
        self.message = ""
        self._crashes = 0

    @property
    def wrap(self) -> str | None:
        """What the arrays go through; None: they are numpy's."""
        return self._wraps[0]

    def ask(
        self, input: Array, kernel: Array, bias: Array | None = None, *, repeat: int = 1
    ) -> Reply:
        """One answer.  Raises ConvdiffError where no question can be answered: no backend, no such
        file, no end, a crash each time.
        """
        arrays = {"input": input, "kernel": kernel} | ({} if bias is None else {"bias": bias})
        stored = {
            name: Stored(np.ascontiguousarray(array, self.dtype), self.dtype.name)
            for name, array in arrays.items()
        }
        said = ""
        for wrap in self._wraps:
            reply = self._one(stored, wrap, repeat)
            if reply.output is not None:
                self._wraps, self.settled = [wrap], True
                self.count += 1
                return reply
            # numpy's arrays may only be of the wrong type: then the framework's own say what is
            # wrong.
            said = (
                reply.message
                if not said or said.startswith(("TypeError", "AttributeError"))
                else said
            )
        self.message = self.message or said
        return Reply(None, said)

    def _one(self, arrays: dict[str, Stored], wrap: str | None, repeat: int) -> Reply:
        call = self._call
        job = Job(
            call.name,
            "call",
            call.backend,
            call.code,
            "function" if self._mode == "function" else "expression",
            repeat=repeat,
            wrap=wrap,
        )
        (answer,) = self._fleet.run([job], arrays)
        message = answer.message or ""
        if answer.status == "ok" and answer.output is not None:
            output = np.asarray(answer.output)
            output = output if output.dtype.kind == "f" else output.astype(np.float64)
            return Reply(
                output,
                stored=answer.stored or "float32",
                steady=not message.startswith(NOT_DETERMINISTIC),
            )
        self._crashes += answer.status == "crashed"
        fatal = answer.status == "failed" and (
            message.startswith(HOPELESS) or any(word in message for word in FATAL)
        )
        if fatal or answer.status in ("unavailable", "timeout") or self._crashes >= MOST_CRASHES:
            raise ConvdiffError(f"{call.backend}={call.code}: {answer.status}: {message}")
        return Reply(None, message)
