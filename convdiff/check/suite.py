"""A check from its request to the suite of results, in the order of the manifests.

Cases go to the framework workers a few ahead of their answers, so that a worker never waits for the
host; answered cases go to the comparing processes a few ahead of their reports.  So memory holds
only the cases under way, however many there are.

Imports that load numpy stand inside the functions: the workers and comparing processes are started
before the host pays for them.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from convdiff.check.case_results import case_result, trouble_result
from convdiff.check.cases import CheckCase, check_cases, load_manifests
from convdiff.check.request import CheckRequest
from convdiff.errors import ConvdiffError

if TYPE_CHECKING:
    from convdiff.check.compare_pool import ComparePool
    from convdiff.check.framework_workers import FrameworkWorkers
    from convdiff.manifest import Manifest
    from convdiff.records import Answer, Case, Report
    from convdiff.suite_result import CaseResult, Suite

# Cases handed to the framework workers before the first of them is answered.
MAX_UNANSWERED = 8
# Cases that wait for a comparing process, for each process.
MAX_QUEUED_PER_PROCESS = 3

CaseResults = Generator["CaseResult", None, None]


class ProgressWatcher(Protocol):
    """Follows a check: learns how many cases there are, then each result as it is ready."""

    def begin(self, total: int) -> None: ...

    def add(self, checked: CaseResult) -> None: ...


def check(request: CheckRequest, watcher: ProgressWatcher) -> Suite:
    """Check every case.

    ConvdiffError where a manifest cannot be read; a bad case is one of the results.  Every process
    that was started has ended when this returns or raises.
    """
    began = time.monotonic()
    manifests = load_manifests(request)
    cases = check_cases(manifests, request)
    watcher.begin(len(cases))
    results: list[CaseResult] = []
    running = run_on_cluster(cases, request) if request.scheduler else run_locally(cases, request)
    for result in running:
        results.append(result)
        watcher.add(result)
        if request.fail_fast and result.exit_code:
            running.close()
            break
    from convdiff.suite_result import Suite

    notes = [*not_run_notes(len(cases) - len(results)), *_stale_notes(manifests, cases, results)]
    code = max((result.exit_code for result in results), default=2)
    return Suite(tuple(results), code, request.command, tuple(notes), time.monotonic() - began)


def run_locally(cases: list[CheckCase], request: CheckRequest) -> CaseResults:
    """The cases' results, in their order, by processes of this machine."""
    from convdiff.check.compare_pool import ComparePool, usable_cores
    from convdiff.check.framework_workers import FrameworkWorkers

    count = max(1, min(request.jobs or usable_cores(), len(cases)))
    with FrameworkWorkers(cases) as workers, ComparePool(count) as pool:
        yield from _LocalRun(workers, pool).results(cases)


def run_on_cluster(cases: list[CheckCase], request: CheckRequest) -> CaseResults:
    """The cases' results, in their order, by the machines of the request's Dask cluster."""
    from convdiff.check.cluster_client import cluster_results

    assert request.scheduler is not None
    return cluster_results(cases, request.scheduler)


def not_run_notes(count: int) -> list[str]:
    """The suite's note on the `count` cases that --fail-fast left out; empty for none."""
    if not count:
        return []
    return [f"{count} case{'s were' if count > 1 else ' was'} not run (--fail-fast)"]


@dataclass
class _PendingCase:
    """A case under way: its answers while workers compute them, then the report to come."""

    case: CheckCase
    began: float
    loaded: Case | None = None
    answers: Iterable[Answer] = ()
    outcome: Future[Report] | ConvdiffError | None = None

    @property
    def done(self) -> bool:
        """Whether the result can be had without waiting."""
        return isinstance(self.outcome, ConvdiffError) or (
            self.outcome is not None and self.outcome.done()
        )

    def result(self) -> CaseResult:
        """The case's result, waited for."""
        assert self.outcome is not None
        if isinstance(self.outcome, ConvdiffError):
            return trouble_result(self.case, str(self.outcome), self.began)
        try:
            return case_result(self.case, self.outcome.result(), self.began)
        except ConvdiffError as error:
            return trouble_result(self.case, self.case.entry.located(str(error)), self.began)


class _LocalRun:
    """One check's cases on their way through the workers and the comparing processes."""

    def __init__(self, workers: FrameworkWorkers, pool: ComparePool) -> None:
        self._workers, self._pool = workers, pool
        self._pending: deque[_PendingCase] = deque()
        self._unanswered: deque[_PendingCase] = deque()

    def results(self, cases: Iterable[CheckCase]) -> Iterator[CaseResult]:
        """The results in the order of the cases, each as soon as it and those before are ready."""
        for case in cases:
            self._begin(case)
            while len(self._unanswered) > MAX_UNANSWERED:
                self._compare_next()
            self._wait_for_room()
            yield from self._ready_results()
        while self._unanswered:
            self._compare_next()
            yield from self._ready_results()
        while self._pending:
            yield self._pending.popleft().result()

    def _begin(self, case: CheckCase) -> None:
        from convdiff.arrays.truncated_files import exit_on_truncation
        from convdiff.check.tasks import SavedCase
        from convdiff.pipeline.load_case import load_case

        pending = _PendingCase(case, time.monotonic())
        self._pending.append(pending)
        if case.request is None or case.chosen is None:
            pending.outcome = ConvdiffError(case.trouble or "")
        elif not case.chosen.environments:
            task = SavedCase(
                case.request, case.chosen, case.judge, case.input_crop, case.output_crop
            )
            pending.outcome = self._pool.submit(task)
        else:
            exit_on_truncation()
            try:
                pending.loaded = load_case(case.request, case.chosen)
                pending.answers = self._workers.ask(pending.loaded, case)
                self._unanswered.append(pending)
            except ConvdiffError as error:
                pending.outcome = ConvdiffError(case.entry.located(str(error)))

    def _compare_next(self) -> None:
        """Take the answers of the case that was asked first and hand it to a comparing process."""
        from convdiff.check.tasks import AnsweredCase

        pending = self._unanswered.popleft()
        assert pending.case.request is not None
        assert pending.loaded is not None
        pending.outcome = self._pool.submit(
            AnsweredCase.pack(pending.case.request, pending.loaded, list(pending.answers))
        )
        # Lets go of the case's arrays.
        pending.loaded = None

    def _wait_for_room(self) -> None:
        """Wait until few cases queue for a comparing process; finished ones hold no arrays."""
        while True:
            queued = [
                pending.outcome
                for pending in self._pending
                if isinstance(pending.outcome, Future) and not pending.outcome.done()
            ]
            if len(queued) <= MAX_QUEUED_PER_PROCESS * self._pool.count:
                return
            wait(queued, return_when=FIRST_COMPLETED)

    def _ready_results(self) -> Iterator[CaseResult]:
        while self._pending and self._pending[0].done:
            yield self._pending.popleft().result()


def _stale_notes(
    manifests: Iterable[Manifest], cases: list[CheckCase], results: list[CaseResult]
) -> Iterator[str]:
    """A note on each code that a manifest's [defaults] allow and none of its cases has.

    Only where every case that takes `allow` from [defaults] was run and every row was judged.
    """
    for manifest in manifests:
        inheriting = [
            result
            for case, result in zip(cases, results, strict=False)
            if case.entry.path == manifest.path and "allow" not in case.entry.own_keys
        ]
        expected = sum("allow" not in entry.own_keys for entry in manifest.entries)
        judged = all(
            result.rows and all(row.verdict for row in result.rows) for result in inheriting
        )
        if not judged or not len(inheriting) == expected > 0:
            continue
        for code in manifest.allow:
            if not any(code in result.allowed for result in inheriting):
                yield (
                    f"{manifest.path}: [defaults] allows {code}, which no longer occurs; "
                    "take it out"
                )
