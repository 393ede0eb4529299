"""Times of commands and of calls, and medians of two that run in turn.

Because they alternate, their ratio holds when the speed of the machine drifts.
"""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any


def command_seconds(arguments: Sequence[str], **options: Any) -> float:
    """The seconds that one run of a command takes; its output is discarded.

    Exit codes 0 and 1 are both an answer. Raises RuntimeError for any other.
    """
    start = time.perf_counter()
    done = subprocess.run(
        arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False, **options
    )
    seconds = time.perf_counter() - start
    if done.returncode not in (0, 1):
        raise RuntimeError(
            f"{arguments} ended with {done.returncode}: {done.stderr.decode()[-500:]}"
        )
    return seconds


def call_seconds(function: Callable[[], object]) -> float:
    """The seconds that one call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def alternate(
    first: Callable[[], float], second: Callable[[], float], runs: int
) -> tuple[float, float, float]:
    """Runs both in turn, after one warm-up each; both return seconds.

    Returns the median seconds of each, and the median of the ratios of the pairs.
    """
    first(), second()
    pairs = [(first(), second()) for _ in range(runs)]
    return (
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
        statistics.median(a / b for a, b in pairs),
    )
