"""The judge of a port's layer.

It judges by the source's weights, and by the port's own where those do not explain the output.
"""

from __future__ import annotations

from dataclasses import replace

from convdiff.arrays import read
from convdiff.port.own_weights import OwnWeights
from convdiff.port.port_row import PortRow
from convdiff.records import Answer, Case, Row
from convdiff.spec.infer_spec import bias_vector
from convdiff.suite_result import AGREEING
from convdiff.verdict.judge import Judge


class PortLayerJudge(Judge):
    """Judges a layer whose port has weights of its own.

    The rows are PortRows wherever those weights play a part.  ConvdiffError where the port's arrays
    do not make the source's convolution.
    """

    def __init__(self, case: Case, weights: OwnWeights) -> None:
        super().__init__(case)
        self._relation = weights.relation
        spec = replace(
            case.spec,
            kernel_layout=weights.kernel_layout,
            flip=weights.flip,
            bias=weights.bias is not None,
        )
        bias = None
        if weights.bias is not None:
            bias = read(weights.bias, "bias")
            bias = replace(bias, array=bias_vector(bias.array, spec, f"bias {bias.name}"))
        self._own_case = replace(case, spec=spec, kernel=read(weights.kernel, "kernel"), bias=bias)

    def row(self, answer: Answer) -> Row:
        row = super().row(answer)
        if not self._relation.conclusive:
            unexplained = row.verdict == "different" and not row.findings
            if unexplained and self._agrees_by_own_weights(answer):
                return PortRow.of(row, "explains")
            if row.findings and row.findings[0].codes == ("bias-missing",):
                return PortRow.of(row, "follows")
        elif row.verdict == "reduced-precision" and self._agrees_by_own_weights(answer):
            # The layer computed in full precision: its weights had been rounded before.
            return PortRow.of(row, "explains", verdict="different", findings=())
        return row

    def row_without_diagnosis(self, answer: Answer, differing: Row) -> Row | None:
        """The row by the port's own weights, where the source's cannot explain the output.

        Another fault of the layer shows by the port's own weights too.
        """
        if not self._relation.conclusive:
            return None
        row = BoundJudge(self._own_case).row(answer)
        if row.verdict in AGREEING:
            return PortRow.of(row if self._relation.folded else differing, "explains")
        return PortRow.of(Judge(self._own_case).row(answer), "precedes")

    def _agrees_by_own_weights(self, answer: Answer) -> bool:
        return BoundJudge(self._own_case).row(answer).verdict in AGREEING


class BoundJudge(Judge):
    """Judges by the error bound alone: an output beyond rounding differs, and is not diagnosed."""

    def row_without_diagnosis(self, answer: Answer, differing: Row) -> Row:
        return differing
