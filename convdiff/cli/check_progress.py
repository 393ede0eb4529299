"""The progress of a check on stderr: one line that is redrawn on a terminal, a line now and then in
a log.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from convdiff.suite_result import CaseResult

CLEAR = "\r\x1b[K"
# Seconds between lines where nobody redraws: a short check is silent, a long one is seen to be
# alive.
PAUSE = 15.0
# Seconds between drawings; more often nobody can read.
FRAME = 0.05


class CheckProgress:
    """See above."""

    def __init__(self, stream: TextIO, redraws: bool) -> None:
        self._stream, self._redraws = stream, redraws
        self._total = self._done = self._failed = 0
        self._last = time.monotonic()

    def begin(self, total: int) -> None:
        """So many cases are to come."""
        self._total = total
        self._draw("")

    def add(self, checked: CaseResult) -> None:
        """One is done."""
        self._done += 1
        self._failed += checked.exit_code != 0
        self._draw(checked.name)

    def clear(self) -> None:
        """Leave no trace on a terminal."""
        if self._redraws:
            self._write(CLEAR)

    def _draw(self, name: str) -> None:
        now = time.monotonic()
        if now - self._last < (FRAME if self._redraws else PAUSE) and name:
            return
        failed = f", {self._failed} failed" if self._failed else ""
        line = f"{self._done} of {self._total} checked{failed}"
        if self._redraws:
            shown = f"{line}  {''.join(c if c.isprintable() else '?' for c in name)}"
            self._write(CLEAR + shown[: shutil.get_terminal_size().columns - 1])
        elif name:
            self._write(f"convdiff: {line}\n")
        self._last = now

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


@contextmanager
def watch() -> Iterator[CheckProgress]:
    """A watcher of stderr, whose line is gone at the end."""
    watcher = CheckProgress(sys.stderr, sys.stderr.isatty())
    try:
        yield watcher
    finally:
        watcher.clear()
