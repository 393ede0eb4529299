"""Timing of whole commands and of functions: medians of alternating runs, so that a ratio holds
when the machine drifts.
"""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable, Sequence


def command(arguments: Sequence[str], **kwargs: object) -> float:
    """Seconds of one run of a command, output thrown away; exit codes 0 and 1 are both an answer."""
    start = time.perf_counter()
    done = subprocess.run(
        arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False, **kwargs
    )  # type: ignore[call-overload]
    seconds = time.perf_counter() - start
    if done.returncode not in (0, 1):
        raise RuntimeError(
            f"{arguments} ended with {done.returncode}: {done.stderr.decode()[-500:]}"
        )
    return seconds


def function(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def paired(
    one: Callable[[], float], other: Callable[[], float], runs: int
) -> tuple[float, float, float]:
    """Median seconds of each after one warm-up, and the median of their ratios pair by pair."""
    one(), other()
    pairs = [(one(), other()) for _ in range(runs)]
    first, second = zip(*pairs, strict=True)
    return (
        statistics.median(first),
        statistics.median(second),
        statistics.median(a / b for a, b in pairs),
    )
