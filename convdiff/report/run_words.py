"""The wording of a run, without color or layout: the convolution, the conclusion, the exit code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from convdiff.diagnose.hypotheses.geometry import WrongPadMode
from convdiff.diagnose.hypotheses.registry import sentence
from convdiff.records import Edit, ErrorStats, Finding, OutputGroup, Report, Row
from convdiff.report import number_format
from convdiff.report.escape import shorten
from convdiff.spec.conv_spec import ConvSpec, numbers_text, pairs_text
from convdiff.spec.pad_mode import pad_mode_text
from convdiff.spec.pad_value import pad_value_text
from convdiff.suite_result import AGREEING

# How many rival explanations, and how many causes in a conclusion, are worded; others are counted.
MAX_RIVALS, MAX_CAUSES = 4, 4

NO_EXPLANATION = "no explanation: none of the known causes reproduces this output"

# The verb for each verdict and status that does not agree: for one row, and for several.
VERBS = {
    "different": ("differs", "differ"),
    "incomparable": ("cannot be compared", "cannot be compared"),
    "reduced-precision": ("has reduced precision", "have reduced precision"),
    "unavailable": ("is unavailable", "are unavailable"),
    "unsupported": ("is unsupported", "are unsupported"),
    "failed": ("failed", "failed"),
    "crashed": ("crashed", "crashed"),
    "timeout": ("timed out", "timed out"),
}

# (role, layout, shape) of an array; (name, value) of a setting.
ArrayWords = tuple[str, str, str]
SettingWords = tuple[str, str]


def spec_words(spec: ConvSpec) -> tuple[str, list[ArrayWords], list[SettingWords]]:
    """The convolution in words: its operation, its arrays, its settings.

    Stride, padding and dtype are always given, the other settings where they have an effect.  The
    name of a setting is empty where its value speaks for itself.
    """
    arrays = [
        (role, getattr(spec, f"{role}_layout"), "x".join(map(str, spec.shape(role))))
        for role in ("input", "kernel", "output")
    ]
    fill = f" {pad_mode_text(spec.pad_mode)}" if spec.pad_mode != "constant" else ""
    settings = [("stride", numbers_text(spec.stride)), ("padding", pairs_text(spec.padding) + fill)]
    if spec.pad_value != 0:
        settings.append(("pad value", pad_value_text(spec.pad_value)))
    for name, numbers, neutral in (
        ("dilation", spec.dilation, 1),
        ("input dilation", spec.input_dilation, 1),
        ("output padding", spec.output_padding, 0),
    ):
        if max(numbers) > neutral:
            settings.append((name, numbers_text(numbers)))
    if "M" in spec.kernel_layout:
        settings.append(("", "depthwise"))
    elif spec.groups > 1:
        settings.append(("groups", f"{spec.groups}{' (depthwise)' if spec.depthwise else ''}"))
    if spec.flip:
        settings.append(("", "kernel flipped"))
    if spec.bias:
        settings.append(("", "with bias"))
    settings.append(("", spec.dtype))
    return f"conv{spec.rank}d" + (" transposed" if spec.transposed else ""), arrays, settings


def largest_error(error: ErrorStats) -> str:
    """The element with the largest error: `[0, 9, 0]: obtained 0.1485225, expected 0.1046324`."""
    return (
        f"{number_format.index(error.worst)}: obtained {number_format.element(error.obtained)}, "
        f"expected {number_format.element(error.reference)}"
    )


RELATIONS = {
    "identical": "the same bit for bit",
    "rounding": "the same up to rounding",
    "different": "different from each other",
}


def group_words(group: OutputGroup) -> str:
    """How some outputs compare with each other: `the same bit for bit: torch, jax`."""
    return f"{RELATIONS[group.relation]}: {', '.join(map(shorten, group.names))}"


def agreeing_options_words(options: Mapping[str, object]) -> str:
    """With which options the output agrees: `with --padding 1 it agrees`."""
    given = [_option_words(name, value) for name, value in options.items() if name != "transposed"]
    transposed = options.get("transposed")
    if transposed:
        given.insert(0, "--transposed")
    words = [f"with {' '.join(given)}"] if given else []
    if transposed is False:
        words.insert(0, "without --transposed")
    return f"{' and '.join(words)} it agrees"


def _option_words(name: str, value: object) -> str:
    option = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{option}" if value else f"--no-{option}"
    return f"--{option} {value}"


def rivals_words(finding: Finding) -> str:
    """The other explanations that fit, the first few of them worded.

    Those that differ in no more than what the padding was filled with are told once.
    """
    distinct: list[str] = []
    others_known = {_without_pad_mode(finding.edits): False}
    for rival in finding.rivals:
        others = _without_pad_mode(rival)
        modes = [edit["obtained"] for edit in rival if edit["code"] == WrongPadMode.code]
        if not modes or others not in others_known:
            distinct.append(" and ".join(sentence(edit) for edit in rival))
            others_known[others] = True
        elif not others_known[others]:
            distinct.append(_other_fills(finding, others))
            others_known[others] = True
    worded, left = distinct[:MAX_RIVALS], len(distinct) - MAX_RIVALS
    return f"these arrays cannot tell this from: {'; or '.join(worded)}" + (
        f"; and {left} more" if left > 0 else ""
    )


def _without_pad_mode(edits: Sequence[Edit]) -> str:
    """The edits but for the pad mode, as text that equal ones share."""
    return repr([edit for edit in edits if edit["code"] != WrongPadMode.code])


def _other_fills(finding: Finding, others: str) -> str:
    """The pad modes with which the edits of the finding hold, too."""
    modes = [
        edit["obtained"]
        for rival in finding.rivals
        if _without_pad_mode(rival) == others
        for edit in rival
        if edit["code"] == WrongPadMode.code
    ]
    of_all_axes = [f"'{mode}'" for mode in modes if isinstance(mode, str)]
    if len(of_all_axes) == len(modes):
        return f"the padding was filled by {' or '.join(of_all_axes)}"
    if len(modes) == 1:
        asked = next(e for e in finding.edits if e["code"] == WrongPadMode.code)
        return sentence({**asked, "obtained": modes[0]})
    if not of_all_axes:
        return "the padding was filled by other modes along some axes"
    return f"the padding was filled by {' or '.join(of_all_axes)}, along all axes or some"


def conclusion(rows: Iterable[Row], *, failed: bool = False) -> str:
    """The last line: how many rows agree, how many do not and why, how many have no output.

    With `failed` the exit code is 1; agreement up to rounding is one where --fail-on asks for it.
    """
    rows = list(rows)
    if not rows:
        return "nothing was compared"
    agreeing = [row for row in rows if row.verdict in AGREEING]
    if len(agreeing) == len(rows):
        words = {1: "it agrees", 2: "both agree"}.get(len(rows), f"all {len(rows)} agree")
        return f"{words} up to rounding" if failed else words
    groups = [
        (state, group)
        for state in VERBS
        if (group := [row for row in rows if (row.verdict or row.answer.status) == state])
    ]
    if len(rows) == 1:
        state, group = groups[0]
        return f"it {_verb_and_causes(state, group)}"
    agree = "agrees" if len(agreeing) == 1 else "agree"
    parts = [f"{len(agreeing)} of {len(rows)} {agree}"]
    parts += [f"{len(group)} {_verb_and_causes(state, group)}" for state, group in groups]
    return "; ".join(parts)


def _verb_and_causes(state: str, rows: list[Row]) -> str:
    verb = VERBS[state][0 if len(rows) == 1 else 1]
    causes = _causes(rows)
    return f"{verb}: {causes}" if causes else verb


def _causes(rows: list[Row]) -> str:
    """The first findings of the rows, each once: `kernel flipped and bias missing, scaled`."""
    causes: dict[str, None] = {}
    for row in rows:
        if row.findings:
            names = dict.fromkeys(_edit_name(edit) for edit in row.findings[0].edits)
            causes[" and ".join(names)] = None
        elif row.verdict == "different":
            causes["unexplained"] = None
    named = list(filter(None, causes))
    return ", ".join(named[:MAX_CAUSES]) + (", ..." if len(named) > MAX_CAUSES else "")


def _edit_name(edit: Edit) -> str:
    """A name for an edit, shorter than its sentence: the code, or what precision was reduced to."""
    if edit["code"] == "reduced-precision" and "obtained" in edit:
        return str(edit["obtained"])
    return str(edit["code"]).replace("-", " ")


def exit_code_words(report: Report) -> str:
    """What the exit code of this run means."""
    verdicts = {row.verdict for row in report.rows if row.verdict}
    if report.exit_code == 0:
        if not verdicts <= set(AGREEING):
            return "no verdict that --fail-on counts as a failure"
        return "all agree" if all(row.verdict for row in report.rows) else "all that ran agree"
    if report.exit_code == 1:
        if verdicts & {"different", "incomparable"}:
            return "at least one differs"
        return "at least one is less exact than --fail-on allows"
    return "a required backend or call could not run" if verdicts else "nothing was compared"
