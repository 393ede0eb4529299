"""What became of a worker, in words: one line, a second at most for what it printed last."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

CLOSED = 97  # worker.py's exit status where a job has closed the descriptors of the protocol
TAIL = 1 << 14  # bytes of the log that are looked at
LINES, WIDTH = 2, 200  # of the log, in a message

SAID = {
    "SIGSEGV": "segmentation fault",
    "SIGABRT": "aborted",
    "SIGBUS": "bus error",
    "SIGFPE": "arithmetic error",
    "SIGILL": "illegal instruction: built for another processor?",
    "SIGXCPU": "out of processor time",
}


def ended(returncode: int | None) -> str:
    """How a process ended by itself; None where it still runs but has closed its pipes."""
    if returncode is None or returncode == CLOSED:
        return "it closed the file descriptors of its worker"
    if returncode >= 0:
        return f"it ended its process with status {returncode}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    if name == "SIGKILL":
        return "killed (out of memory?)"
    return f"{name} ({SAID[name]})" if name in SAID else f"ended by {name}"


def crashed(returncode: int | None, log: Path) -> str:
    """The message of a crash: how it ended, where in the user's code, and the last that it printed."""
    printed = printed_last(log)
    text, _, dump = printed.partition("Fatal Python error:")
    frame = re.search(r'File "(<(?!frozen )[^>]*>|[^"<]*)", line (\d+) in', _users_frames(dump))
    place = (
        f" at {'' if frame[1].startswith('<') else Path(frame[1]).name + ' '}line {frame[2]}"
        if frame
        else ""
    )
    return ended(returncode) + place + _quoted(text)


def timed_out(seconds: float, log: Path) -> str:
    """The message of a job that was stopped."""
    return f"no answer after {seconds:g} s (--timeout)" + _quoted(printed_last(log))


def failed(answer: dict[str, Any]) -> str:
    """The message of an exception: what it says, and the user's innermost line."""
    where = answer.get("where") or []
    return str(answer["message"]) + (f" ({where[-1]})" if where else "")


def refused(message: str) -> bool:
    """Whether a framework says that it has no kernel for this (a type, mostly), rather than that
    something went wrong.
    """
    return (
        re.search(
            r"not implemented for "
            r"'|NOT_IMPLEMENTED|^NotImplementedError|^cudnnGraphNotSupportedError",
            message,
        )
        is not None
    )


def printed_last(log: Path) -> str:
    """The end of the log: what the last job printed."""
    return re.sub(r"\A\d+\n", "", _tail(log).rpartition("\x1e")[2])


def job_printing(log: Path) -> int | None:
    """The number of the job that the end of the log belongs to."""
    found = re.match(r"\d+(?=\n)", _tail(log).rpartition("\x1e")[2])
    return int(found[0]) if found else None


def _tail(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - TAIL))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def _users_frames(dump: str) -> str:
    """A faulthandler dump without the frames of the worker and of installed packages; the innermost
    is first.
    """
    lines = [line for line in dump.splitlines() if 'File "' in line]
    return "\n".join(
        line
        for line in lines
        if "/backends/worker.py" not in line and not re.search(r"/lib/python\d|site-packages", line)
    )


def _quoted(text: str) -> str:
    lines = [re.sub(r"[^\x20-\x7e\xa0-\uffff]", "", line).strip() for line in text.splitlines()]
    last = [line[:WIDTH] for line in lines if line][-LINES:]
    return "; it printed last: " + " | ".join(last) if last else ""
