"""The results of a port check.

Each layer's with what is known of its pair, and those that belong to no layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from convdiff.diagnose import Explanation
from convdiff.errors import ConvdiffError
from convdiff.port import wording
from convdiff.port.captured_layer import CapturedLayer
from convdiff.port.external_padding import ExternalPaddings, Pairs
from convdiff.port.layer_outcome import LayerOutcome
from convdiff.port.layer_plan import LayerPlan, PortPlan
from convdiff.port.own_weights import WeightRelation
from convdiff.port.port_row import PortRow
from convdiff.records import Edit, Finding, Report, Row
from convdiff.spec.conv_spec import ConvSpec
from convdiff.suite_result import CaseResult, InputAgreement


def conclude_layer(
    plan: LayerPlan,
    compared: CaseResult,
    agreement: InputAgreement,
    command: str,
    first_failure: bool,
) -> LayerOutcome:
    """The outcome of a layer whose case came out as `compared`.

    `command` checks the layer again; `first_failure` is whether no layer before it failed.
    """
    correct = not compared.exit_code
    report = compared.report
    if report is not None:
        report = replace(_layer_report(report, plan, agreement, correct), command=command)
    input_fails = first_failure and correct and not agreement.same
    result = replace(
        compared,
        exit_code=1 if input_fails else compared.exit_code,
        failure_kind="fed wrong" if input_fails else "",
        report=report,
        notes=_layer_notes(plan, report, agreement, correct),
        stale=(),
        allowed=(),
        input_agreement=agreement,
    )
    return LayerOutcome(plan, correct, agreement, result)


def missing_layer_result(layer: CapturedLayer) -> CaseResult:
    """The failing result of a source layer that the port does not have."""
    return CaseResult(
        layer.name,
        layer.entry.place,
        1,
        failure_kind="lost",
        trouble=wording.missing_layer(layer.name),
    )


def outputs_result(
    plan: PortPlan, outcomes: Sequence[LayerOutcome], manifest: Path
) -> CaseResult | None:
    """The failing result of the models' outputs where every layer passes.

    None where they agree or cannot be compared.

    `manifest` is the port's.
    """
    states = plan.states({at: outcome.correct for at, outcome in enumerate(outcomes)})
    agreement = plan.outputs.agreement(states)
    if agreement is None or agreement.same:
        return None
    last = outcomes[-1].result.name
    return CaseResult(
        "outputs",
        f"{manifest}:1",
        1,
        trouble=wording.differing_outputs(agreement, plan.outputs_doubt, last),
        input_agreement=agreement,
    )


def unconfirmed_fold(plan: PortPlan) -> str | None:
    """The name of the last layer, where it is folded and nothing is recorded that confirms it."""
    last = plan.layers[-1]
    if last.folded and not plan.outputs.comparable:
        return last.pair.source.name
    return None


def _layer_notes(
    plan: LayerPlan, report: Report | None, agreement: InputAgreement, correct: bool
) -> tuple[str, ...]:
    pair = plan.pair
    notes: list[str] = []
    if pair.source.name != pair.port.name:
        notes.append(wording.paired(pair.port.name, pair.paired_by))
    if not correct:
        notes += wording.external_paddings(_known_paddings(plan))
    if not agreement.same:
        notes.append(wording.differing_input(agreement, correct))
    elif not correct:
        notes.append(wording.doubt(plan.doubt) if plan.doubt else wording.WRONG_ITSELF)
    if correct and plan.folded and report is not None:
        notes += dict.fromkeys(row.message for row in report.rows if row.message)
    return tuple(notes)


def _known_paddings(plan: LayerPlan) -> ExternalPaddings | None:
    try:
        return plan.inputs.paddings
    except ConvdiffError:
        return None


def _layer_report(
    report: Report, plan: LayerPlan, agreement: InputAgreement, correct: bool
) -> Report:
    """The report in terms of the port: its whole padding, its weights' relation to the source's."""
    padding = None if correct else plan.inputs.port_padding
    if padding is not None:
        report = _in_terms_of_padding(report, padding)
    rows = report.rows
    if plan.own_weights is not None:
        rows = tuple(_with_weights(row, plan.own_weights.relation) for row in rows)
    if plan.doubt is not None and agreement.same:
        # Code for the convolution without the fold would not cure a wrong fold.
        rows = tuple(_without_fixes(row) for row in rows)
    return replace(report, rows=rows)


def _with_weights(row: Row, relation: WeightRelation) -> Row:
    """The row with the relation of the weights in words, where its judge gave that a role."""
    if not isinstance(row, PortRow) or row.weights_role is None:
        return row
    sentence = wording.weights(relation)
    if row.weights_role == "explains":
        return replace(row, message=sentence)
    if not row.findings:
        return replace(row, message=wording.weights_and_message(sentence, row.message))
    first, *others = row.findings
    compose = (
        wording.weights_and_finding
        if row.weights_role == "precedes"
        else wording.finding_and_weights
    )
    first = replace(first, summary=compose(sentence, first.summary))
    return replace(row, findings=(first, *others))


def _without_fixes(row: Row) -> Row:
    return replace(row, findings=tuple(replace(finding, fix={}) for finding in row.findings))


def _in_terms_of_padding(report: Report, padding: Pairs) -> Report:
    """The report with findings by which the port has its own padding, as a whole.

    A finding is replaced by its rival with that padding, where it has one.
    """
    spec = report.case.spec
    findings_by_row = [
        [_by_rival(finding, spec, padding) for finding in row.findings] for row in report.rows
    ]
    changed = any(
        new is not old
        for row, findings in zip(report.rows, findings_by_row, strict=True)
        for new, old in zip(findings, row.findings, strict=True)
    )
    if not changed:
        return report
    # Imported here for start-up time: it loads every dialect, which few reports need here.
    from convdiff.fixes import with_fixes

    rows = (
        with_fixes(replace(row, findings=tuple(findings)), spec)
        for row, findings in zip(report.rows, findings_by_row, strict=True)
    )
    return replace(report, rows=tuple(rows))


def _by_rival(finding: Finding, spec: ConvSpec, padding: Pairs) -> Finding:
    """The finding with this padding: the finding itself, or else its rival.

    A rival gets the finding among its own rivals. The finding itself where neither has it.
    """
    if any(_obtains(edit, padding) for edit in finding.edits):
        return finding
    for rival in finding.rivals:
        if any(_obtains(edit, padding) for edit in rival):
            others = (other for other in finding.rivals if other is not rival)
            explanation = Explanation((rival, finding.edits, *others))
            return replace(explanation.finding(spec), notes=finding.notes)
    return finding


def _obtains(edit: Edit, padding: Pairs) -> bool:
    if edit["code"] != "wrong-padding":
        return False
    return [tuple(pair) for pair in edit["obtained"]] == list(padding)
