"""The private folder of a fleet: logs, and arrays on their way.

A host that is killed by SIGKILL cannot delete its folder.  Therefore each host holds a lock on a
file in its folder as long as it lives, and the next fleet deletes the folders whose lock is free.
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
MIN_AGE = 60.0  # seconds; a younger folder may not have been locked yet


class FleetFolder:
    """A new private folder; `close` deletes it, as does the end of the interpreter."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True)
        self.path = Path(self._directory.name)
        self._lock: IO[bytes] = (self.path / "lock").open("wb")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        _delete_abandoned(self.path.parent)

    def close(self) -> None:
        """Delete the folder with all its files; arrays that are mapped stay valid."""
        self._directory.cleanup()
        self._lock.close()


def _delete_abandoned(parent: Path) -> None:
    """Delete this user's fleet folders in `parent` that no living host has locked."""
    with contextlib.suppress(OSError):
        for folder in parent.glob(f"{PREFIX}*"):
            with contextlib.suppress(OSError):
                if (
                    folder.stat().st_uid == os.getuid()
                    and time.time() - folder.stat().st_mtime > MIN_AGE
                ):
                    with (folder / "lock").open("r+b") as lock:
                        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        shutil.rmtree(folder, ignore_errors=True)
