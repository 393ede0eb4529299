"""The work of a comparing process on one case.

It reads, compares and diagnoses the case, and returns a report without its arrays.

Tasks are plain data that can be pickled, so that they run in another process or on another machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from convdiff.arrays import read
from convdiff.check.judge_factory import JudgeFactory
from convdiff.errors import ConvdiffError
from convdiff.exit_codes import exit_code
from convdiff.pipeline.judge_rows import RowJudge
from convdiff.pipeline.load_case import load_case
from convdiff.pipeline.request import Request
from convdiff.pipeline.select_backends import SelectedBackends
from convdiff.records import Answer, Case, Report, Stored
from convdiff.spec.padding import Pair
from convdiff.verdict.judge import Judge


@dataclass(frozen=True)
class SavedCase:
    """A case of saved outputs alone: no framework runs, so the comparing process does all of it.

    `judge`, `input_crop` and `output_crop` are those of the CheckCase.
    """

    request: Request
    chosen: SelectedBackends
    judge: JudgeFactory | None = None
    input_crop: tuple[Pair, ...] = ()
    output_crop: tuple[Pair, ...] = ()

    def run(self) -> Report:
        """Read the arrays and judge the saved outputs."""
        case = load_case(self.request, self.chosen, self.input_crop, self.output_crop)
        answers = [
            Answer(name, "saved", "ok", output=stored.array, stored=stored.stored)
            for name, stored in case.saved
        ]
        return judge_answers(
            case, answers, self.request, self.judge.judge(case) if self.judge else None
        )


@dataclass(frozen=True)
class AnsweredCase:
    """A case that the framework workers have answered.

    Arrays that came from files are left out and mapped again by `run`; only the others travel with
    the task.
    """

    request: Request
    case: Case
    answers: tuple[Answer, ...]

    @staticmethod
    def pack(request: Request, case: Case, answers: Sequence[Answer]) -> AnsweredCase:
        """The task for `case`, without the arrays that the other process can map from files."""
        light_case = replace(
            case,
            input=_without_array(case.input),
            kernel=_without_array(case.kernel),
            saved=tuple((name, _without_array(stored)) for name, stored in case.saved),
        )
        if case.bias is not None:
            bias = replace(case.bias, array=np.array(case.bias.array))
            light_case = replace(light_case, bias=bias)
        saved_names = {name for name, _ in case.saved}
        light_answers = (
            replace(answer, output=None)
            if answer.kind == "saved" and answer.name in saved_names
            else _with_plain_arrays(answer)
            for answer in answers
        )
        return AnsweredCase(request, light_case, tuple(light_answers))

    def run(self) -> Report:
        """Map the arrays again and judge the answers."""
        case = replace(
            self.case,
            input=_with_array(self.case.input),
            kernel=_with_array(self.case.kernel),
            saved=tuple((name, _with_array(stored)) for name, stored in self.case.saved),
        )
        saved = dict(case.saved)
        answers = [
            replace(answer, output=saved[answer.name].array)
            if answer.kind == "saved" and answer.status == "ok"
            else answer
            for answer in self.answers
        ]
        return judge_answers(case, answers, self.request)


Task = SavedCase | AnsweredCase


def judge_answers(
    case: Case, answers: Sequence[Answer], request: Request, judge: Judge | None = None
) -> Report:
    """The report on these answers, without arrays; `judge` replaces the usual one."""
    row_judge = RowJudge(case, pictures=request.pictures, judge=judge)
    rows = tuple(row_judge.rows(answers))
    code = exit_code(rows, require=request.require, fail_on=request.fail_on)
    return without_arrays(
        Report(case, rows, code, "", row_judge.reference_seconds, row_judge.groups(rows))
    )


def without_arrays(report: Report) -> Report:
    """The report without its arrays, so that thousands of reports fit in memory."""
    case = report.case
    case = replace(
        case,
        input=_without_array(case.input),
        kernel=_without_array(case.kernel),
        bias=_without_array(case.bias) if case.bias else None,
        saved=tuple((name, _without_array(stored)) for name, stored in case.saved),
    )
    rows = (
        replace(row, answer=replace(row.answer, output=None, again=None)) for row in report.rows
    )
    return replace(report, case=case, rows=tuple(rows))


def _without_array(stored: Stored) -> Stored:
    return replace(stored, array=np.empty(0, np.uint8)) if stored.path is not None else stored


def _with_array(stored: Stored) -> Stored:
    if stored.path is None:
        return stored
    name = f"{Path(stored.path)}:{stored.key}" if stored.key else stored.path
    try:
        return replace(stored, array=read(name, "array", any_shape=True).array)
    except ConvdiffError as error:
        raise ConvdiffError(f"{error} (it was there when the check began)") from None


def _with_plain_arrays(answer: Answer) -> Answer:
    """The answer with plain arrays in place of memory maps, so that it can be pickled."""
    output, again = (
        None if array is None else np.asarray(array) for array in (answer.output, answer.again)
    )
    return replace(answer, output=output, again=again)
