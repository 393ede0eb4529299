"""The pool of comparing processes, one per core; each works on one case at a time.

They are processes rather than threads because the diagnosis is Python code, and they start before
the host reads anything, so that they import numpy meanwhile.  A case that kills its process (out of
memory, a crash in a C library) loses its own result and no other; the process is replaced.
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
# The root goes last on the path, where it cannot shadow any other module; -P keeps the current
# folder off it.
WORKER_CODE = (
    f"import sys; sys.path.append({ROOT!r}); from convdiff.check.compare_worker import main; main()"
)
# Environment variables for the number of threads that numerical libraries start: each process gets
# its share of the cores.
THREAD_VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def usable_cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class ComparePool:
    """A context manager of `count` comparing processes; leaving it ends every process at once."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._work: queue.Queue[tuple[Task, Future[Report]] | None] = queue.Queue()
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._closed = False
        self._lock = threading.Lock()
        threads = str(max(1, usable_cores() // count))
        self._environment = {
            **os.environ,
            **{name: os.environ.get(name, threads) for name in THREAD_VARIABLES},
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
        """The report to come; the future raises ConvdiffError for a case that cannot be checked."""
        future: Future[Report] = Future()
        self._work.put((task, future))
        return future

    def _start(self, number: int) -> None:
        with self._lock:
            if self._closed:
                return
            # A session of its own: Ctrl-C goes to the host alone, which ends these processes.
            self._processes[number] = subprocess.Popen(
                [sys.executable, "-P", "-c", WORKER_CODE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=self._environment,
                start_new_session=True,
            )

    def _serve(self, number: int) -> None:
        """The thread of process `number`: hands it one task after another until the pool closes."""
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
                    f"the process that compared it {_exit_text(_reap(process))}; expected a "
                    "report. Try --jobs 1"
                )
                self._start(number)
            except BaseException as error:
                # Raised in a thread, it would otherwise be lost.
                future.set_exception(error)
                continue
            if isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)
            # Keeps no arrays alive while this thread waits for the next task.
            del work, task, future, answer


def _reap(process: subprocess.Popen[bytes]) -> int:
    """Wait for the process to end and close its pipes, whatever they still hold; its status."""
    status = process.wait()
    for stream in (process.stdin, process.stdout):
        with suppress(OSError):
            if stream is not None:
                stream.close()
    return status


def _exit_text(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    memory = " (out of memory?)" if status == -signal.SIGKILL else ""
    return f"was killed by {signal.Signals(-status).name}{memory}"
