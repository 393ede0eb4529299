"""A comparing process: reads pickled tasks from stdin and writes pickled reports to stdout.

Its stdout carries reports alone; anything else that is printed goes to stderr.  When the host dies,
stdin ends, and this process exits at once, even in the middle of a task.
"""

from __future__ import annotations

import os
import pickle
import queue
import sys
import threading
from typing import BinaryIO

from convdiff.errors import ConvdiffError


def main() -> None:
    """Serve tasks until stdin ends."""
    reports = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    # Imported here so that the modules load while the host reads its first case.
    from convdiff import fixes
    from convdiff.check import tasks
    from convdiff.verdict import judge

    assert fixes and judge
    for task in _TaskStream(sys.stdin.buffer):
        assert isinstance(task, tasks.SavedCase | tasks.AnsweredCase)
        try:
            answer: object = task.run()
        except ConvdiffError as error:
            # A subclass may not unpickle from its message alone; the base class does.
            answer = ConvdiffError(str(error))
        except MemoryError:
            answer = ConvdiffError(
                "the case needs more memory than this machine has; expected less, or --jobs 1"
            )
        except Exception as error:
            import traceback

            traceback.print_exc()
            answer = ConvdiffError(
                f"{type(error).__name__}: {error}; this is a bug in convdiff, please report it "
                "with the traceback above"
            )
        pickle.dump(answer, reports, pickle.HIGHEST_PROTOCOL)
        reports.flush()
        # Keeps no arrays alive while this process waits for the next task.
        del task, answer


class _TaskStream:
    """The tasks on a stream, read by a thread so that its end is noticed during a task."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._tasks: queue.Queue[object] = queue.Queue(maxsize=1)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            try:
                self._tasks.put(pickle.load(self._stream))
            except (EOFError, pickle.UnpicklingError):
                os._exit(0)

    def __iter__(self) -> _TaskStream:
        return self

    def __next__(self) -> object:
        return self._tasks.get()


if __name__ == "__main__":
    main()
