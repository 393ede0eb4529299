"""A fleet: the workers of several environments, started together and used for every case.

The slowest framework is started first, and no more workers run at once than `capacity` allows.
Importing this module is cheap (no numpy, no rich), so that workers import their frameworks while
the host still imports its own modules.  Whatever happens to a worker is reported in the `Answer`
of the job that it was running, and affects no other job.  Workers die with the host (worker.py),
and on SIGTERM or SIGHUP the host exits in good order, so that the fleet's folder is deleted too.
"""

from __future__ import annotations

import contextlib
import math
import re
import selectors
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from convdiff.backends import capacity, failures
from convdiff.backends.environments import Environment
from convdiff.backends.fleet_folder import FleetFolder
from convdiff.backends.supervisor import Hello, JobOutcome, Status, Supervisor
from convdiff.backends.table import find_backend
from convdiff.backends.termination import exit_on_signals

if TYPE_CHECKING:
    from types import TracebackType

    from convdiff.records import Answer, Call, Stored

# Seconds that an import may take: this many times a job's timeout, and at least this long, since a
# cold network disk is slow.
IMPORT_TIMEOUT_FACTOR = 3.0
MIN_IMPORT_TIMEOUT = 60.0
# Seconds after which one more worker is started although no core is free, so that a job that hangs
# does not block other backends.
STALL_SECONDS = 8.0
POLL_SECONDS = 0.1  # between looks at processes that send nothing
# How the message of an Answer begins where repeated runs differed.
NOT_DETERMINISTIC = "not deterministic"

Mode = Literal["body", "expression", "function"]


@dataclass(frozen=True)
class Job:
    """Code to run in the environment named `backend`.

    `code` is a dialect's script ("body") or a user's call ("expression", "function").  `aligned`
    are the report's words for what the script does to the arrays.  `repeat` is how often it is run.
    `display_code` is what reports show instead of `code`.  `path` is the execution path, None for
    the worker's default.  `wrap` is an expression for a function that every array is passed through
    first ("torch.from_numpy").  `process` is the environment's process (`Environment.process`),
    where that is not `backend`.  `dtype` is the type that it computes in, where that is known:
    settings that lower the precision of float32 concern no other type.  `hint` is a likely reason,
    should the job fail.
    """

    name: str
    kind: Literal["backend", "call"]
    backend: str
    code: str
    mode: Mode
    aligned: tuple[str, ...] = ()
    repeat: int = 1
    display_code: str | None = None
    path: str | None = None
    wrap: str | None = None
    process: str | None = None
    dtype: str | None = None
    hint: str = ""


def call_job(call: Call, repeat: int = 1) -> Job:
    """The job for a `--call`: `path.py:function`, or else an expression."""
    function = re.fullmatch(r"\s*.+\.py:\w+\s*", call.code) is not None
    return Job(
        call.name,
        "call",
        call.backend,
        call.code,
        "function" if function else "expression",
        repeat=repeat,
    )


class Fleet:
    """The workers of some environments, as a context manager.

    An exception in the host, Ctrl-C, SIGTERM or leaving the `with` ends every worker and deletes
    the fleet's folder.  `timeout` is in seconds, for one job.
    """

    def __init__(self, environments: Sequence[Environment], *, timeout: float = 60.0) -> None:
        self._timeout = timeout
        self._import_timeout = max(MIN_IMPORT_TIMEOUT, IMPORT_TIMEOUT_FACTOR * timeout)
        self._supervisors: dict[str, Supervisor] = {}
        self._requested: set[str] = set()
        for environment in sorted(environments, key=lambda e: -find_backend(e.backend).seconds):
            self.add(environment)
        self._cores, self._memory_slots = capacity.cores(), capacity.workers_in_memory()
        self._last_start = 0.0
        self._folder: FleetFolder | None = None
        self._signal_handling = contextlib.ExitStack()
        self._outcomes: dict[int, JobOutcome] = {}
        self._last_number = 0

    def __enter__(self) -> Fleet:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def add(self, environment: Environment) -> None:
        """Add an environment, unless its process is known; it starts with its first job."""
        self._supervisors.setdefault(
            environment.process, Supervisor(environment, self._timeout, self._import_timeout)
        )

    def start(self) -> None:
        """Start the workers, as many at once as capacity allows, and return without waiting."""
        self._open()
        for supervisor in self._supervisors.values():
            self._request_start(supervisor)
        self._start_requested()

    def run(self, jobs: Sequence[Job], arrays: Mapping[str, Stored]) -> Iterator[Answer]:
        """Submit the jobs now; iterate to get their answers as they arrive, in any order.

        `arrays` are "input", "kernel" and perhaps "bias".  Jobs of one environment run one after
        another, a backend's own before the calls.  `run` may be called again before an iterator is
        exhausted: each iterator yields the answers of its own jobs.  Closing an iterator drops the
        jobs that it has not answered.  Raises KeyError for a job whose backend is not an
        environment of this fleet.
        """
        from convdiff.backends.array_files import file_for_worker  # imports numpy

        supervisors = [self._supervisor(job) for job in jobs]
        folder = self._open()
        run = self._next_number()
        paths = {
            name: str(file_for_worker(stored, folder / f"{run}-{name}.npy"))
            for name, stored in arrays.items()
        }
        numbered = {}
        for job, supervisor in sorted(
            zip(jobs, supervisors, strict=True), key=lambda pair: pair[0].kind == "call"
        ):
            number = self._next_number()
            numbered[number] = job
            self._request_start(supervisor)
            supervisor.submit(
                {
                    "id": number,
                    "name": job.name,
                    "mode": job.mode,
                    "code": job.code,
                    "repeat": job.repeat,
                    "wrap": job.wrap,
                    "path": "" if job.kind == "call" else job.path,
                    "out": str(folder / f"{number}.npy"),
                    "arrays": paths,
                }
            )
        self._start_requested()
        return self._answers(numbered, paths)

    def wait(self, within: float = math.inf) -> dict[str, Hello | str]:
        """Start all workers and wait until each is ready or known to be unavailable.

        Returns the greeting, or the reason why it cannot run, by process.  Workers that have sent
        neither after `within` seconds are left out, and go on importing.
        """
        self.start()
        end = time.monotonic() + within
        while (
            any(
                supervisor.reason is None and supervisor.hello is None
                for supervisor in self._supervisors.values()
            )
            and time.monotonic() < end
        ):
            self._poll()
        results = {
            name: supervisor.hello or supervisor.reason
            for name, supervisor in self._supervisors.items()
        }
        return {name: result for name, result in results.items() if result is not None}

    def hello(self, name: str) -> Hello | None:
        """The greeting of that process, None where it has not arrived (yet)."""
        return self._supervisors[name].hello

    def close(self) -> None:
        """End every worker and delete the folder.  Arrays that were answered stay valid."""
        for supervisor in self._supervisors.values():
            supervisor.close()
        self._outcomes.clear()
        if self._folder is not None:
            self._folder.close()
            self._folder = None
        if threading.current_thread() is threading.main_thread():
            self._signal_handling.close()

    def _open(self) -> Path:
        """The folder for logs and arrays, created at its first use; signals then end in `close`."""
        if self._folder is None:
            self._folder = FleetFolder()
            self._signal_handling.enter_context(exit_on_signals())
        return self._folder.path

    def _supervisor(self, job: Job) -> Supervisor:
        return self._supervisors[job.process or job.backend]

    def _next_number(self) -> int:
        self._last_number += 1
        return self._last_number

    def _request_start(self, supervisor: Supervisor) -> None:
        """Have a worker started as soon as capacity allows.

        Where its process exists already, it is replaced at once if it died while it was idle.
        """
        if supervisor.process is None:
            self._requested.add(supervisor.environment.process)
        else:
            self._start(supervisor)

    def _start_requested(self) -> None:
        """Start requested workers, slowest first, while cores and memory are free.

        Where memory is short, an idle worker is ended to make space for one that has work.
        """
        for name, supervisor in self._supervisors.items():
            if name not in self._requested:
                continue
            running = [other for other in self._supervisors.values() if other.process is not None]
            idle = [other for other in running if not other.busy]
            cores_taken = (
                len(running) - len(idle) >= self._cores
                and time.monotonic() - self._last_start < STALL_SECONDS
            )
            memory_taken = len(running) >= self._memory_slots
            if cores_taken or (memory_taken and not idle):
                return
            if memory_taken:
                idle[0].close()
            self._requested.discard(name)
            self._last_start = time.monotonic()
            self._start(supervisor)

    def _start(self, supervisor: Supervisor) -> None:
        supervisor.start(self._open() / f"{supervisor.environment.process}.log")

    def _answers(self, numbered: dict[int, Job], paths: Mapping[str, str]) -> Iterator[Answer]:
        """The answers of one `run`; its jobs are abandoned where the iterator is closed early."""
        try:
            while numbered and self._folder is not None:
                for number in [number for number in numbered if number in self._outcomes]:
                    yield self._answer(numbered.pop(number), self._outcomes.pop(number))
                if numbered and not any(number in self._outcomes for number in numbered):
                    self._poll()
        finally:
            for number in numbered:
                self._outcomes.pop(number, None)
            if self._folder is not None:
                for supervisor in self._supervisors.values() if numbered else ():
                    supervisor.abandon(set(numbered))
                for path in map(Path, paths.values()):
                    if path.parent == self._folder.path:
                        path.unlink(missing_ok=True)

    def _poll(self) -> None:
        """Wait a moment at most for any worker to send something, and collect the outcomes."""
        with selectors.DefaultSelector() as selector:
            now = time.monotonic()
            pause = POLL_SECONDS
            for supervisor in self._supervisors.values():
                if supervisor.process is None and supervisor.reason is not None and supervisor.busy:
                    pause = 0.0
                elif supervisor.process is not None and supervisor.busy:
                    selector.register(supervisor.process.answers, selectors.EVENT_READ)
                    pause = min(pause, max(0.0, supervisor.deadline - now))
            selector.select(pause)
        for supervisor in self._supervisors.values():
            self._outcomes.update((outcome.id, outcome) for outcome in supervisor.poll())
        self._start_requested()

    def _answer(self, job: Job, outcome: JobOutcome) -> Answer:
        """The record of a finished job."""
        from convdiff.backends.array_files import load_result  # both import numpy
        from convdiff.records import Answer, PrecisionSetting

        hello, answer = self._supervisor(job).hello, outcome.answer or {}
        status, message = _status(job, outcome)
        output = again = None
        if status == "ok":
            try:
                output = load_result(self._open() / f"{outcome.id}.npy")
            except (OSError, ValueError) as error:
                status, message = "failed", f"its result cannot be read: {error}"
            if answer.get("changed"):
                message = _variation_message(answer)
                with contextlib.suppress(OSError, ValueError):
                    again = load_result(self._open() / f"{outcome.id}.npy.again.npy")
        lowered = answer.get("precision", ()) if job.dtype in (None, "float32") else ()
        precision = tuple(PrecisionSetting(*map(str, setting)) for setting in lowered)
        return Answer(
            name=job.name,
            kind=job.kind,
            status=status,
            backend=job.backend,
            version=hello.version if hello else None,
            path=job.path or (hello.path if hello else None),
            message=message,
            seconds=answer.get("seconds"),
            code=job.display_code or job.code,
            aligned=(*job.aligned, *(by for _, by, _ in precision)),
            output=output,
            stored=answer.get("stored"),
            again=again,
            precision=precision,
        )


def _status(job: Job, outcome: JobOutcome) -> tuple[Status, str | None]:
    """Status and message of an outcome as reports show them."""
    status, message = outcome.status, outcome.message
    if status != "failed":
        return status, message
    if job.kind == "backend" and failures.says_unsupported(message or ""):
        status = "unsupported"
    elif job.hint:
        message = f"{job.hint}: {message}"
    return status, message


def _variation_message(answer: dict[str, Any]) -> str:
    """The message for repeated runs with different results."""
    largest = (
        f"by up to {answer['apart']:.3g}"
        if math.isfinite(answer["apart"])
        else "some in shape, NaN or infinity"
    )
    return (
        f"{NOT_DETERMINISTIC}: {answer['changed']} of {answer['runs'] - 1} further runs "
        f"differ from the first, {largest}"
    )
