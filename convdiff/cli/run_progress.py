"""A line on stderr that names the rows that a run still waits for.

It is for output that only appears at the end: JSON, GitHub commands, a table in a file or pipe.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from types import TracebackType

    from convdiff.pipeline import View
    from convdiff.records import Report, Row

# Moves the cursor to the start of the line and erases the line.
CLEAR_LINE = "\r\x1b[K"


class RunProgress:
    """A view around another view, which removes its line before the other one writes."""

    def __init__(
        self, inner: AbstractContextManager[View], expected: Sequence[str], stream: TextIO
    ) -> None:
        self._inner, self._awaited, self._stream = inner, list(expected), stream

    def __enter__(self) -> RunProgress:
        self._view = self._inner.__enter__()
        self._show()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._write(CLEAR_LINE)
        self._inner.__exit__(kind, error, trace)

    def add(self, row: Row) -> None:
        """Take the row's name off the line."""
        if row.answer.name in self._awaited:
            self._awaited.remove(row.answer.name)
        self._view.add(row)
        self._show()

    def finish(self, report: Report) -> None:
        """Remove the line, then let the other view finish."""
        self._write(CLEAR_LINE)
        self._view.finish(report)

    def _show(self) -> None:
        line = f"waiting for {', '.join(self._awaited)}" if self._awaited else ""
        width = shutil.get_terminal_size().columns - 1
        self._write(CLEAR_LINE + (line if len(line) <= width else f"{line[: width - 3]}..."))

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
