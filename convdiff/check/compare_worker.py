"""A comparing process: tasks in on stdin, reports out on stdout, pickled, until stdin ends.

Its own stdout is for reports alone; whatever else is printed goes to stderr.  When the host dies
its end of stdin closes, and this process ends at once, whatever it is at.
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
    """Serve until stdin ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    # Imported while the host reads its first case.
    from convdiff import fixes
    from convdiff.check import tasks
    from convdiff.verdict import judge

    assert fixes and judge
    for task in _incoming(sys.stdin.buffer):
        assert isinstance(task, tasks.SavedCase | tasks.AnsweredCase)
        try:
            answer: object = task.run()
        except ConvdiffError as error:
            # The plain class: what inherits from it may not be made again from its message.
            answer = ConvdiffError(str(error))
        except MemoryError:
            answer = ConvdiffError(
                "the case needs more memory than this machine has; expected less, or --jobs 1"
            )
        except Exception as error:
            import traceback

            traceback.print_exc()
            answer = ConvdiffError(
                f"a bug of convdiff's, {type(error).__name__}: {error}; the traceback is above, "
                "please report it"
            )
        pickle.dump(answer, answers, pickle.HIGHEST_PROTOCOL)
        answers.flush()
        del task, answer


class _Incoming:
    """Tasks as they come, read by a thread of their own, so that the end of stdin is seen while a
    task is worked at.
    """

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

    def __iter__(self) -> _Incoming:
        return self

    def __next__(self) -> object:
        return self._tasks.get()


def _incoming(stream: BinaryIO) -> _Incoming:
    return _Incoming(stream)


if __name__ == "__main__":
    main()
