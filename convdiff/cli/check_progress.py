"""The progress of a check on stderr: a line that is redrawn on a terminal, lines in a log."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from convdiff.cli.run_progress import CLEAR_LINE

if TYPE_CHECKING:
    from convdiff.suite_result import CaseResult

# How often a log gets a line: a short check writes none, a long one shows that it is alive.
LOG_SECONDS = 15.0
# How often the line on a terminal is redrawn; faster than this it cannot be read.
REDRAW_SECONDS = 0.05


class CheckProgress:
    """Counts the cases that are done and have failed, and shows the counts in `stream`."""

    def __init__(self, stream: TextIO, redraws: bool) -> None:
        self._stream, self._redraws = stream, redraws
        self._total = self._done = self._failed = 0
        self._last_shown = time.monotonic()

    def begin(self, total: int) -> None:
        """Announce the number of cases."""
        self._total = total
        self._show("")

    def add(self, checked: CaseResult) -> None:
        """Count a case that is done."""
        self._done += 1
        self._failed += checked.exit_code != 0
        self._show(checked.name)

    def clear(self) -> None:
        """Remove the line from a terminal."""
        if self._redraws:
            self._write(CLEAR_LINE)

    def _show(self, name: str) -> None:
        now = time.monotonic()
        pause = REDRAW_SECONDS if self._redraws else LOG_SECONDS
        if now - self._last_shown < pause and name:
            return
        failed = f", {self._failed} failed" if self._failed else ""
        line = f"{self._done} of {self._total} checked{failed}"
        if self._redraws:
            shown = f"{line}  {''.join(c if c.isprintable() else '?' for c in name)}"
            self._write(CLEAR_LINE + shown[: shutil.get_terminal_size().columns - 1])
        elif name:
            self._write(f"convdiff: {line}\n")
        self._last_shown = now

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


@contextmanager
def show_progress() -> Iterator[CheckProgress]:
    """Progress on stderr, removed from a terminal at the end."""
    progress = CheckProgress(sys.stderr, sys.stderr.isatty())
    try:
        yield progress
    finally:
        progress.clear()
