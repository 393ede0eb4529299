"""What a dialect hands back, and the small builder they all write with."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from convdiff.execution_paths import PLAIN, ExecutionPath
from convdiff.spec.conv_spec import ConvSpec

WIDTH = 100


class Unsupported(Exception):
    """The framework cannot do this convolution at all; the message says why, in one phrase."""


@dataclass(frozen=True)
class Script:
    """Source text that takes arrays `input`, `kernel` and perhaps `bias` and defines `output`.

    `aligned` are words for the table: what was done on the way ("NHWC/HWIO", "kernel flipped",
    "padded by hand").  `path` is how it computes, where that is not as the framework itself
    decides.
    """

    body: str
    aligned: tuple[str, ...]
    path: str | None = None


def own_call(script: Script) -> str:
    """The framework's own call in a script, on one line: what makes the node or graph, else y, else
    the output.
    """
    made = {
        node.targets[0].id: ast.unparse(node.value)
        for node in ast.parse(script.body).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    return next(made[name] for name in ("node", "Y", "y", "output") if name in made)


@dataclass(frozen=True)
class Dialect:
    """How one framework is written, each through a path: a convolution done right, and the
    framework's own default call.
    """

    write: Callable[[ConvSpec, ExecutionPath], Script]
    default: Callable[[ConvSpec, ExecutionPath], Script]


def same_call(path: ExecutionPath, *styles: str) -> None:
    """Raise Unsupported where a path is another call than the framework's default; `styles` are
    those that are not.
    """
    if path.style and path.style not in styles:
        raise Unsupported(
            f"the default call of {path.backend} is another one than that of its path {path.name}"
        )


class Body:
    """Lines of a script in the making, and the words for what they do."""

    def __init__(
        self, imports: Mapping[str, str], path: ExecutionPath = PLAIN, setup: Sequence[str] = ()
    ) -> None:
        """`imports` are import lines by the name each defines, in the order to write them; unused
        ones are left out.
        """
        self.path = path
        self._imports = imports
        self._setup = [*path.setup, *setup]
        self._lines: list[str] = []
        self._words: list[str] = []

    def add(self, line: str) -> None:
        """One line, or several in one string."""
        self._lines.append(line)

    def note(self, *words: str) -> None:
        """Words for the table, each once."""
        self._words += [word for word in words if word not in self._words]

    def call(self, target: str, function: str, *args: str | None, ending: str = "") -> None:
        """`target = function(args)ending`, on one line where it fits; arguments that are None are
        left out.
        """
        given = [arg for arg in args if arg is not None]
        line = f"{target} = {function}({', '.join(given)}){ending}"
        if len(line) > WIDTH:
            line = f"{target} = {function}(\n    {self._folded(given)},\n){ending}"
        self.add(line)

    def through(self, function: str) -> str:
        """The framework's function as the path calls it: `torch.compile(F.conv2d)`."""
        return self.path.around.format(function)

    @staticmethod
    def _folded(args: list[str]) -> str:
        rows: list[str] = []
        for arg in args:
            if rows and len(rows[-1]) + len(arg) + 7 <= WIDTH:
                rows[-1] += f", {arg}"
            else:
                rows.append(arg)
        return ",\n    ".join(rows)

    def script(self) -> Script:
        """The whole text: the imports that it uses, then the lines."""
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
