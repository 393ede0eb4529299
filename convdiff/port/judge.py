"""A port's layer judged: by the source's kernel, and where that does not explain its output by its
own.
"""

from __future__ import annotations

from dataclasses import replace

from convdiff.arrays import read
from convdiff.port.own_weights import OwnWeights
from convdiff.records import Answer, Case, Row
from convdiff.spec.infer_spec import bias_vector
from convdiff.suite_result import AGREEING
from convdiff.verdict.judge import Judge


class OwnJudge(Judge):
    """See above.  ConvdiffError where the port's own arrays make no such convolution."""

    def __init__(self, case: Case, own: OwnWeights) -> None:
        super().__init__(case)
        self._own = own
        spec = replace(
            case.spec, kernel_layout=own.kernel_layout, flip=own.flip, bias=own.bias is not None
        )
        bias = None
        if own.bias is not None:
            bias = read(own.bias, "bias")
            bias = replace(bias, array=bias_vector(bias.array, spec, f"bias {bias.name}"))
        self._by = replace(case, spec=spec, kernel=read(own.kernel, "kernel"), bias=bias)

    def row(self, answer: Answer) -> Row:
        row = super().row(answer)
        if (
            row.verdict == "different"
            and not row.findings
            and not self._own.sure
            and _Plain(self._by).row(answer).verdict in AGREEING
        ):
            return replace(row, message=self._own.said)
        if not self._own.sure and row.findings and row.findings[0].codes == ("bias-missing",):
            first, *others = row.findings
            return replace(
                row,
                findings=(replace(first, summary=f"{first.summary}: {self._own.said}"), *others),
            )
        if (
            row.verdict == "reduced-precision"
            and self._own.sure
            and _Plain(self._by).row(answer).verdict in AGREEING
        ):
            # Nothing was computed so: the weights were rounded before they came here.
            return replace(row, verdict="different", findings=(), message=self._own.said)
        return row

    def row_without_diagnosis(self, answer: Answer, differing: Row) -> Row | None:
        """By its own weights, where no mistake with the source's would give them; what is wrong
        beside shows by these too.
        """
        if not self._own.sure:
            return None
        said = self._own.said
        row = _Plain(self._by).row(answer)
        if row.verdict in AGREEING:
            return (
                replace(row, message=said) if self._own.folded else replace(differing, message=said)
            )
        row = Judge(self._by).row(answer)
        if row.findings:
            first, *others = row.findings
            return replace(
                row, findings=(replace(first, summary=f"{said}; and {first.summary}"), *others)
            )
        return replace(row, message=f"{said}; {row.message}" if row.message else said)


class _Plain(Judge):
    """Tells whether rounding explains an answer, and no more."""

    def row_without_diagnosis(self, answer: Answer, differing: Row) -> Row:
        return differing
