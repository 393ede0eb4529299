"""The processes that compare, one a core: a case each at a time, replaced when one dies.

Processes and not threads, since the diagnosis is Python; started before the host reads anything, so
that they import numpy beside it. A case that kills its process (memory, a crash in a C library)
costs its own outcome and no other.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from convdiff.errors import ConvdiffError

if TYPE_CHECKING:
    from convdiff.check.tasks import Task
    from convdiff.records import Report

ROOT = str(Path(__file__).resolve().parents[2])
# The root comes last, where it can shadow nothing; -P keeps the current folder out.
CODE = (
    f"import sys; sys.path.append({ROOT!r}); from convdiff.check.compare_worker import main; main()"
)
# Libraries that compute with threads of their own: each process gets its share of the cores.
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class ComparePool:
    """A context manager: leaving it ends every process at once."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._work: queue.Queue[tuple[Task, Future[Report]] | None] = queue.Queue()
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._closed = False
        self._lock = threading.Lock()
        share = str(max(1, cores() // count))
        self._environment = {
            **os.environ,
            **{name: os.environ.get(name, share) for name in THREADS},
        }
        for number in range(count):
            self._start(number)
        self._threads = [
            threading.Thread(target=self._serve, args=(number,), daemon=True)
            for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> ComparePool:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._closed = True
            processes = list(self._processes.values())
        for process in processes:
            process.kill()
        for _thread in self._threads:
            self._work.put(None)
        for thread in self._threads:
            thread.join()
        for process in processes:
            _reap(process)

    def submit(self, task: Task) -> Future[Report]:
        """The report to come; the future raises ConvdiffError where the case is at fault."""
        future: Future[Report] = Future()
        self._work.put((task, future))
        return future

    @property
    def pids(self) -> list[int]:
        """The processes' ids."""
        return [process.pid for process in self._processes.values()]

    def _start(self, number: int) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._closed:
                return None
            # A session of its own: Ctrl-C is for the host, which ends these.
            self._processes[number] = subprocess.Popen(
                [sys.executable, "-P", "-c", CODE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=self._environment,
                start_new_session=True,
            )
            return self._processes[number]

    def _serve(self, number: int) -> None:
        while (work := self._work.get()) is not None:
            task, future = work
            if self._closed or not future.set_running_or_notify_cancel():
                continue
            process = self._processes[number]
            try:
                assert process.stdin is not None
                assert process.stdout is not None
                pickle.dump(task, process.stdin, pickle.HIGHEST_PROTOCOL)
                process.stdin.flush()
                answer = pickle.load(process.stdout)
            except (OSError, EOFError, pickle.UnpicklingError):
                answer = ConvdiffError(
                    f"the process that compared it {_ended(_reap(process))}; expected a report. "
                    "Try --jobs 1"
                )
                self._start(number)
            except BaseException as error:  # nobody else would hear of it
                future.set_exception(error)
                continue
            if isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)
            del work, task, future, answer


def _reap(process: subprocess.Popen[bytes]) -> int:
    """Wait for its end and close its pipes, whatever was still on the way; its status."""
    status = process.wait()
    for stream in (process.stdin, process.stdout):
        with suppress(OSError):
            if stream is not None:
                stream.close()
    return status


def _ended(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    memory = " (out of memory?)" if status == -signal.SIGKILL else ""
    return f"was killed by {signal.Signals(-status).name}{memory}"
