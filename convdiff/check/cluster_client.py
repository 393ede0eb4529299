"""Runs cases on a Dask cluster (`--scheduler tcp://HOST:8786`).

Each case travels with its arrays to any machine that has room.

When a machine is lost, dask.distributed runs its cases again elsewhere, and a case that brings down
one machine after another is reported as trouble.  A case's arrays are part of its task rather than
stored on the cluster, so a lost machine takes none of them with it.
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
from convdiff.check.case_results import case_result, trouble_result
from convdiff.check.cases import CheckCase
from convdiff.errors import ConvdiffError

if TYPE_CHECKING:
    from convdiff.suite_result import CaseResult

# Seconds to wait for the scheduler, for its first machine, and for another once all are gone.
MACHINE_TIMEOUT = 15
# Seconds between checks whether a cluster that does not answer still has machines.
POLL_INTERVAL = 1.0
# Cases on the cluster at once, for each of its threads: the next one arrives before it is needed.
MAX_CASES_PER_THREAD = 3


def cluster_results(
    cases: Sequence[CheckCase], scheduler: str
) -> Generator[CaseResult, None, None]:
    """The cases' results in their order.  ConvdiffError where the cluster cannot be used."""
    client = _connect(scheduler)
    try:
        room = max(2, MAX_CASES_PER_THREAD * sum(client.nthreads().values()))
        machines = _Machines(client)
        waiting: deque[tuple[CheckCase, Any, float]] = deque()
        for case in cases:
            waiting.append((case, _submit(client, case), time.monotonic()))
            while waiting and (len(waiting) >= room or _is_done(waiting[0][1])):
                yield _result(machines, *waiting.popleft())
        while waiting:
            yield _result(machines, *waiting.popleft())
    finally:
        client.close()


def _connect(scheduler: str) -> Any:
    """A client of the scheduler, whose machines all have this version of convdiff."""
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
        client = distributed.Client(scheduler, timeout=MACHINE_TIMEOUT, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise ConvdiffError(
            f"--scheduler {scheduler}: cannot be reached ({_first_line(error)}), expected "
            "tcp://HOST:8786"
        ) from None
    try:
        client.wait_for_workers(1, timeout=MACHINE_TIMEOUT)
        versions = client.run(cluster_worker.version)
    except Exception as error:
        client.close()
        raise ConvdiffError(
            f"--scheduler {scheduler}: found no machine that has convdiff ({_first_line(error)}), "
            f"expected at least one with {__version__}"
        ) from None
    others = {address: version for address, version in versions.items() if version != __version__}
    if others:
        client.close()
        address, version = next(iter(others.items()))
        raise ConvdiffError(
            f"--scheduler {scheduler}: found convdiff {version} on {address}, expected "
            f"{__version__} as here"
        )
    return client


def _submit(client: Any, case: CheckCase) -> Any:
    """The future of a case, or a ConvdiffError where it cannot be sent."""
    if case.request is None:
        return ConvdiffError(case.trouble or "")
    try:
        parcel = cluster_worker.Parcel.pack(case.request)
    except ConvdiffError as error:
        return ConvdiffError(case.entry.located(str(error)))
    with warnings.catch_warnings():
        # Dask advises against arrays inside a task, which is what is wanted here.
        warnings.filterwarnings("ignore", message="Sending large graph")
        return client.submit(cluster_worker.run, parcel, pure=False, key=None)


def _is_done(outcome: Any) -> bool:
    return isinstance(outcome, ConvdiffError) or outcome.done()


def _result(machines: _Machines, case: CheckCase, outcome: Any, began: float) -> CaseResult:
    if isinstance(outcome, ConvdiffError):
        return trouble_result(case, str(outcome), began)
    try:
        report = machines.result(outcome)
    except Exception as error:
        # KilledWorker, a cancelled future, or a scheduler that has gone.
        message = f"the cluster could not do it: {type(error).__name__}, {_first_line(error)}"
        return trouble_result(case, case.entry.located(message), began)
    finally:
        outcome.release()
    if isinstance(report, ConvdiffError):
        return trouble_result(case, case.entry.located(str(report)), began)
    return case_result(case, report, began)


class _Machines:
    """The cluster's machines, waited for as long as there are any."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._seconds_without = 0.0

    def result(self, future: Any) -> Any:
        """The future's result; TimeoutError where the cluster has had no machine for a while."""
        while True:
            # Once the wait for a machine has been in vain, later cases do not wait again, but are
            # taken where a machine has come back after all.
            patient = self._seconds_without < MACHINE_TIMEOUT
            try:
                return future.result(timeout=POLL_INTERVAL if patient else POLL_INTERVAL / 100)
            except TimeoutError:
                has_machines = bool(self._client.nthreads())
                self._seconds_without = (
                    0.0 if has_machines else self._seconds_without + POLL_INTERVAL
                )
                if self._seconds_without >= MACHINE_TIMEOUT:
                    raise TimeoutError(
                        f"no machine is left, and none came within {MACHINE_TIMEOUT} s"
                    ) from None


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
