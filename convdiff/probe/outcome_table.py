"""The outcome of a probe for a terminal: one property per line, then the conclusion."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from convdiff.probe.outcome import ProbeOutcome
from convdiff.probe.outcome_text import options, proof, properties
from convdiff.report.page import Page
from convdiff.report.palette import STATES

INDENT = "  "
# By exit code: the state whose sign and color the conclusion has, and what the code means.
STATE_OF_EXIT_CODE = {0: "identical", 1: "different", 2: "failed"}
EXIT_CODE_MEANINGS = {
    0: "identified",
    1: "it differs from the given options",
    2: "not identified",
}


def show(outcome: ProbeOutcome, console: Console) -> None:
    """Print the outcome."""
    page = Page(console)
    console.print(page.show(lines(outcome, page)), crop=False)


def lines(outcome: ProbeOutcome, page: Page) -> list[Text]:
    """The lines: the function, its properties, the options that express it, the conclusion."""
    name = page.join(
        [
            page.text(outcome.backend, "strong"),
            page.text(outcome.version or "", "dim"),
            page.text(outcome.code),
        ],
        " ",
    )
    heading = [
        *page.wrap(name, rest=INDENT),
        *page.wrap(page.text(outcome.arrays, "dim"), INDENT),
        Text(),
    ]
    if outcome.found is None:
        known = _table([(key, value, "") for key, value in outcome.properties.items()], page)
        blank = [Text()] if outcome.properties else []
        return [*heading, *known, *blank, *_conclusion(outcome, page)]
    body = [*_table(properties(outcome.found), page), Text()]
    words = ["convdiff run INPUT KERNEL", *options(outcome.found)]
    body += page.chunks(
        [page.text(word, "accent") for word in words], Text(INDENT), " ", rest=INDENT * 2
    )
    further = _further_steps(outcome)
    if further:
        body += page.wrap(page.text(f"and then {', '.join(further)}"), INDENT)
    body += page.wrap(page.text(proof(outcome.found), "dim"), INDENT)
    for note in outcome.found.notes:
        body += page.wrap(page.text(note, "dim"), INDENT)
    return [*heading, *body, Text(), *_conclusion(outcome, page)]


def _further_steps(outcome: ProbeOutcome) -> list[str]:
    """What the function does after the convolution, which no option of `convdiff run` expresses."""
    assert outcome.found is not None
    epilogue = outcome.found.epilogue
    steps = []
    if epilogue.factor != 1:
        steps.append(f"times {epilogue.factor:.6g}")
    if epilogue.negative_slope != 1:
        names = {0.0: "relu", -1.0: "the absolute value"}
        leaky = f"leaky relu ({epilogue.negative_slope:.4g})"
        steps.append(names.get(epilogue.negative_slope, leaky))
    return steps


def _table(entries: list[tuple[str, str, str]], page: Page) -> list[Text]:
    name_width = max((len(name) for name, _, _ in entries), default=0)
    value_width = max((len(value) for _, value, remark in entries if remark), default=0)
    rows = []
    for name, value, remark in entries:
        start = page.text(INDENT + name.ljust(name_width) + INDENT, "dim") + page.text(
            value.ljust(value_width) if remark else value
        )
        rows += page.wrap(page.text(remark, "dim"), start + Text(INDENT)) if remark else [start]
    return rows


def _conclusion(outcome: ProbeOutcome, page: Page) -> list[Text]:
    state = STATE_OF_EXIT_CODE[outcome.exit_code]
    sign = page.text(f"{page.glyphs.states[state]} ", STATES[state])
    if outcome.found is None:
        text = f"not identified as a convolution: {outcome.reason}"
    elif outcome.mismatches:
        text = "; ".join(
            f"given {f'{mismatch.option} {mismatch.given}'.strip()}, found {mismatch.found}"
            for mismatch in outcome.mismatches
        )
    else:
        text = "identified"
    details = [
        f"exit code {outcome.exit_code}: {EXIT_CODE_MEANINGS[outcome.exit_code]}",
        f"{outcome.calls} calls",
    ]
    if outcome.agreeing and outcome.found is not None:
        details.append(f"as given: {', '.join(outcome.agreeing)}")
    return page.wrap(page.text(text, "strong"), sign) + page.chunks(
        [page.text(part, "dim") for part in details],
        Text(INDENT),
        page.text(page.glyphs.dot, "dim"),
    )
