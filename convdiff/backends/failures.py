"""Messages for what went wrong in a worker: one line each, with the end of the job's output."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

# The exit status of worker.py where a job has closed the protocol's file descriptors.
DESCRIPTORS_CLOSED = 97
LOG_TAIL_BYTES = 1 << 14  # how much of the log is read from its end
QUOTED_LOG_LINES = 2  # lines of the log that a message quotes
QUOTED_WIDTH = 200  # characters of each quoted line

# worker.py writes this byte and the job's number where a job's output begins.
JOB_MARK = "\x1e"

SIGNAL_MEANINGS = {
    "SIGSEGV": "segmentation fault",
    "SIGABRT": "aborted",
    "SIGBUS": "bus error",
    "SIGFPE": "arithmetic error",
    "SIGILL": "illegal instruction: built for another processor?",
    "SIGXCPU": "out of processor time",
}
# What frameworks say where they have no kernel for a convolution (for its type, mostly).
NO_KERNEL = re.compile(
    r"not implemented for '|NOT_IMPLEMENTED|^NotImplementedError|^cudnnGraphNotSupportedError"
)


def exit_message(returncode: int | None) -> str:
    """How a process ended by itself; `returncode` is None where it only closed its pipes."""
    if returncode is None or returncode == DESCRIPTORS_CLOSED:
        return "it closed the file descriptors of its worker"
    if returncode >= 0:
        return f"it ended its process with status {returncode}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    if name == "SIGKILL":
        return "killed (out of memory?)"
    return f"{name} ({SIGNAL_MEANINGS[name]})" if name in SIGNAL_MEANINGS else f"ended by {name}"


def crash_message(returncode: int | None, log: Path) -> str:
    """How the process ended, at which line of the user's code, and what it printed last."""
    text, _, dump = job_output(log).partition("Fatal Python error:")
    frame = re.search(r'File "(<(?!frozen )[^>]*>|[^"<]*)", line (\d+) in', _user_frames(dump))
    place = (
        f" at {'' if frame[1].startswith('<') else Path(frame[1]).name + ' '}line {frame[2]}"
        if frame
        else ""
    )
    return exit_message(returncode) + place + _quoted_end(text)


def timeout_message(seconds: float, log: Path) -> str:
    """That a job was stopped after `seconds`, and what it printed last."""
    return f"no answer after {seconds:g} s (--timeout)" + _quoted_end(job_output(log))


def exception_message(answer: dict[str, Any]) -> str:
    """The exception in a worker's answer, and the user's innermost line in its traceback."""
    lines = answer.get("where") or []
    return str(answer["message"]) + (f" ({lines[-1]})" if lines else "")


def says_unsupported(message: str) -> bool:
    """Whether the message is a framework's way to say that it has no kernel for a convolution."""
    return NO_KERNEL.search(message) is not None


def job_output(log: Path) -> str:
    """What the last job printed, from the end of the log."""
    return re.sub(r"\A\d+\n", "", _tail(log).rpartition(JOB_MARK)[2])


def last_started_job(log: Path) -> int | None:
    """The number of the job to which the end of the log belongs."""
    match = re.match(r"\d+(?=\n)", _tail(log).rpartition(JOB_MARK)[2])
    return int(match[0]) if match else None


def _tail(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - LOG_TAIL_BYTES))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def _user_frames(dump: str) -> str:
    """The frames of a faulthandler dump, innermost first, without those of worker and packages."""
    lines = [line for line in dump.splitlines() if 'File "' in line]
    return "\n".join(
        line
        for line in lines
        if "/backends/worker.py" not in line and not re.search(r"/lib/python\d|site-packages", line)
    )


def _quoted_end(text: str) -> str:
    """The last lines of a job's output as the end of a message, "" where it printed nothing."""
    lines = [re.sub(r"[^\x20-\x7e\xa0-\uffff]", "", line).strip() for line in text.splitlines()]
    last = [line[:QUOTED_WIDTH] for line in lines if line][-QUOTED_LOG_LINES:]
    return "; it printed last: " + " | ".join(last) if last else ""
