"""A suite as a table for people: a line a case, then what those that fail have to tell."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import replace

from rich.console import Console
from rich.text import Text

from convdiff.records import Row
from convdiff.report import figures, words
from convdiff.report.details import details
from convdiff.report.page import Page
from convdiff.report.table import heading
from convdiff.suite_result import CaseResult, Suite

GAP = "  "
SIGNS = {
    "agrees": ("identical", "good"),
    "allowed": ("reduced-precision", "warn"),
    "differs": ("different", "bad"),
    "fed wrong": ("different", "bad"),
    "lost": ("different", "bad"),
    "trouble": ("failed", "bad"),
}
NAME_LIMIT = 36
# Cases that are told in full; what comes beyond nobody reads in a terminal.
TOLD = 12
# Cases that agree are counted, not listed, where there are more than these.
LISTED = 60
# Causes named in the table, of a case that has several.
CAUSES = 3


def show(suite: Suite, console: Console) -> None:
    """Print it."""
    page = Page(console)
    console.print(page.show(lines(suite, page)), crop=False)


def render(suite: Suite, width: int, color: bool = False) -> str:
    """The same as text."""
    console = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=color,
        color_system="256" if color else None,
        no_color=not color,
        legacy_windows=False,
        _environ={},
    )
    with console.capture() as capture:
        show(suite, console)
    return "".join(f"{line}\n" for line in capture.get().rstrip("\n").split("\n"))


def render_case(case: CaseResult, width: int = 100) -> str:
    """A failing case in full, as plain text; its trouble where there is no report."""
    if case.report is None or case.failure_kind:
        return f"{summary(case)}\n"
    console = Console(
        file=io.StringIO(),
        width=width,
        no_color=True,
        color_system=None,
        legacy_windows=False,
        _environ={},
    )
    return "".join(f"{line.plain.rstrip()}\n" for line in _told(case, Page(console))[2:])


def lines(suite: Suite, page: Page) -> list[Text]:
    """All of it."""
    shown = [
        case
        for case in suite.cases
        if len(suite.cases) <= LISTED or case.state != "agrees" or case.stale
    ]
    made = _table(shown, page) if shown else []
    left = len(suite.cases) - len(shown)
    if left:
        made.append(
            page.text(
                f"{'and ' if shown else ''}{left:,} {'others agree' if shown else 'cases agree'}",
                "dim",
            )
        )
    alike: dict[str, list[CaseResult]] = {}
    for case in suite.cases:
        if case.exit_code and case.report is not None and not case.failure_kind:
            alike.setdefault(summary(case), []).append(case)
    for first, *others in list(alike.values())[:TOLD]:
        made += _told(first, page)
        if others:
            made += page.wrap(
                page.text(", ".join(other.name for other in others)),
                page.text("  the same in ", "dim"),
            )
    if len(alike) > TOLD:
        made += [
            Text(),
            page.text(
                f"and {len(alike) - TOLD:,} other causes: --html or --json has all of them", "dim"
            ),
        ]
    made += _small(suite, page)
    return [*made, Text(), *_closing(suite, page)]


def _table(cases: list[CaseResult], page: Page) -> list[Text]:
    width = min(
        max(4, *(len(words.literal(words.elide(case.name))) for case in cases)),
        max(12, min(NAME_LIMIT, page.width // 3)),
    )
    wide = (
        max(len(case.state) for case in cases if case.state != "allowed") + 2
        if any(case.failure_kind for case in cases)
        else 9
    )
    made = [
        page.text(
            f"{'case':<{width}}{GAP}{'result':<{wide}}{GAP}{'rounding units':>16}{GAP}outputs",
            "dim",
        )
    ]
    made.append(page.text(page.glyphs.rule * page.width, "dim"))
    for case in cases:
        glyph, style = SIGNS[case.state]
        name = page.text(words.elide(case.name), "strong")
        state = page.text(f"{page.glyphs.states[glyph]} {case.state}", style)
        figure = page.text(_units(case), "dim")
        first = Text()
        if name.cell_len > width:
            made += page.wrap(name)
            name = Text()
        first = (
            name
            + Text(" " * (width - name.cell_len) + GAP)
            + state
            + Text(" " * (wide - state.cell_len) + GAP)
        )
        first = first + Text(" " * max(0, 16 - figure.cell_len)) + figure + Text(GAP)
        said = page.text(summary(case))
        beside = page.wrap(said, first)
        # What would stand in a narrow column for many lines stands under the name instead.
        made += beside if len(beside) <= 2 else [_bare(first), *page.wrap(said, "  ")]
    return made


def _bare(line: Text) -> Text:
    line.rstrip()
    return line


def _units(case: CaseResult) -> str:
    errors = [row.error for row in (case.failing or case.rows) if row.error is not None]
    worst = max(errors, key=lambda error: error.units, default=None)
    return figures.units(worst.units, worst.terms) if worst else ""


def summary(case: CaseResult) -> str:
    """A case in a phrase: how many outputs agree, or which do not and why."""
    if case.trouble:
        return case.trouble
    if case.exit_code == 0 and case.notes:
        return "; ".join(case.notes)
    if case.exit_code == 0:
        said = f" ({', '.join(case.allowed)} allowed)" if case.allowed else ""
        return (
            words.conclusion(case.rows) + said
            if not case.allowed
            else f"{len(case.rows)} compared{said}"
        )
    groups: dict[str, list[str]] = {}
    for row in case.failing:
        groups.setdefault(cause(row), []).append(row.answer.name)
    told = [f"{', '.join(names)}: {why}" for why, names in groups.items()]
    more = [f"and {len(told) - CAUSES} more"] if len(told) > CAUSES else []
    return "; ".join([*told[:CAUSES], *more, *case.notes]) or words.conclusion(case.rows)


def cause(row: Row) -> str:
    """Why a row does not pass, in a few words."""
    if row.findings:
        return row.findings[0].summary
    if row.verdict is None:
        return f"{row.answer.status}{f', {row.answer.message.splitlines()[0]}' if row.answer.message else ''}"
    return row.message or str(row.verdict)


def _told(case: CaseResult, page: Page) -> list[Text]:
    """A failing case in full, as `run` tells it."""
    assert case.report is not None
    head = heading(replace(case.report.case, name="run"), page)
    told = details(case.failing, case.report.case.spec.output_layout, page)
    again = (
        page.wrap(page.text(case.report.command, "dim"), page.text("  again    ", "dim"))
        if case.place
        else []
    )
    return [
        Text(),
        page.text(page.glyphs.rule * page.width, "dim"),
        *_named(case, head, page),
        *told,
        *again,
    ]


def _named(case: CaseResult, head: list[Text], page: Page) -> list[Text]:
    """The heading, under the case's name and place; a single run has neither."""
    named = (
        page.wrap(page.text(case.name, "strong") + Text(GAP) + page.text(case.place, "dim"))
        if case.place
        else []
    )
    return [*named, *head]


def _small(suite: Suite, page: Page) -> list[Text]:
    said = [
        f"{case.place}: {case.name} allows {code}, which no longer occurs; take it out"
        for case in suite.cases
        for code in case.stale
    ]
    return (
        [Text()]
        + [line for note in (*said, *suite.notes) for line in page.wrap(page.text(note, "warn"))]
        if said or suite.notes
        else []
    )


def _closing(suite: Suite, page: Page) -> list[Text]:
    glyph, style = SIGNS[{0: "agrees", 1: "differs"}.get(suite.exit_code, "trouble")]
    made = page.wrap(
        page.text(conclusion(suite), "strong"), page.text(f"{page.glyphs.states[glyph]} ", style)
    )
    small = [f"exit code {suite.exit_code}: {MEANS[suite.exit_code]}"]
    if suite.seconds is not None:
        small.append(figures.seconds(suite.seconds))
    codes: Iterable[str] = (
        row.findings[0].codes[0] for case in suite.cases for row in case.failing if row.findings
    )
    first = next(iter(codes), None)
    if first:
        small.append(f"see convdiff explain {first}")
    return made + page.chunks(
        [page.text(part, "dim") for part in small], Text("  "), page.text(page.glyphs.dot, "dim")
    )


MEANS = {0: "all agree", 1: "at least one differs", 2: "a case could not be checked"}


def conclusion(suite: Suite) -> str:
    """How many cases there are, and what became of them."""
    total, counts = len(suite.cases), suite.counts
    passed = counts["agrees"] + counts["allowed"]
    if counts["fed wrong"] and passed + counts["fed wrong"] == total and suite.exit_code == 1:
        return (
            f"{'each' if total > 1 else 'it'} agrees by itself, but not what "
            f"{'they are' if total > 1 else 'it is'} fed"
        )
    if passed == total:
        return {0: "nothing was checked", 1: "the case agrees"}.get(
            total, f"all {total:,} cases agree"
        )
    parts = [f"{passed:,} of {total:,} cases {'agrees' if passed == 1 else 'agree'}"]
    if counts["differs"]:
        parts.append(f"{counts['differs']:,} {'differs' if counts['differs'] == 1 else 'differ'}")
    if counts["fed wrong"]:
        parts.append(f"{counts['fed wrong']:,} fed other inputs")
    if counts["lost"]:
        parts.append(f"{counts['lost']:,} without a counterpart")
    if counts["trouble"]:
        parts.append(f"{counts['trouble']:,} could not be checked")
    return "; ".join(parts)
