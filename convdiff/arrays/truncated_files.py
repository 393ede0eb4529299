"""What happens where a mapped file is cut short while it is read: the kernel sends SIGBUS, which
ends a process without a word.

Training scripts write their dumps again and again, and np.save empties the file first.  Python's
own signal handlers do not help, for they run after the instruction that can never be finished; one
that the kernel calls at once can say so and exit.
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from typing import Any

TROUBLE = 2
_SAID = b"convdiff: an array's file was cut short or written again while it was read, expected it to stay as it is; run it again\n"

_handler: Any = None
# Never given back: of several threads that met the end of the file one speaks.
_speaking = threading.Lock()


def _end(_: int) -> None:
    _speaking.acquire()
    try:
        os.write(2, _SAID)
    finally:
        os._exit(TROUBLE)


def watch() -> None:
    """From now on a mapped file that shrinks ends this process with one line and exit code 2.  For
    the command line alone.
    """
    global _handler
    if _handler is None and hasattr(signal, "SIGBUS"):
        _handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(_end)
        libc = ctypes.CDLL(None)
        libc.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
        libc.signal.restype = ctypes.c_void_p
        libc.signal(signal.SIGBUS, ctypes.cast(_handler, ctypes.c_void_p))
