"""One environment's worker over the life of a fleet: handed jobs in order, watched, and replaced
when it dies.

Jobs are written to the worker ahead of time, so it goes from one to the next without waiting for
the host.  The first unanswered one is therefore the one it is at: if the process dies or the time
is up, that job has the fault, and those behind it go to a fresh process.  A job is handed over a
second time only if it had not begun.  A framework that cannot be imported is not tried again,
unless the process was killed meanwhile: that is another's doing (memory is short for a moment,
say), and is given one more try.
"""

from __future__ import annotations

import signal
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from convdiff.backends import failures
from convdiff.backends.environments import Environment
from convdiff.backends.process import Process

Status = Literal["ok", "unavailable", "unsupported", "failed", "crashed", "timeout"]


@dataclass(frozen=True)
class Hello:
    """What a worker says once its framework is imported; `seconds` is how long that took.

    `path` is the one that code takes which asks for none, `missing` what other paths lack, each
    with the reason.
    """

    version: str
    python: str
    numpy: str
    seconds: float
    devices: tuple[str, ...]
    path: str = ""
    missing: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class JobOutcome:
    """What became of the job numbered `id`: the worker's answer where status is ok, else a message."""

    id: int
    status: Status
    message: str | None = None
    answer: dict[str, Any] | None = None


class Supervisor:
    """See above.  `reason` says why nothing can run here, once that is known."""

    def __init__(self, environment: Environment, timeout: float, import_timeout: float) -> None:
        self.environment = environment
        self.reason = environment.reason
        self.hello: Hello | None = None
        self.process: Process | None = None
        self._timeout, self._import_timeout = timeout, import_timeout
        self._log = Path()
        self._ready = False
        self._deadline = 0.0
        self._pending: deque[dict[str, Any]] = deque()
        self._again: set[int] = set()
        self._killed = False

    def start(self, log: Path) -> None:
        """Start the process, unless it runs or cannot, and send it what waits."""
        self._log = log
        if self.process is not None and not self._pending and self.process.ended():
            self.close()  # it died while it had nothing to do
        if self.process is None and self.reason is None:
            self._ready = False
            self._deadline = time.monotonic() + self._import_timeout
            try:
                self.process = Process(self.environment, log)
            except OSError as error:
                self.reason = (
                    f"{self.environment.python} cannot be started: {error.strerror or error}"
                )
                return
            for waiting in self._pending:
                self.process.send(waiting)

    def hand_over(self, message: dict[str, Any]) -> None:
        """Queue a job (worker.py's message) and send it ahead."""
        if not self._pending and self._ready:
            self._deadline = time.monotonic() + self._timeout
        self._pending.append(message)
        if self.process is not None:
            self.process.send(message)

    @property
    def waiting(self) -> bool:
        """Whether an answer or the hello is still to come."""
        return bool(self._pending) or (self.process is not None and not self._ready)

    @property
    def deadline(self) -> float:
        """When (time.monotonic) what it is at must be done."""
        return self._deadline

    def attend(self) -> list[JobOutcome]:
        """Take in what has arrived and see to deaths and deadlines; what became of jobs since."""
        if self.process is None:
            return self._refuse() if self.reason is not None else []
        self.process.tend()
        late = (
            time.monotonic() > self._deadline and self.waiting
        )  # before reading: an answer that is there counts
        dead = self.process.ended()
        outcomes = []
        for message in self.process.receive():
            outcomes += self._take(message)
            late = False
        if self.reason is not None:
            return outcomes + self._refuse()
        if self.process is not None and (self.process.eof or dead):
            outcomes += self._bury()
        elif late:
            outcomes += self._stop()
        return outcomes

    def abandon(self, ids: set[int]) -> None:
        """Forget these jobs.  They have been sent, so the process goes with them; what else waits
        goes to a fresh one.
        """
        if any(message["id"] in ids for message in self._pending):
            self._pending = deque(message for message in self._pending if message["id"] not in ids)
            self.close()
            self._restart()

    def close(self) -> None:
        """Kill the process."""
        process, self.process, self._ready = self.process, None, False
        if process is not None:
            process.kill()

    def _take(self, message: dict[str, Any]) -> list[JobOutcome]:
        if message.get("status") == "ready":
            self.hello = Hello(
                message["version"],
                message["python"],
                message["numpy"],
                message["seconds"],
                tuple(message["devices"]),
                message["path"],
                message["missing"],
            )
            self._ready = True
        elif message.get("status") == "unavailable":
            self.reason = (
                f"{message['message']} ({self.environment.python}, Python {message['python']})"
            )
            return []
        elif not self._pending or message.get("id") != self._pending[0]["id"]:
            return []
        else:
            self._pending.popleft()
            self._deadline = time.monotonic() + self._timeout
            if message.get("status") == "ok":
                return [JobOutcome(message["id"], "ok", answer=message)]
            return [JobOutcome(message["id"], "failed", failures.failed(message))]
        self._deadline = time.monotonic() + self._timeout
        return []

    def _refuse(self) -> list[JobOutcome]:
        self.close()
        outcomes = [
            JobOutcome(message["id"], "unavailable", self.reason) for message in self._pending
        ]
        self._pending.clear()
        return outcomes

    def _bury(self) -> list[JobOutcome]:
        """It died by itself."""
        assert self.process is not None
        ready, status = self._ready, self.process.end()
        message, begun = failures.crashed(status, self._log), self._begun()
        self.close()
        if not ready and status == -signal.SIGKILL and not self._killed:
            self._killed = True
            self.start(self._log)
            return []
        if not ready:
            self.reason = (
                f"{self.environment.backend} cannot be imported by "
                f"{self.environment.python}: {message}"
            )
            return self._refuse()
        return self._replace("crashed", message, begun)

    def _stop(self) -> list[JobOutcome]:
        """Its time is up."""
        if not self._ready:
            self.reason = (
                f"{self.environment.python} has not imported {self.environment.backend} "
                f"within {self._import_timeout:g} s"
            )
            return self._refuse()
        self.close()
        return self._replace("timeout", failures.timed_out(self._timeout, self._log), True)

    def _replace(
        self, status: Literal["crashed", "timeout"], message: str, begun: bool
    ) -> list[JobOutcome]:
        outcomes = []
        if self._pending and (begun or self._pending[0]["id"] in self._again):
            outcomes.append(JobOutcome(self._pending.popleft()["id"], status, message))
        self._again.update(waiting["id"] for waiting in list(self._pending)[:1] if not begun)
        self._restart()
        return outcomes

    def _restart(self) -> None:
        if self._pending:
            self.start(self._log)

    def _begun(self) -> bool:
        """Whether the job in front is the last that the log tells of: what died before it was not
        its fault.
        """
        return bool(self._pending) and failures.job_printing(self._log) == self._pending[0]["id"]
