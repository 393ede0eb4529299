"""One environment's worker over the life of a fleet: it is sent jobs, watched, and replaced.

Jobs are written to the worker in advance, so that it goes from one to the next without waiting for
the host.  The first unanswered job is therefore the one that is running.  Where the process dies or
the deadline passes, that job has failed, and those behind it go to a new process.  A job is sent a
second time only if it had not been started.

A framework that cannot be imported is not tried again.  The exception is a process that was killed
during the import: this is rarely the framework's fault (memory may have been short for a moment),
so it has one more try.
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
from convdiff.backends.process import WorkerProcess

Status = Literal["ok", "unavailable", "unsupported", "failed", "crashed", "timeout"]


@dataclass(frozen=True)
class Hello:
    """A worker's greeting, sent once its framework is imported; `seconds` is how long that took.

    `path` is the execution path of code that selects none.  `missing` has the reason for each need
    of other paths (`ExecutionPath.needs`) that is not met.
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
    """The result of job number `id`: the worker's answer where `status` is ok, else a message."""

    id: int
    status: Status
    message: str | None = None
    answer: dict[str, Any] | None = None


class Supervisor:
    """The worker of one environment.

    `hello` is the greeting of its worker, once it has arrived.  `reason` is why nothing can run
    here, once that is known.  `process` is the running process, if any.
    """

    def __init__(self, environment: Environment, timeout: float, import_timeout: float) -> None:
        self.environment = environment
        self.reason = environment.reason
        self.hello: Hello | None = None
        self.process: WorkerProcess | None = None
        self._timeout, self._import_timeout = timeout, import_timeout
        self._log = Path()
        self._ready = False
        self._deadline = 0.0
        self._pending: deque[dict[str, Any]] = deque()
        self._resent: set[int] = set()
        self._import_retried = False

    def start(self, log: Path) -> None:
        """Start a process and send it the pending jobs, unless one runs or none can."""
        self._log = log
        if self.process is not None and not self._pending and self.process.has_exited():
            self.close()  # it died while it was idle
        if self.process is None and self.reason is None:
            self._ready = False
            self._deadline = time.monotonic() + self._import_timeout
            try:
                self.process = WorkerProcess(self.environment, log)
            except OSError as error:
                self.reason = (
                    f"{self.environment.python} cannot be started: {error.strerror or error}"
                )
                return
            for message in self._pending:
                self.process.send(message)

    def submit(self, message: dict[str, Any]) -> None:
        """Queue a job (a message as worker.py documents it), and send it in advance."""
        if not self._pending and self._ready:
            self._deadline = time.monotonic() + self._timeout
        self._pending.append(message)
        if self.process is not None:
            self.process.send(message)

    @property
    def busy(self) -> bool:
        """Whether an answer or the greeting is still to come."""
        return bool(self._pending) or (self.process is not None and not self._ready)

    @property
    def deadline(self) -> float:
        """When (time.monotonic) the import or the running job must be finished."""
        return self._deadline

    def poll(self) -> list[JobOutcome]:
        """Handle messages, deaths and deadlines; returns the outcomes of the finished jobs."""
        if self.process is None:
            return self._fail_pending() if self.reason is not None else []
        self.process.flush()
        # Both are looked at before reading, so that an answer that has already arrived counts.
        late = time.monotonic() > self._deadline and self.busy
        dead = self.process.has_exited()
        outcomes = []
        for message in self.process.receive():
            outcomes += self._accept(message)
            late = False
        if self.reason is not None:
            return outcomes + self._fail_pending()
        if self.process is not None and (self.process.eof or dead):
            outcomes += self._handle_exit()
        elif late:
            outcomes += self._handle_timeout()
        return outcomes

    def abandon(self, ids: set[int]) -> None:
        """Drop these jobs.

        They have been sent already, so the process is killed, and the other pending jobs go to a
        new one.
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

    def _accept(self, message: dict[str, Any]) -> list[JobOutcome]:
        """Handle one message from the worker."""
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
            return [JobOutcome(message["id"], "failed", failures.exception_message(message))]
        self._deadline = time.monotonic() + self._timeout
        return []

    def _fail_pending(self) -> list[JobOutcome]:
        """Answer every pending job with the reason why nothing can run here."""
        self.close()
        outcomes = [
            JobOutcome(message["id"], "unavailable", self.reason) for message in self._pending
        ]
        self._pending.clear()
        return outcomes

    def _handle_exit(self) -> list[JobOutcome]:
        """The process has ended by itself."""
        assert self.process is not None
        ready, status = self._ready, self.process.end()
        message, started = failures.crash_message(status, self._log), self._front_job_started()
        self.close()
        if not ready and status == -signal.SIGKILL and not self._import_retried:
            self._import_retried = True
            self.start(self._log)
            return []
        if not ready:
            self.reason = (
                f"{self.environment.backend} cannot be imported by "
                f"{self.environment.python}: {message}"
            )
            return self._fail_pending()
        return self._replace("crashed", message, started)

    def _handle_timeout(self) -> list[JobOutcome]:
        """The deadline has passed."""
        if not self._ready:
            self.reason = (
                f"{self.environment.python} has not imported {self.environment.backend} "
                f"within {self._import_timeout:g} s"
            )
            return self._fail_pending()
        self.close()
        return self._replace("timeout", failures.timeout_message(self._timeout, self._log), True)

    def _replace(
        self, status: Literal["crashed", "timeout"], message: str, started: bool
    ) -> list[JobOutcome]:
        """Start a new process; the front job fails if it was started, or was sent twice already."""
        outcomes = []
        if self._pending and (started or self._pending[0]["id"] in self._resent):
            outcomes.append(JobOutcome(self._pending.popleft()["id"], status, message))
        if self._pending and not started:
            self._resent.add(self._pending[0]["id"])
        self._restart()
        return outcomes

    def _restart(self) -> None:
        if self._pending:
            self.start(self._log)

    def _front_job_started(self) -> bool:
        """Whether the log shows that the first pending job was started.

        If not, the process died before it, and the job is not to blame.
        """
        return (
            bool(self._pending) and failures.last_started_job(self._log) == self._pending[0]["id"]
        )
