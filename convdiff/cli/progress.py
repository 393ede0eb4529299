"""One line on stderr that says what is still being waited for, where the table itself cannot be
watched.
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

CLEAR = "\r\x1b[K"


class Progress:
    """A view around another one.  The line is gone before anything else is written."""

    def __init__(
        self, inner: AbstractContextManager[View], expected: Sequence[str], stream: TextIO
    ) -> None:
        self._inner, self._waiting, self._stream = inner, list(expected), stream

    def __enter__(self) -> Progress:
        self._view = self._inner.__enter__()
        self._show()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._write(CLEAR)
        self._inner.__exit__(kind, error, trace)

    def add(self, row: Row) -> None:
        """One less to wait for."""
        if row.answer.name in self._waiting:
            self._waiting.remove(row.answer.name)
        self._view.add(row)
        self._show()

    def finish(self, report: Report) -> None:
        """Make room, then let the view finish."""
        self._write(CLEAR)
        self._view.finish(report)

    def _show(self) -> None:
        line = f"waiting for {', '.join(self._waiting)}" if self._waiting else ""
        width = shutil.get_terminal_size().columns - 1
        self._write(CLEAR + (line if len(line) <= width else f"{line[: width - 3]}..."))

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
