"""Answers to rows: the reference first, timed, then each answer's verdict, diagnosis and fix."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from convdiff.case import Answer, Case, Row
from convdiff.judge import Judge


class Judging:
    """Judges a case's answers.  `reference_seconds` is what the reference took; `pictures` are for pages, and cost more."""

    def __init__(self, case: Case, *, pictures: bool = False) -> None:
        self._case, self._pictures = case, pictures
        self._judge = Judge(case)
        began = time.perf_counter()
        self._judge.truth()
        self.reference_seconds = time.perf_counter() - began

    def rows(self, answers: Iterable[Answer]) -> Iterator[Row]:
        """A row for each answer, in their order."""
        for answer in answers:
            row = self._judge.row(answer)
            if row.findings:
                # Not at the top of the module: outputs that agree need no dialect.
                from convdiff.advice import with_fixes

                row = with_fixes(row, self._case.spec)
            if row.verdict in ("different", "reduced-precision"):
                from convdiff.picturing import pictured

                row = pictured(row, self._judge, kernels=self._pictures)
            yield row
