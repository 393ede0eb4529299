"""Worker processes for several environments: started together, slowest first, as many as there is
room for, and reused for every case.

Importing this module costs little (no numpy, no rich), so that workers can import their frameworks
while the host still imports its own.  Whatever happens to a worker costs the job it was at, as an
`Answer` that says so, and nothing else.  Nothing is left behind: workers die with the host in the
kernel (worker.py), and on SIGTERM or SIGHUP the host unwinds so that the folder goes too.
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
from typing import TYPE_CHECKING, Literal

from convdiff.backends import backend, capacity, failures
from convdiff.backends.environments import Environment
from convdiff.backends.fleet_folder import Folder
from convdiff.backends.supervisor import Hello, JobOutcome, Status, Supervisor
from convdiff.backends.termination import unwinding

if TYPE_CHECKING:
    from types import TracebackType

    from convdiff.records import Answer, Call, Stored

# Importing may take that many times a job's timeout, and at least so many seconds: a cold network
# disk takes its time.
IMPORT, LEAST_IMPORT = 3.0, 60.0
STALLED = (
    8.0  # seconds after which one more is started though no core is free: who hangs holds up nobody
)
TICK = 0.1  # seconds between looks at processes whose pipes are silent
NOT_DETERMINISTIC = (
    "not deterministic"  # an Answer's message begins with it where repeated runs differed
)

Mode = Literal["body", "expression", "function"]


@dataclass(frozen=True)
class Job:
    """Code to run in a backend's environment (its name): a dialect's text ("body") or a user's
    call.

    `process` is the environment's process, where that is not the one that bears its name.  `repeat`
    runs it that many times; `display_code` is what reports show instead of `code`, and `path` how
    it computes ("cpu/onednn"; None: as its worker says). `wrap` is an expression for a function
    that each array goes through first ("torch.from_numpy").  `dtype` is what it computes in, where
    that is known: settings that lower the precision of float32 concern no other type.  `hint` may
    be why, should it fail.
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
    """The job for a --call: `path.py:function` or an expression."""
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
    """The workers of some environments; a context manager.

    An exception in the host, Ctrl-C, SIGTERM or leaving the `with` ends every worker and deletes
    the fleet's folder.
    """

    def __init__(self, environments: Sequence[Environment], *, timeout: float = 60.0) -> None:
        self._timeout, self._import_timeout = timeout, max(LEAST_IMPORT, IMPORT * timeout)
        self._stations: dict[str, Supervisor] = {}
        self._wanted: set[str] = set()
        for environment in sorted(environments, key=lambda e: -backend(e.backend).seconds):
            self.add(environment)
        self._cores, self._memory = capacity.cores(), capacity.workers()
        self._admitted = 0.0
        self._folder: Folder | None = None
        self._unwinding = contextlib.ExitStack()
        self._outcomes: dict[int, JobOutcome] = {}
        self._count = 0

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
        """One more, unless its process is known; it starts with its first job."""
        self._stations.setdefault(
            environment.process, Supervisor(environment, self._timeout, self._import_timeout)
        )

    def start(self) -> None:
        """Start every worker that can be started, together as far as there is room, and return
        without waiting.
        """
        self._open()
        for station in self._stations.values():
            self._want(station)
        self._admit()

    def run(self, jobs: Sequence[Job], arrays: Mapping[str, Stored]) -> Iterator[Answer]:
        """Hand the jobs over now; iterate to get their answers as they come, in any order.

        `arrays` are "input", "kernel" and perhaps "bias".  Jobs of one environment run one after
        another, a backend's own before the calls.  More may be run while an iterator has not given
        all: each gives its own.  Closing an iterator drops what it has not given.  Raises KeyError
        for a job whose backend is not an environment of this fleet.
        """
        from convdiff.backends.exchange import hand_over

        stations = [self._stations[job.process or job.backend] for job in jobs]
        folder = self._open()
        self._count += 1
        paths = {
            name: str(hand_over(stored, folder / f"{self._count}-{name}.npy"))
            for name, stored in arrays.items()
        }
        mine = {}
        for job, station in sorted(
            zip(jobs, stations, strict=True), key=lambda pair: pair[0].kind == "call"
        ):
            self._count += 1
            mine[self._count] = job
            self._want(station)
            station.hand_over(
                {
                    "id": self._count,
                    "name": job.name,
                    "mode": job.mode,
                    "code": job.code,
                    "repeat": job.repeat,
                    "wrap": job.wrap,
                    "path": "" if job.kind == "call" else job.path,
                    "out": str(folder / f"{self._count}.npy"),
                    "arrays": paths,
                }
            )
        self._admit()
        return self._answers(mine, paths)

    def wait(self, within: float = math.inf) -> dict[str, Hello | str]:
        """Wait until every worker is ready or known not to be; by its process, a worker's hello or
        why it cannot run.

        Those that have said nothing after `within` seconds go on, and are left out.
        """
        self.start()
        end = time.monotonic() + within
        while (
            any(
                station.reason is None and station.hello is None
                for station in self._stations.values()
            )
            and time.monotonic() < end
        ):
            self._attend()
        said = {name: station.hello or station.reason for name, station in self._stations.items()}
        return {name: answer for name, answer in said.items() if answer is not None}

    def hello(self, name: str) -> Hello | None:
        """What that environment's worker said when it was ready; None if it has not (yet)."""
        return self._stations[name].hello

    @property
    def pids(self) -> list[int]:
        """The process ids of the workers that run."""
        return [
            station.process.pid
            for station in self._stations.values()
            if station.process is not None
        ]

    def close(self) -> None:
        """End every worker and delete the folder.  Arrays that were answered stay valid."""
        for station in self._stations.values():
            station.close()
        self._outcomes.clear()
        if self._folder is not None:
            self._folder.close()
            self._folder = None
        if threading.current_thread() is threading.main_thread():
            self._unwinding.close()

    def _open(self) -> Path:
        """The folder for logs and arrays, which first use makes; from then on termination unwinds
        the host.
        """
        if self._folder is None:
            self._folder = Folder()
            self._unwinding.enter_context(unwinding())
        return self._folder.path

    def _want(self, station: Supervisor) -> None:
        """Have it started when there is room, or at once where it runs: it may have died while it
        was idle.
        """
        if station.process is None:
            self._wanted.add(station.environment.process)
        else:
            self._start(station)

    def _admit(self) -> None:
        """Start those that are wanted, slowest first, while there are cores and memory; one that is
        idle makes room.
        """
        for name, station in self._stations.items():
            if name not in self._wanted:
                continue
            running = [other for other in self._stations.values() if other.process is not None]
            idle = [other for other in running if not other.waiting]
            full = (
                len(running) - len(idle) >= self._cores
                and time.monotonic() - self._admitted < STALLED
            )
            if full or (len(running) >= self._memory and not idle):
                return
            if len(running) >= self._memory:
                idle[0].close()
            self._wanted.discard(name)
            self._admitted = time.monotonic()
            self._start(station)

    def _start(self, station: Supervisor) -> None:
        station.start(self._open() / f"{station.environment.process}.log")

    def _answers(self, mine: dict[int, Job], paths: Mapping[str, str]) -> Iterator[Answer]:
        try:
            while mine and self._folder is not None:
                for number in [number for number in mine if number in self._outcomes]:
                    yield self._answer(mine.pop(number), self._outcomes.pop(number))
                if mine and not any(number in self._outcomes for number in mine):
                    self._attend()
        finally:
            for number in mine:
                self._outcomes.pop(number, None)
            if self._folder is not None:
                for station in self._stations.values() if mine else ():
                    station.abandon(set(mine))
                for path in map(Path, paths.values()):
                    if path.parent == self._folder.path:
                        path.unlink(missing_ok=True)

    def _attend(self) -> None:
        """Wait for news from any worker, a moment at most, and note what became of jobs."""
        with selectors.DefaultSelector() as selector:
            now = time.monotonic()
            pause = TICK
            for station in self._stations.values():
                if station.process is None and station.reason is not None and station.waiting:
                    pause = 0.0
                elif station.process is not None and station.waiting:
                    selector.register(station.process.answers, selectors.EVENT_READ)
                    pause = min(pause, max(0.0, station.deadline - now))
            selector.select(pause)
        for station in self._stations.values():
            self._outcomes.update((outcome.id, outcome) for outcome in station.attend())
        self._admit()

    def _answer(self, job: Job, outcome: JobOutcome) -> Answer:
        from convdiff.backends.exchange import take_back
        from convdiff.records import Answer, PrecisionSetting

        station = self._stations[job.process or job.backend]
        hello, message, said = station.hello, outcome.message, outcome.answer or {}
        status: Status = outcome.status
        output = again = None
        if status == "failed" and job.kind == "backend" and failures.refused(message or ""):
            status = "unsupported"
        if status == "failed" and job.hint:
            message = f"{job.hint}: {message}"
        if status == "ok":
            try:
                output = take_back(self._open() / f"{outcome.id}.npy")
            except (OSError, ValueError) as error:
                status, message = "failed", f"its result cannot be read: {error}"
            if said.get("changed"):
                message = (
                    f"{NOT_DETERMINISTIC}: {said['changed']} of {said['runs'] - 1} further runs "
                    "differ from the first, "
                    + (
                        f"by up to {said['apart']:.3g}"
                        if math.isfinite(said["apart"])
                        else "some in shape, NaN or infinity"
                    )
                )
                with contextlib.suppress(OSError, ValueError):
                    again = take_back(self._open() / f"{outcome.id}.npy.again.npy")
        lowered = said.get("precision", ()) if job.dtype in (None, "float32") else ()
        precision = tuple(PrecisionSetting(*map(str, setting)) for setting in lowered)
        return Answer(
            name=job.name,
            kind=job.kind,
            status=status,
            backend=job.backend,
            version=hello.version if hello else None,
            path=job.path or (hello.path if hello else None),
            message=message,
            seconds=said.get("seconds"),
            code=job.display_code or job.code,
            aligned=(*job.aligned, *(by for _, by, _ in precision)),
            output=output,
            stored=said.get("stored"),
            again=again,
            precision=precision,
        )
