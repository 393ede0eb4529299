"""What a report says in words, without colour or layout: the convolution, an edit, the conclusion,
the exit code.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from convdiff.diagnose.hypotheses.registry import sentence
from convdiff.records import Edit, Report, Row
from convdiff.spec.conv_spec import ConvSpec, numbers_text, pairs_text

AGREE = ("identical", "rounding")


def literal(text: object, lines: bool = False) -> str:
    r"""A stranger's text made harmless: whatever is not a visible character or a space as `\x1b`;
    with `lines`, newlines stay.
    """
    text = str(text)
    if lines:
        text = text.replace("\r\n", "\n").expandtabs(4)
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or (lines and char == "\n") else _escaped(char) for char in text
    )


def _escaped(char: str) -> str:
    return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(char) or (
        f"\\x{ord(char):02x}"
        if ord(char) < 256
        else f"\\u{ord(char):04x}"
        if ord(char) < 65536
        else f"\\U{ord(char):08x}"
    )


def elide(text: str, limit: int = 240) -> str:
    """The text without its middle where it is longer than anyone reads."""
    return text if len(text) <= limit else f"{text[: limit // 2 - 3]} ... {text[3 - limit // 2 :]}"


Arrays = list[tuple[str, str, str]]
Settings = list[tuple[str, str]]


def spec_words(spec: ConvSpec) -> tuple[str, Arrays, Settings]:
    """The convolution for a reader: the operation, (role, layout, shape) of each array, and (name,
    value) of each setting.

    Stride, padding and dtype are always said, the others where they do something; a name is empty
    where the value says it.
    """
    arrays = [
        (role, getattr(spec, f"{role}_layout"), "x".join(map(str, spec.shape(role))))
        for role in ("input", "kernel", "output")
    ]
    fill = f" {spec.pad_mode}" if spec.pad_mode != "constant" else ""
    settings = [("stride", numbers_text(spec.stride)), ("padding", pairs_text(spec.padding) + fill)]
    for name, numbers, none in (
        ("dilation", spec.dilation, 1),
        ("input dilation", spec.input_dilation, 1),
        ("output padding", spec.output_padding, 0),
    ):
        if max(numbers) > none:
            settings.append((name, numbers_text(numbers)))
    if "M" in spec.kernel_layout:
        settings.append(("", "depthwise"))
    elif spec.groups > 1:
        settings.append(("groups", f"{spec.groups}{' (depthwise)' if spec.depthwise else ''}"))
    settings += [
        ("", said)
        for said, true in (("kernel flipped", spec.flip), ("with bias", spec.bias))
        if true
    ]
    return (
        f"conv{spec.rank}d" + (" transposed" if spec.transposed else ""),
        arrays,
        [*settings, ("", spec.dtype)],
    )


def rivals_words(rivals: Sequence[Sequence[Edit]], most: int = 4) -> str:
    """The other explanations that fit, a few of them."""
    said = "; or ".join(" and ".join(sentence(edit) for edit in rival) for rival in rivals[:most])
    return f"{said}; and {len(rivals) - most} more" if len(rivals) > most else said


def conclusion(rows: Iterable[Row], *, failed: bool = False) -> str:
    """The last line: how many agree, how many do not and why, what could not be asked.

    `failed` is whether the exit code is 1, which agreement up to rounding may have, if that was
    asked.
    """
    rows = list(rows)
    if not rows:
        return "nothing was compared"
    agree = [row for row in rows if row.verdict in AGREE]
    if len(agree) == len(rows):
        who = (
            "it agrees"
            if len(rows) == 1
            else "both agree"
            if len(rows) == 2
            else f"all {len(rows)} agree"
        )
        return f"{who} up to rounding" if failed else who
    parts = [f"{len(agree)} of {len(rows)} {_verb(agree, 'agrees', 'agree')}"]
    groups = {
        "different": ("differs", "differ"),
        "incomparable": ("cannot be compared",) * 2,
        "reduced-precision": ("has reduced precision", "have reduced precision"),
        "unavailable": ("is unavailable", "are unavailable"),
        "unsupported": ("is unsupported", "are unsupported"),
        "failed": ("failed",) * 2,
        "crashed": ("crashed",) * 2,
        "timeout": ("timed out",) * 2,
    }
    for state, (one, many) in groups.items():
        found = [row for row in rows if (row.verdict or row.answer.status) == state]
        if found:
            why = _causes(found)
            parts.append(f"{len(found)} {_verb(found, one, many)}{f': {why}' if why else ''}")
    return f"it {parts[1][2:]}" if len(rows) == 1 else "; ".join(parts)


def _verb(rows: list[Row], one: str, many: str) -> str:
    return one if len(rows) == 1 else many


def _causes(rows: list[Row]) -> str:
    """The first findings of the rows, each once: `kernel flipped and bias missing, wrong padding`."""
    causes: list[str] = []
    for row in rows:
        if row.findings:
            cause = " and ".join(dict.fromkeys(_cause(edit) for edit in row.findings[0].edits))
        else:
            cause = "unexplained" if row.verdict == "different" else ""
        if cause and cause not in causes:
            causes.append(cause)
    return ", ".join(causes[:4]) + (", ..." if len(causes) > 4 else "")


def _cause(edit: Edit) -> str:
    if edit["code"] == "reduced-precision" and "obtained" in edit:
        return str(edit["obtained"])
    return str(edit["code"]).replace("-", " ")


def exit_words(report: Report) -> str:
    """What the exit code means here."""
    verdicts = {row.verdict for row in report.rows if row.verdict}
    if report.exit_code == 0:
        whole = all(row.verdict for row in report.rows)
        agree = "all agree" if whole else "all that ran agree"
        return agree if verdicts <= set(AGREE) else "nothing that --fail-on counts as a failure"
    if report.exit_code == 1:
        return (
            "at least one differs"
            if verdicts & {"different", "incomparable"}
            else "at least one is less exact than --fail-on allows"
        )
    return (
        "a backend or call that is required could not run" if verdicts else "nothing was compared"
    )
