"""One worker process and the three pipes to it (worker.py has the protocol).

The host never blocks on a worker: what a pipe does not take at once waits in a buffer.  The worker
leads a session of its own, so Ctrl-C in a terminal does not reach it and killing its group takes
along whatever its jobs have started.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from convdiff.backends import backend
from convdiff.backends.environments import Environment
from convdiff.backends.variables import variables

HERE = Path(__file__).parent
LOG_LIMIT = 1 << 25  # bytes; a log that grows beyond is emptied
# seconds that a process with closed pipes has to end by itself, so that its status can be told
GRACE = 0.5


class Process:
    """A running worker.  Raises OSError where the interpreter cannot be started."""

    def __init__(self, environment: Environment, log: Path) -> None:
        self.log = log
        self.eof = False
        self._unsent = b""
        self._unread = b""
        self._reaped: int | None = None
        jobs, self._jobs = os.pipe()
        self.answers, answers = os.pipe()
        life, self._life = os.pipe()
        theirs = [jobs, answers, life]
        try:
            output = os.open(log, os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_WRONLY, 0o600)
            theirs.append(output)
            adapter = (
                backend(environment.backend).adapter
                or HERE / "adapters" / f"{environment.backend}_adapter.py"
            )
            command: list[str | Path] = [
                environment.python,
                "-u",
                HERE / "worker.py",
                adapter,
                str(jobs),
                str(answers),
                str(life),
            ]
            self._popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(jobs, answers, life),
                env=variables(environment.python, environment.variables),
                start_new_session=True,
            )
        except BaseException:
            self._close()
            raise
        finally:
            for fd in theirs:
                os.close(fd)
        os.set_blocking(self._jobs, False)
        os.set_blocking(self.answers, False)

    @property
    def pid(self) -> int:
        """Its process id, which is also that of its group."""
        return self._popen.pid

    def send(self, message: dict[str, Any]) -> None:
        """Write a message, or as much of it as the pipe takes; `tend` writes the rest."""
        self._unsent += json.dumps(message).encode() + b"\n"
        self.tend()

    def tend(self) -> None:
        """What is to be done now and then: write what is unsent, keep the log from filling the
        disk.
        """
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            while self._unsent:
                self._unsent = self._unsent[os.write(self._jobs, self._unsent) :]
        with contextlib.suppress(OSError):
            if self.log.stat().st_size > LOG_LIMIT:
                os.truncate(self.log, 0)

    def receive(self) -> list[dict[str, Any]]:
        """The whole messages that have arrived; `eof` is set where no more can come, or what came
        is no message.
        """
        with contextlib.suppress(BlockingIOError):
            while not self.eof:
                data = os.read(self.answers, 1 << 16)
                self._unread += data
                self.eof = not data
        *lines, self._unread = self._unread.split(b"\n")
        messages = []
        for line in lines:
            try:
                message = json.loads(line)
            except ValueError:
                message = None
            if not isinstance(message, dict):
                self.eof = (
                    True  # a job wrote on the worker's descriptors: nothing after it can be trusted
                )
                break
            messages.append(message)
        return messages

    def ended(self) -> bool:
        """Whether the process is dead, seen without reaping it: its group's number stays its own
        until `kill`.
        """
        if not hasattr(os, "waitid"):
            return False  # then its pipes tell
        with contextlib.suppress(ChildProcessError):
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        return True

    def end(self) -> int | None:
        """Kill a process whose pipe has closed; its exit status, or None where it would have gone
        on without.
        """
        deadline = time.monotonic() + GRACE
        while not self.ended() and time.monotonic() < deadline:
            time.sleep(0.01)
        alive = not self.ended()
        status = self.kill()
        return None if alive and hasattr(os, "waitid") else status

    def kill(self) -> int:
        """Kill the whole group at once and reap it; may be called again."""
        if self._reaped is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            self._reaped = self._popen.wait()
            self._close()
        return self._reaped

    def _close(self) -> None:
        for fd in (self._jobs, self.answers, self._life):
            os.close(fd)
