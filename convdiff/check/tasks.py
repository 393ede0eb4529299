"""What a comparing process does for one case: read, compare, diagnose, and give back a report
without arrays.

Everything here is plain data that can be pickled, so that the process may be on another machine
too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from convdiff.arrays import read
from convdiff.errors import ConvdiffError
from convdiff.exit_codes import exit_code
from convdiff.pipeline.judge_rows import RowJudge
from convdiff.pipeline.load_case import load_case
from convdiff.pipeline.request import Request
from convdiff.pipeline.select_backends import SelectedBackends
from convdiff.port.judge import OwnJudge
from convdiff.port.own_weights import OwnWeights
from convdiff.records import Answer, Case, Report, Stored
from convdiff.spec.padding import Pair
from convdiff.verdict.judge import Judge


@dataclass(frozen=True)
class SavedCase:
    """A case that needs no worker: the process does all of it.

    `own` are the weights of a port's layer, where they are others; `crop` and `cut` are taken off
    the ends of its input and its output, per axis of space.
    """

    request: Request
    chosen: SelectedBackends
    own: OwnWeights | None = None
    crop: tuple[Pair, ...] = ()
    cut: tuple[Pair, ...] = ()

    def run(self) -> Report:
        """Read and judge."""
        case = load_case(self.request, self.chosen, self.crop, self.cut)
        answers = [
            Answer(name, "saved", "ok", output=stored.array, stored=stored.stored)
            for name, stored in case.saved
        ]
        return judged(case, answers, self.request, OwnJudge(case, self.own) if self.own else None)


@dataclass(frozen=True)
class AnsweredCase:
    """A case that workers have answered.  Its arrays are mapped again from their files; only what
    has none came along.
    """

    request: Request
    case: Case
    answers: tuple[Answer, ...]

    @staticmethod
    def of(request: Request, case: Case, answers: Sequence[Answer]) -> AnsweredCase:
        """The case without the arrays that the other side can map."""
        bare = replace(
            case,
            input=_bare(case.input),
            kernel=_bare(case.kernel),
            saved=tuple((n, _bare(s)) for n, s in case.saved),
        )
        if case.bias is not None:
            bare = replace(bare, bias=replace(case.bias, array=np.array(case.bias.array)))
        saved = {name for name, _ in case.saved}
        kept = (
            replace(a, output=None) if a.kind == "saved" and a.name in saved else _plain(a)
            for a in answers
        )
        return AnsweredCase(request, bare, tuple(kept))

    def run(self) -> Report:
        """Map and judge."""
        case = replace(
            self.case,
            input=_whole(self.case.input),
            kernel=_whole(self.case.kernel),
            saved=tuple((name, _whole(stored)) for name, stored in self.case.saved),
        )
        saved = dict(case.saved)
        answers = [
            replace(a, output=saved[a.name].array) if a.kind == "saved" and a.status == "ok" else a
            for a in self.answers
        ]
        return judged(case, answers, self.request)


Task = SavedCase | AnsweredCase


def judged(
    case: Case, answers: Sequence[Answer], request: Request, judge: Judge | None = None
) -> Report:
    """The report on these answers, light."""
    judging = RowJudge(case, pictures=request.pictures, judge=judge)
    rows = tuple(judging.rows(answers))
    return light(
        Report(
            case,
            rows,
            exit_code(rows, require=request.require, fail_on=request.fail_on),
            "",
            judging.reference_seconds,
        )
    )


def light(report: Report) -> Report:
    """The report without its arrays, so that a thousand of them weigh nothing."""
    case = report.case
    names = tuple((name, _bare(stored)) for name, stored in case.saved)
    bias = _bare(case.bias) if case.bias else None
    case = replace(case, input=_bare(case.input), kernel=_bare(case.kernel), bias=bias, saved=names)
    return replace(
        report,
        case=case,
        rows=tuple(
            replace(row, answer=replace(row.answer, output=None, again=None)) for row in report.rows
        ),
    )


def _bare(stored: Stored) -> Stored:
    return replace(stored, array=np.empty(0, np.uint8)) if stored.path is not None else stored


def _whole(stored: Stored) -> Stored:
    if stored.path is None:
        return stored
    name = f"{Path(stored.path)}:{stored.key}" if stored.key else stored.path
    try:
        return replace(stored, array=read(name, "array", any_shape=True).array)
    except ConvdiffError as error:
        raise ConvdiffError(f"{error} (it was there when the check began)") from None


def _plain(answer: Answer) -> Answer:
    output, again = (
        None if array is None else np.asarray(array) for array in (answer.output, answer.again)
    )
    return replace(answer, output=output, again=again)
