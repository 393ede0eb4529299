"""The order of things in a check: what is at work at once is bounded, what comes out is in the
manifests' order.

Cases go to the framework workers a few ahead of their answers, so that these never wait for the
host; answered cases go to the comparing processes, a few ahead of the reports.  Memory is that of
the few cases under way, however many there are.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from convdiff.check.cases import CheckCase, entries, load_all
from convdiff.check.request import CheckRequest
from convdiff.errors import ConvdiffError

if TYPE_CHECKING:
    from convdiff.check.compare_pool import ComparePool
    from convdiff.check.framework_workers import FrameworkWorkers
    from convdiff.manifest import Manifest
    from convdiff.records import Answer, Case, Report
    from convdiff.suite_result import CaseResult, Suite

# Cases that the framework workers have before the first of them is answered.
AHEAD = 8
# Cases that wait for a comparing process, for each of them.
QUEUED = 3


Outcomes = Generator["CaseResult", None, None]


class Watch(Protocol):
    """Who watches a check: is told how many cases there are, then each as it is done."""

    def begin(self, total: int) -> None: ...

    def add(self, checked: CaseResult) -> None: ...


def check(request: CheckRequest, watch: Watch) -> Suite:
    """Check every case.  ConvdiffError where a manifest cannot be read; a case that is bad is one
    of the outcomes.

    No process is left, whatever happens.
    """
    began = time.monotonic()
    manifests = load_all(request)
    asked = entries(manifests, request)
    watch.begin(len(asked))
    done: list[CaseResult] = []
    outcomes = _distributed(asked, request) if request.scheduler else here(asked, request)
    for checked in outcomes:
        done.append(checked)
        watch.add(checked)
        if request.fail_fast and checked.exit_code:
            outcomes.close()
            break
    from convdiff.suite_result import Suite

    notes = (
        [f"{len(asked) - len(done)} cases were not run (--fail-fast)"]
        if len(done) < len(asked)
        else []
    )
    notes += _stale(manifests, asked, done)
    code = max((checked.exit_code for checked in done), default=2)
    return Suite(tuple(done), code, request.command, tuple(notes), time.monotonic() - began)


def here(asked: list[CheckCase], request: CheckRequest) -> Outcomes:
    """The cases' outcomes, in their order, with the processes of this machine."""
    from convdiff.check.compare_pool import ComparePool, cores
    from convdiff.check.framework_workers import FrameworkWorkers

    count = max(1, min(request.jobs or cores(), len(asked)))
    with FrameworkWorkers(asked) as serving, ComparePool(count) as comparers:
        yield from _Suite(serving, comparers).outcomes(asked)


def _distributed(asked: list[CheckCase], request: CheckRequest) -> Outcomes:
    from convdiff.check.cluster_client import outcomes

    assert request.scheduler is not None
    return outcomes(asked, request.scheduler)


@dataclass
class _Slot:
    """A case's place in the order: its answers while workers are at it, then what came of it."""

    one: CheckCase
    began: float
    case: Case | None = None
    answers: Iterable[Answer] = ()
    outcome: Future[Report] | ConvdiffError | None = None

    @property
    def done(self) -> bool:
        """Whether it need not be waited for."""
        return isinstance(self.outcome, ConvdiffError) or (
            self.outcome is not None and self.outcome.done()
        )


class _Suite:
    """One check under way."""

    def __init__(self, serving: FrameworkWorkers, comparers: ComparePool) -> None:
        self._serving, self._comparers = serving, comparers
        self._slots: deque[_Slot] = deque()
        self._answering: deque[_Slot] = deque()

    def outcomes(self, asked: Iterable[CheckCase]) -> Iterator[CaseResult]:
        """In their order, as they are done."""
        for one in asked:
            self._begin(one)
            while len(self._answering) > AHEAD:
                self._compare()
            self._make_room()
            yield from self._ready()
        while self._answering:
            self._compare()
            yield from self._ready()
        while self._slots:
            yield _ended(self._slots.popleft())

    def _begin(self, one: CheckCase) -> None:
        from convdiff.arrays.truncated_files import exit_on_truncation
        from convdiff.check.tasks import SavedCase
        from convdiff.pipeline.load_case import load_case

        slot = _Slot(one, time.monotonic())
        self._slots.append(slot)
        if one.request is None or one.chosen is None:
            slot.outcome = ConvdiffError(one.trouble or "")
        elif not one.chosen.environments:
            slot.outcome = self._comparers.submit(
                SavedCase(one.request, one.chosen, one.own, one.crop, one.cut)
            )
        else:
            exit_on_truncation()
            try:
                slot.case = load_case(one.request, one.chosen)
                slot.answers = self._serving.ask(slot.case, one)
                self._answering.append(slot)
            except ConvdiffError as error:
                slot.outcome = ConvdiffError(one.entry.located(str(error)))

    def _compare(self) -> None:
        """Take the answers of the case that was asked first, and have it compared."""
        from convdiff.check.tasks import AnsweredCase

        slot = self._answering.popleft()
        assert slot.one.request is not None
        assert slot.case is not None
        slot.outcome = self._comparers.submit(
            AnsweredCase.of(slot.one.request, slot.case, list(slot.answers))
        )
        slot.case = None

    def _make_room(self) -> None:
        """Wait until few cases wait for a comparing process; those that are done weigh nothing."""
        while True:
            waiting = [
                slot.outcome
                for slot in self._slots
                if isinstance(slot.outcome, Future) and not slot.outcome.done()
            ]
            if len(waiting) <= QUEUED * self._comparers.count:
                return
            wait(waiting, return_when=FIRST_COMPLETED)

    def _ready(self) -> Iterator[CaseResult]:
        while self._slots and self._slots[0].done:
            yield _ended(self._slots.popleft())


def _ended(slot: _Slot) -> CaseResult:
    one, outcome = slot.one, slot.outcome
    assert outcome is not None
    if isinstance(outcome, ConvdiffError):
        return trouble(one, str(outcome), slot.began)
    try:
        return finished(one, outcome.result(), slot.began)
    except ConvdiffError as error:
        return trouble(one, one.entry.located(str(error)), slot.began)


def trouble(one: CheckCase, message: str, began: float) -> CaseResult:
    """The outcome of a case that could not be checked."""
    from convdiff.suite_result import CaseResult

    return CaseResult(
        one.entry.name, one.entry.place, 2, trouble=message, seconds=time.monotonic() - began
    )


def finished(one: CheckCase, report: Report, began: float) -> CaseResult:
    """The outcome of a case that was."""
    from dataclasses import replace

    from convdiff.check.exit_code import ending
    from convdiff.suite_result import CaseResult

    assert one.request is not None
    end = ending(report, one.request, one.entry.allow)
    named = replace(report, case=replace(report.case, name=one.entry.name), command=command(one))
    stale = end.stale if "allow" in one.entry.own_keys else ()
    return CaseResult(
        one.entry.name,
        one.entry.place,
        end.exit_code,
        named,
        None,
        end.allowed,
        stale,
        seconds=time.monotonic() - began,
    )


def command(one: CheckCase) -> str:
    """How to check this case again, alone."""
    import shlex

    return shlex.join(["convdiff", "check", str(one.entry.path), "--case", one.entry.name])


def _stale(
    manifests: Iterable[Manifest], asked: list[CheckCase], done: list[CaseResult]
) -> Iterator[str]:
    """Codes that [defaults] allows and no case had, where all were judged."""
    for manifest in manifests:
        mine = [
            c
            for one, c in zip(asked, done, strict=False)
            if one.entry.path == manifest.path and "allow" not in one.entry.own_keys
        ]
        whole = len(mine) == sum("allow" not in entry.own_keys for entry in manifest.entries) > 0
        if whole and all(c.rows and all(row.verdict for row in c.rows) for c in mine):
            for code in manifest.allow:
                if not any(code in c.allowed for c in mine):
                    yield (
                        f"{manifest.path}: [defaults] allows {code}, which no longer occurs; "
                        "take it out"
                    )
