"""The script that a dialect returns, and the builder that dialects write it with."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from convdiff.execution_paths import DEFAULT_PATH, ExecutionPath
from convdiff.spec.conv_spec import ConvSpec

LINE_WIDTH = 100


class Unsupported(Exception):
    """The framework cannot compute this convolution; the message says why, in one phrase."""


@dataclass(frozen=True)
class Script:
    """Source text that takes arrays `input`, `kernel` and perhaps `bias`, and defines `output`.

    `aligned` are the report's words for what it does to the arrays besides the framework's call
    ("NHWC/HWIO", "kernel flipped", "padded by hand").  `path` is the name of the execution path,
    where it is not the one that was asked for or the framework's default.
    """

    body: str
    aligned: tuple[str, ...]
    path: str | None = None


def framework_call(script: Script) -> str:
    """The framework's own call in a script, on one line.

    It is what defines the node or graph; else y; else the output.
    """
    values = {
        node.targets[0].id: ast.unparse(node.value)
        for node in parse(script.body).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    return next(values[name] for name in ("node", "Y", "y", "output") if name in values)


def parse(source: str) -> ast.Module:
    """`ast.parse`, tried again where CPython 3.11 raises a SystemError by mistake.

    It does so where its bookkeeping of the recursion depth is disturbed, which has been seen on
    busy machines (python/cpython, issue 106905).
    """
    try:
        return ast.parse(source)
    except SystemError:
        return ast.parse(source)


@dataclass(frozen=True)
class Dialect:
    """How one framework is written, both for a given execution path.

    `write` gives the aligned convolution, `default` the framework's default call.
    """

    write: Callable[[ConvSpec, ExecutionPath], Script]
    default: Callable[[ConvSpec, ExecutionPath], Script]


def require_default_call(path: ExecutionPath, *styles: str) -> None:
    """Raise Unsupported where a path's call is not the framework's default call.

    `styles` are those that do not change the call.
    """
    if path.style and path.style not in styles:
        raise Unsupported(
            f"the path {path.name} of {path.backend} has a call of its own, which is not the "
            "default call"
        )


class ScriptBuilder:
    """Collects the lines of a script, and the words for what they do."""

    def __init__(
        self,
        imports: Mapping[str, str],
        path: ExecutionPath = DEFAULT_PATH,
        setup: Sequence[str] = (),
    ) -> None:
        """`imports` are import lines, in order, by the name that each defines; unused ones are
        left out.  `setup` are further lines of the prelude, after the path's.
        """
        self.path = path
        self._imports = imports
        self._setup = [*path.setup, *setup]
        self._lines: list[str] = []
        self._words: list[str] = []

    def add(self, line: str) -> None:
        """Add one line, or several in one string."""
        self._lines.append(line)

    def note(self, *words: str) -> None:
        """Add words to `Script.aligned`, each only once."""
        self._words += [word for word in words if word not in self._words]

    def call(self, target: str, function: str, *args: str | None, ending: str = "") -> None:
        """Add `target = function(args)ending`, folded where it is too long; None is left out."""
        given = [arg for arg in args if arg is not None]
        line = f"{target} = {function}({', '.join(given)}){ending}"
        if len(line) > LINE_WIDTH:
            line = f"{target} = {function}(\n    {self._folded(given)},\n){ending}"
        self.add(line)

    def wrapped(self, function: str) -> str:
        """The framework's function as the path calls it: `torch.compile(F.conv2d)`."""
        return self.path.wrapper.format(function)

    @staticmethod
    def _folded(args: list[str]) -> str:
        rows: list[str] = []
        for arg in args:
            if rows and len(rows[-1]) + len(arg) + 7 <= LINE_WIDTH:
                rows[-1] += f", {arg}"
            else:
                rows.append(arg)
        return ",\n    ".join(rows)

    def script(self) -> Script:
        """The complete script: the imports that it uses, the prelude, then the lines."""
        text = "\n".join([*self._setup, *self._lines])
        imports = [
            line
            for name, line in self._imports.items()
            if re.search(rf"(?<![\w.]){name}\b(?!\s*=[^=])", text)
        ]
        head = "\n".join(imports) + "\n"
        if self._setup:
            head += "\n" + "\n".join(self._setup) + "\n"
        return Script(f"{head}\n" + "\n".join(self._lines) + "\n", tuple(self._words))
