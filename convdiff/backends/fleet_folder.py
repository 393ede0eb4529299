"""The private folder of a fleet: logs, arrays on their way.

A host that is killed outright (SIGKILL) cannot delete its folder.  So each holds a lock on a file
in it for as long as it lives, and the next fleet deletes the folders whose lock is free.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import IO

PREFIX = "convdiff-"
YOUNG = 60.0  # seconds; a folder may not have its lock yet


class Folder:
    """A new private folder; `close` deletes it, as does the end of the interpreter."""

    def __init__(self) -> None:
        self._made = tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True)
        self.path = Path(self._made.name)
        self._lock: IO[bytes] = (self.path / "lock").open("wb")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        _sweep(self.path.parent)

    def close(self) -> None:
        """Delete it with all that is in it; what is mapped stays valid."""
        self._made.cleanup()
        self._lock.close()


def _sweep(parent: Path) -> None:
    with contextlib.suppress(OSError):
        for folder in parent.glob(f"{PREFIX}*"):
            with contextlib.suppress(OSError):
                if (
                    folder.stat().st_uid == os.getuid()
                    and time.time() - folder.stat().st_mtime > YOUNG
                ):
                    with (folder / "lock").open("r+b") as lock:
                        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        shutil.rmtree(folder, ignore_errors=True)
