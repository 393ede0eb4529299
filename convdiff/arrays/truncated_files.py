"""A message instead of a silent death where a mapped file is truncated while it is read.

The kernel then sends SIGBUS, which ends the process.  It does happen: training scripts write their
dumps repeatedly, and np.save empties the file first.  A signal handler in Python would not help,
because it runs only after the instruction, which can never finish; a C handler, which the kernel
calls at once, can write a message and exit.
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from typing import Any

EXIT_CODE = 2
_MESSAGE = (
    b"convdiff: an array's file was cut short or written again while it was read, expected it to "
    b"stay as it is; run it again\n"
)

_handler: Any = None
# Never released: where several threads are interrupted, only one writes the message.
_message_lock = threading.Lock()


def _exit(_: int) -> None:
    _message_lock.acquire()
    try:
        os.write(2, _MESSAGE)
    finally:
        os._exit(EXIT_CODE)


def exit_on_truncation() -> None:
    """From now on, a mapped file that shrinks ends this process with a message and exit code 2.

    For the command line only: it replaces the process's handler of SIGBUS.
    """
    global _handler
    if _handler is None and hasattr(signal, "SIGBUS"):
        _handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(_exit)
        libc = ctypes.CDLL(None)
        libc.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
        libc.signal.restype = ctypes.c_void_p
        libc.signal(signal.SIGBUS, ctypes.cast(_handler, ctypes.c_void_p))
