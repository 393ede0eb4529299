"""Turns answers into rows: verdict, findings, fix and picture."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from convdiff.diagnose.hypotheses.registry import sentence
from convdiff.records import Answer, Case, Finding, OutputGroup, Row, Verdict
from convdiff.spec.layout import Array
from convdiff.verdict.judge import Judge
from convdiff.verdict.output_groups import output_groups

# From best to worst; None is an answer without an output.
VERDICTS: tuple[Verdict | None, ...] = (
    None,
    "identical",
    "rounding",
    "reduced-precision",
    "different",
    "incomparable",
)


class RowJudge:
    """Makes a row of each answer to one case.

    `reference_seconds` is how long the reference took; it is computed here, before the first answer
    is needed.  `pictures` asks for all that the HTML page shows.  `judge` may be a `Judge` of the
    caller's, with knowledge beyond the case.
    """

    def __init__(self, case: Case, *, pictures: bool = False, judge: Judge | None = None) -> None:
        self._case, self._pictures = case, pictures
        self._judge = judge or Judge(case)
        self._other_judges = {
            name: Judge(replace(case, spec=spec)) for name, spec in case.other_specs
        }
        began = time.perf_counter()
        self._judge.reference()
        self.reference_seconds = time.perf_counter() - began

    def rows(self, answers: Iterable[Answer]) -> Iterator[Row]:
        """A row for each answer, in the order of the answers."""
        for answer in answers:
            judge = self._judge_of(answer)
            row = judge.row(answer)
            if answer.again is not None:
                row = self._not_deterministic(row, answer.again)
            if row.findings:
                # Not at the top of the module: outputs that agree need no dialects.
                from convdiff.fixes import with_fixes

                row = with_fixes(row, judge.case.spec)
            if row.verdict in ("different", "reduced-precision"):
                # Not at the top of the module: it loads more of the diagnosis.
                from convdiff.make_picture import with_picture

                row = with_picture(row, judge, kernels=self._pictures)
            yield row

    def groups(self, rows: Sequence[Row]) -> tuple[OutputGroup, ...]:
        """How the outputs of these rows compare with each other; one file counts once."""
        files: dict[tuple[object, str | None], str] = {}
        for name, stored in self._case.saved:
            if stored.path is not None:
                files.setdefault((stored.path.resolve(), stored.key), name)
        first_names = set(files.values())
        others = {name for name, stored in self._case.saved if stored.path is not None}
        repeated = others - first_names
        rows = [
            row for row in rows if row.answer.kind != "saved" or row.answer.name not in repeated
        ]
        return output_groups(rows, self._are_alike)

    def _are_alike(self, answer: Answer, other: Answer) -> bool:
        judge = self._judge_of(answer)
        return judge is self._judge_of(other) and judge.are_alike(answer, other)

    def _judge_of(self, answer: Answer) -> Judge:
        """The judge of the convolution that this answer was read as an output of."""
        other = self._other_judges.get(answer.name) if answer.kind == "saved" else None
        return other or self._judge

    def _not_deterministic(self, row: Row, again: Array) -> Row:
        """The worse row of two different answers of one backend, with the finding that they differ.

        That finding comes first where the answers are about as far from each other as the worse one
        is from the reference: then the difference is what is wrong, whatever else would explain it.
        """
        other = replace(self._judge.row(replace(row.answer, output=again)), answer=row.answer)
        worse = max(row, other, key=lambda row: VERDICTS.index(row.verdict))
        edit = {"code": "not-deterministic"}
        notes = (row.answer.message,) if row.answer.message else ()
        finding = Finding((edit,), sentence(edit), notes=notes)
        agrees = worse.verdict in (None, "identical", "rounding")
        message = worse.message or (row.answer.message if agrees else None)
        first = (
            worse.error is not None
            and 2 * _largest_difference(row.answer.output, again) >= worse.error.max_abs > 0
        )
        findings = (finding, *worse.findings) if first else (*worse.findings, finding)
        return replace(worse, findings=findings, message=message)


def _largest_difference(output: Array | None, again: Array) -> float:
    """The largest finite difference of two outputs; 0 where their shapes differ."""
    if output is None or output.shape != again.shape or not output.size:
        return 0.0
    wide = np.complex128 if "c" in (output.dtype.kind, again.dtype.kind) else np.float64
    difference = np.abs(output.astype(wide) - again)
    return float(difference[np.isfinite(difference)].max(initial=0.0))
