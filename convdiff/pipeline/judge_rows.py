"""Answers to rows: the reference first, timed, then each answer's verdict, diagnosis and fix."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from convdiff.diagnose.hypotheses.registry import sentence
from convdiff.records import Answer, Case, Finding, Row, Verdict
from convdiff.spec.layout import Array
from convdiff.verdict.judge import Judge

WORSE: tuple[Verdict | None, ...] = (
    None,
    "identical",
    "rounding",
    "reduced-precision",
    "different",
    "incomparable",
)


def _apart(one: Array | None, other: Array) -> float:
    """The largest finite distance of two answers; 0 where their shapes differ."""
    if one is None or one.shape != other.shape or not one.size:
        return 0.0
    distance = np.abs(one.astype(np.float64) - other)
    return float(distance[np.isfinite(distance)].max(initial=0.0))


class RowJudge:
    """Judges a case's answers.  `reference_seconds` is what the reference took; `pictures` are for
    pages, and cost more.

    `judge` is who does, where a caller has one that knows more.
    """

    def __init__(self, case: Case, *, pictures: bool = False, judge: Judge | None = None) -> None:
        self._case, self._pictures = case, pictures
        self._judge = judge or Judge(case)
        began = time.perf_counter()
        self._judge.reference()
        self.reference_seconds = time.perf_counter() - began

    def _unsteady(self, row: Row, again: Array) -> Row:
        """The worse of two answers of one backend, and that they are two."""
        other = replace(self._judge.row(replace(row.answer, output=again)), answer=row.answer)
        worse = max(row, other, key=lambda row: WORSE.index(row.verdict))
        edit = {"code": "not-deterministic"}
        finding = Finding(
            (edit,), sentence(edit), notes=(row.answer.message,) if row.answer.message else ()
        )
        message = worse.message or (row.answer.message if worse.verdict in WORSE[:3] else None)
        # Where the answers are about as far from each other as from the truth, that is what is
        # wrong, whatever else fits the worse.
        first = (
            worse.error is not None
            and 2 * _apart(row.answer.output, again) >= worse.error.max_abs > 0
        )
        return replace(
            worse,
            findings=(finding, *worse.findings) if first else (*worse.findings, finding),
            message=message,
        )

    def rows(self, answers: Iterable[Answer]) -> Iterator[Row]:
        """A row for each answer, in their order."""
        for answer in answers:
            row = self._judge.row(answer)
            if answer.again is not None:
                row = self._unsteady(row, answer.again)
            if row.findings:
                # Not at the top of the module: outputs that agree need no dialect.
                from convdiff.fixes import with_fixes

                row = with_fixes(row, self._case.spec)
            if row.verdict in ("different", "reduced-precision"):
                from convdiff.make_picture import pictured

                row = pictured(row, self._judge, kernels=self._pictures)
            yield row
