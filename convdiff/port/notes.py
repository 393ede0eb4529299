"""What is said of a port's layers, of the first that diverges, and of what no layer answers for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from convdiff.port.external_padding import ExternalPadding, Pairs, whole
from convdiff.port.input_faults import why
from convdiff.port.layer_pair import InputDistance, LayerPair
from convdiff.port.model_outputs import ModelOutputs
from convdiff.port.pairing import CapturedLayer
from convdiff.records import Edit, Finding, Report, Row
from convdiff.report.suite_words import cause
from convdiff.spec.conv_spec import ConvSpec
from convdiff.suite_result import CaseResult, InputAgreement


def told(
    checked: CaseResult, look: LayerPair, inputs: InputDistance, again: str, first: bool
) -> CaseResult:
    """The outcome with what is known of the pair; one that is right and fed wrong fails where it is
    the `first` that does.
    """
    one = look.pair
    notes = [] if one.source.name == one.port.name else [f"paired with {one.port.name} by {one.by}"]
    notes += [
        f"the {side} pads in a layer of its own ({frame})"
        for side, frame in look.padded
        if checked.exit_code
    ]
    if not inputs.same:
        notes.append(
            f"{'wrong itself, and' if checked.exit_code else 'right itself, but'} fed other "
            f"inputs ({inputs})"
        )
    elif checked.exit_code:
        notes.append(look.doubt or "wrong itself: it was fed the same inputs")
    if not checked.exit_code:
        notes += dict.fromkeys(row.message for row in checked.rows if row.message and look.folded)
    report = checked.report
    if report is not None:
        written = (
            whole(look.specs[1], look.frames.port if look.frames else ExternalPadding(()))
            if checked.exit_code
            else None
        )
        report = as_written(report, written[0]) if written else report
        if look.doubt and inputs.same:
            # Code for the unfolded layer is no cure for what was folded into it.
            report = replace(report, rows=tuple(_unfixed(row) for row in report.rows))
        report = replace(report, command=again)
    fed = InputAgreement(inputs.apart, inputs.limit, inputs.same)
    wrong = first and not inputs.same and not checked.exit_code
    code = 1 if wrong else checked.exit_code
    return replace(
        checked,
        exit_code=code,
        kind="fed wrong" if wrong else "",
        report=report,
        notes=tuple(notes),
        stale=(),
        allowed=(),
        fed=fed,
    )


def _unfixed(row: Row) -> Row:
    return replace(row, findings=tuple(replace(finding, fix={}) for finding in row.findings))


def diverging(done: Sequence[CaseResult], looks: Sequence[LayerPair]) -> str:
    """The first layer of all that diverges and why, in a sentence; empty where none does."""
    for at, checked in enumerate(done):
        if checked.exit_code:
            where = (
                f"the first that diverges is {checked.name}, convolution {at + 1} of {len(looks)}"
            )
            if checked.fed is None or checked.fed.same:
                return f"{where}: {_why(checked)}"
            inputs = str(InputDistance(checked.fed.apart, checked.fed.limit))
            reason = why(looks[at], checked.fed.limit)
            inputs += f" ({reason})" if reason else ""
            before = (
                f"look after {done[at - 1].name}, which is right"
                if at
                else "look before the first convolution"
            )
            before = looks[at].doubt or before
            also = (
                ", and it is right itself"
                if checked.kind
                else f"; and it is wrong itself: {_why(checked)}"
            )
            return f"{where}: its inputs are {inputs}, so {before}{also}"
    return ""


def missing(layer: CapturedLayer) -> CaseResult:
    """A layer of the source's that the port has not."""
    return CaseResult(
        layer.name,
        layer.entry.place,
        1,
        kind="lost",
        trouble=f"{layer.name} of the source has no counterpart in the port",
    )


def apart(done: Sequence[CaseResult], given: ModelOutputs, place: Path) -> list[CaseResult]:
    """The models' outputs as a case that fails, where they are not the same and nothing before is
    why.
    """
    if any(checked.exit_code for checked in done) or given.fed is None or given.fed.same:
        return []
    where = given.doubt or f"look after {done[-1].name}"
    said = f"every convolution is right, but the models' outputs are {given.fed}: {where}"
    fed = InputAgreement(given.fed.apart, given.fed.limit, False)
    return [CaseResult("outputs", f"{place}:1", 1, trouble=said, fed=fed)]


def _why(checked: CaseResult) -> str:
    return (
        checked.trouble
        or "; ".join(dict.fromkeys(cause(row) for row in checked.failing))
        or "it could not be checked"
    )


def as_written(report: Report, padding: Pairs) -> Report:
    """The report with its findings told by the port's whole padding, where that is among their
    rivals.
    """
    told = [
        [_told(finding, report.case.spec, padding) for finding in row.findings]
        for row in report.rows
    ]
    if all(
        one is finding
        for row, made in zip(report.rows, told, strict=True)
        for one, finding in zip(made, row.findings, strict=True)
    ):
        return report
    # Not at the top of the module: it loads the diagnosis, which the comparing processes do beside.
    from convdiff.fixes import with_fixes

    rows = (
        with_fixes(replace(row, findings=tuple(made)), report.case.spec)
        for row, made in zip(report.rows, told, strict=True)
    )
    return replace(report, rows=tuple(rows))


def _told(finding: Finding, spec: ConvSpec, padding: Pairs) -> Finding:
    if any(_obtains(edit, padding) for edit in finding.edits):
        return finding
    first = next(
        (rival for rival in finding.rivals if any(_obtains(edit, padding) for edit in rival)), None
    )
    if first is None:
        return finding
    from convdiff.diagnose import Explanation

    made = Explanation(
        (first, finding.edits, *(rival for rival in finding.rivals if rival is not first))
    ).finding(spec)
    before = Explanation((finding.edits,)).finding(spec).summary
    # What is said of the weights stays before it.
    said = finding.summary.removesuffix(before) if finding.summary.endswith(before) else ""
    return replace(made, summary=said + made.summary, notes=finding.notes)


def _obtains(edit: Edit, padding: Pairs) -> bool:
    return edit["code"] == "wrong-padding" and [tuple(pair) for pair in edit["obtained"]] == list(
        padding
    )
