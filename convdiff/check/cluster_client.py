"""Cases on a Dask cluster (`--scheduler tcp://HOST:8786`): each goes there with its arrays,
wherever there is room.

A machine that is lost loses nothing: what it had is done again elsewhere (dask.distributed), and a
case that brings down one machine after another is trouble.  The arrays go with the task and not
ahead of it, so that they cannot be lost with a machine either.
"""

from __future__ import annotations

import importlib
import re
import time
import warnings
from collections import deque
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

from convdiff import __version__
from convdiff.check import cluster_worker
from convdiff.check.cases import CheckCase
from convdiff.check.suite import finished, trouble
from convdiff.errors import ConvdiffError

if TYPE_CHECKING:
    from convdiff.suite_result import CaseResult

# Seconds to wait for the scheduler, and for its first machine.
PATIENCE = 15
# Seconds between looks at a cluster that does not answer.
TICK = 1.0
# Cases that are there at once, for each thread of the cluster: the next one should have arrived
# before it is needed.
AHEAD = 3


def outcomes(asked: Sequence[CheckCase], scheduler: str) -> Generator[CaseResult, None, None]:
    """In their order, as they are done.  ConvdiffError where the cluster cannot be used."""
    client = _client(scheduler)
    try:
        room = max(2, AHEAD * sum(client.nthreads().values()))
        machines = _Machines(client)
        waiting: deque[tuple[CheckCase, Any, float]] = deque()
        for one in asked:
            waiting.append((one, _submitted(client, one), time.monotonic()))
            while waiting and (
                len(waiting) >= room or not hasattr(waiting[0][1], "done") or waiting[0][1].done()
            ):
                yield _ended(machines, *waiting.popleft())
        while waiting:
            yield _ended(machines, *waiting.popleft())
    finally:
        client.close()


def _client(scheduler: str) -> Any:
    try:
        distributed = importlib.import_module("distributed")
    except ImportError:
        raise ConvdiffError(
            "--scheduler: found no dask.distributed, expected it here too: pip install "
            "'convdiff[cluster]'"
        ) from None
    if not re.fullmatch(r"\w+://\S+:\d+", scheduler):
        raise ConvdiffError(f"--scheduler {scheduler}: found no address, expected tcp://HOST:8786")
    try:
        client = distributed.Client(scheduler, timeout=PATIENCE, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise ConvdiffError(
            f"--scheduler {scheduler}: cannot be reached ({_first(error)}), expected "
            "tcp://HOST:8786"
        ) from None
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
        versions = client.run(cluster_worker.version)
    except Exception as error:
        client.close()
        raise ConvdiffError(
            f"--scheduler {scheduler}: found no machine that has convdiff ({_first(error)}), "
            f"expected at least one with {__version__}"
        ) from None
    other = {address: version for address, version in versions.items() if version != __version__}
    if other:
        client.close()
        address, version = next(iter(other.items()))
        raise ConvdiffError(
            f"--scheduler {scheduler}: found convdiff {version} on {address}, expected "
            f"{__version__} as here"
        )
    return client


def _submitted(client: Any, one: CheckCase) -> Any:
    """The future of a case; where it cannot be sent, the trouble with it."""
    if one.request is None:
        return ConvdiffError(one.trouble or "")
    try:
        parcel = cluster_worker.Parcel.of(one.request)
    except ConvdiffError as error:
        return ConvdiffError(one.entry.located(str(error)))
    with warnings.catch_warnings():
        # Arrays inside a task are what is wanted here.
        warnings.filterwarnings("ignore", message="Sending large graph")
        return client.submit(cluster_worker.run, parcel, pure=False, key=None)


def _ended(machines: _Machines, one: CheckCase, outcome: Any, began: float) -> CaseResult:
    if isinstance(outcome, ConvdiffError):
        return trouble(one, str(outcome), began)
    try:
        found = machines.result(outcome)
    except Exception as error:  # KilledWorker, a cancelled future, a scheduler that has gone
        return trouble(
            one,
            one.entry.located(
                f"the cluster could not do it: {type(error).__name__}, {_first(error)}"
            ),
            began,
        )
    finally:
        outcome.release()
    if isinstance(found, ConvdiffError):
        return trouble(one, one.entry.located(str(found)), began)
    return finished(one, found, began)


class _Machines:
    """Those of the cluster, as long as there are any."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._without = 0.0  # seconds

    def result(self, future: Any) -> Any:
        """What came of it; TimeoutError where there has been no machine for a while: none may ever
        come back.
        """
        while True:
            try:
                # Once none came for so long nothing more is waited for, unless one comes after all.
                return future.result(timeout=TICK if self._without < PATIENCE else TICK / 100)
            except TimeoutError:
                self._without = 0.0 if self._client.nthreads() else self._without + TICK
                if self._without >= PATIENCE:
                    raise TimeoutError(
                        f"no machine is left, and none came within {PATIENCE} s"
                    ) from None


def _first(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
