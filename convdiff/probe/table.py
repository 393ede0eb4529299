"""A probe's outcome for people: one property a line."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from convdiff.probe.outcome import ProbeOutcome
from convdiff.probe.words import options, proof, properties
from convdiff.report.page import Page
from convdiff.report.palette import STATES

INDENT = "  "


def show(outcome: ProbeOutcome, console: Console) -> None:
    """Print it."""
    page = Page(console)
    console.print(page.show(lines(outcome, page)), crop=False)


def lines(outcome: ProbeOutcome, page: Page) -> list[Text]:
    """All of it: whose function, its properties, how to say them, what proves them, the conclusion."""
    name = page.join(
        [
            page.text(outcome.backend, "strong"),
            page.text(outcome.version or "", "dim"),
            page.text(outcome.code),
        ],
        " ",
    )
    made = [
        *page.wrap(name, rest=INDENT),
        *page.wrap(page.text(outcome.arrays, "dim"), INDENT),
        Text(),
    ]
    found = outcome.found
    if found is None:
        made += _listed([(key, value, "") for key, value in outcome.known.items()], page)
        return [*made, *([Text()] if outcome.known else []), *_conclusion(outcome, page)]
    made += [*_listed(properties(found), page), Text()]
    beside = [word for word in _beside(outcome) if word]
    words = ["convdiff run INPUT KERNEL", *options(found)]
    made += page.chunks(
        [page.text(word, "accent") for word in words], Text(INDENT), " ", rest=INDENT * 2
    )
    if beside:
        made += page.wrap(page.text(f"and then {', '.join(beside)}"), INDENT)
    made += page.wrap(page.text(proof(found), "dim"), INDENT)
    for note in found.notes:
        made += page.wrap(page.text(note, "dim"), INDENT)
    return [*made, Text(), *_conclusion(outcome, page)]


def _beside(outcome: ProbeOutcome) -> list[str]:
    assert outcome.found is not None
    after = outcome.found.after
    slope = {0.0: "relu", -1.0: "the absolute value"}.get(
        after.slope, f"leaky relu ({after.slope:.4g})"
    )
    return [
        f"times {after.factor:.6g}" if after.factor != 1 else "",
        slope if after.slope != 1 else "",
    ]


def _listed(entries: list[tuple[str, str, str]], page: Page) -> list[Text]:
    width = max((len(name) for name, _, _ in entries), default=0)
    middle = max((len(value) for _, value, remark in entries if remark), default=0)
    made = []
    for name, value, remark in entries:
        start = page.text(INDENT + name.ljust(width) + INDENT, "dim") + page.text(
            value.ljust(middle) if remark else value
        )
        made += page.wrap(page.text(remark, "dim"), start + Text(INDENT)) if remark else [start]
    return made


def _conclusion(outcome: ProbeOutcome, page: Page) -> list[Text]:
    state = {0: "identical", 1: "different", 2: "failed"}[outcome.exit_code]
    sign = page.text(f"{page.glyphs.states[state]} ", STATES[state])
    said = ""
    if outcome.found is None:
        text = f"not identified as a convolution: {outcome.why}"
    elif outcome.differences:
        text = "; ".join(
            f"{one.option} {one.given}".strip() + f" was said: it is {one.found}"
            for one in outcome.differences
        )
    else:
        text = "identified"
    if outcome.said and outcome.found is not None:
        said = f"as said: {', '.join(outcome.said)}"
    end = {0: "identified", 1: "it differs from what was said", 2: "not identified"}[
        outcome.exit_code
    ]
    made = page.wrap(page.text(text, "strong"), sign)
    small = [
        f"exit code {outcome.exit_code}: {end}",
        f"{outcome.questions} questions",
        *([said] if said else []),
    ]
    return made + page.chunks(
        [page.text(part, "dim") for part in small], Text(INDENT), page.text(page.glyphs.dot, "dim")
    )
