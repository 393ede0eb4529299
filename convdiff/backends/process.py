"""One worker process and the three pipes to it (worker.py documents the protocol).

The host never blocks on a worker: what a pipe does not accept at once waits in a buffer.  The
worker leads a session of its own.  Therefore Ctrl-C in a terminal does not reach it, and killing
its group also kills what its jobs have started.
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

from convdiff.backends.environment_variables import worker_variables
from convdiff.backends.environments import Environment
from convdiff.backends.table import find_backend

HERE = Path(__file__).parent
LOG_LIMIT = 1 << 25  # bytes; a longer log is emptied
# Seconds in which a process whose pipes are closed may end by itself, so that its exit status is
# its own.
EXIT_GRACE = 0.5


class WorkerProcess:
    """A running worker.

    `answers` is the descriptor to wait on; `eof` is set once no more messages can come.  Creating
    one raises OSError where the interpreter cannot be started.
    """

    def __init__(self, environment: Environment, log: Path) -> None:
        self.log = log
        self.eof = False
        self._unsent = b""
        self._unread = b""
        self._status: int | None = None
        jobs, self._jobs = os.pipe()
        self.answers, answers = os.pipe()
        life, self._life = os.pipe()
        inherited = [jobs, answers, life]
        try:
            output = os.open(log, os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_WRONLY, 0o600)
            inherited.append(output)
            adapter = (
                find_backend(environment.backend).adapter
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
                env=worker_variables(environment.python, environment.variables),
                start_new_session=True,
            )
        except BaseException:
            self._close_pipes()
            raise
        finally:
            for fd in inherited:
                os.close(fd)
        os.set_blocking(self._jobs, False)
        os.set_blocking(self.answers, False)

    @property
    def pid(self) -> int:
        """The id of the process, and of its group."""
        return self._popen.pid

    def send(self, message: dict[str, Any]) -> None:
        """Write a message as far as the pipe accepts it; `flush` writes the rest."""
        self._unsent += json.dumps(message).encode() + b"\n"
        self.flush()

    def flush(self) -> None:
        """Write what is unsent, and empty a log that has grown too long."""
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            while self._unsent:
                self._unsent = self._unsent[os.write(self._jobs, self._unsent) :]
        with contextlib.suppress(OSError):
            if self.log.stat().st_size > LOG_LIMIT:
                os.truncate(self.log, 0)

    def receive(self) -> list[dict[str, Any]]:
        """The complete messages that have arrived.

        Sets `eof` at the end of the stream, and at anything that is not a message.
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
                # A job wrote on the worker's descriptors: nothing after this can be trusted.
                self.eof = True
                break
            messages.append(message)
        return messages

    def has_exited(self) -> bool:
        """Whether the process is dead.

        It is not reaped here, so that the id of its group stays reserved until `kill`.  Without
        waitid the closing of its pipes is the only sign, and this is always False.
        """
        if not hasattr(os, "waitid"):
            return False
        with contextlib.suppress(ChildProcessError):
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        return True

    def end(self) -> int | None:
        """End a process whose pipes have closed; its status, None where it had to be killed."""
        deadline = time.monotonic() + EXIT_GRACE
        while not self.has_exited() and time.monotonic() < deadline:
            time.sleep(0.01)
        alive = not self.has_exited()
        status = self.kill()
        return None if alive and hasattr(os, "waitid") else status

    def kill(self) -> int:
        """Kill and reap the whole group; returns the exit status.  Further calls do nothing."""
        if self._status is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            self._status = self._popen.wait()
            self._close_pipes()
        return self._status

    def _close_pipes(self) -> None:
        for fd in (self._jobs, self.answers, self._life):
            os.close(fd)
