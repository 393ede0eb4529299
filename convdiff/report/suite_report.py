"""A suite as a table for people: a line for each case, then the failing cases in full."""

from __future__ import annotations

from dataclasses import replace

from rich.console import Console
from rich.text import Text

from convdiff.report import number_format, suite_words
from convdiff.report.escape import printable, shorten
from convdiff.report.page import Page
from convdiff.report.row_details import row_details
from convdiff.report.run_report import footer, heading, text_console
from convdiff.suite_result import CaseResult, Suite

GAP = "  "
# The symbol (that of a verdict or status) and the style of each state of a case.
STATE_GLYPHS = {
    "agrees": ("identical", "good"),
    "allowed": ("reduced-precision", "warn"),
    "differs": ("different", "bad"),
    "fed wrong": ("different", "bad"),
    "lost": ("different", "bad"),
    "trouble": ("failed", "bad"),
}
MIN_NAME, MAX_NAME, MIN_STATE, UNITS_WIDTH = 12, 36, 9, 16
# How many cases are shown in full; nobody reads more in a terminal.
MAX_CASES_IN_TERMINAL = 12
# Up to this many cases, those that agree are listed too; beyond it they are counted.
MAX_LISTED_CASES = 60


def show(suite: Suite, console: Console) -> None:
    """Print the suite."""
    page = Page(console)
    console.print(page.show(suite_lines(suite, page)), crop=False)


def render(suite: Suite, width: int, color: bool = False) -> str:
    """The suite as text, with ANSI colors or without any control codes."""
    console = text_console(width, color)
    with console.capture() as capture:
        show(suite, console)
    return capture.get().rstrip("\n") + "\n"


def render_case(case: CaseResult, width: int = 100) -> str:
    """A failing case in full as plain text; its summary where there is no report to show."""
    if case.report is None or case.failure_kind:
        return f"{suite_words.summary(case)}\n"
    page = Page(text_console(width, color=False))
    return "".join(f"{line.plain.rstrip()}\n" for line in _case_in_full(case, page))


def suite_lines(suite: Suite, page: Page) -> list[Text]:
    """The lines of the whole report."""
    listed = [
        case
        for case in suite.cases
        if len(suite.cases) <= MAX_LISTED_CASES or case.state != "agrees" or case.stale
    ]
    lines = _case_table(listed, page) if listed else []
    left = len(suite.cases) - len(listed)
    if left:
        words = f"and {left:,} others agree" if listed else f"{left:,} cases agree"
        lines.append(page.text(words, "dim"))
    lines += _failing_cases(suite, page)
    notes = [
        *(
            f"{case.place}: {case.name} {words}"
            for case in suite.cases
            for words in suite_words.stale_words(case)
        ),
        *suite.notes,
    ]
    if notes:
        lines.append(Text())
    for note in notes:
        lines += page.wrap(page.text(note, "warn"))
    return [*lines, Text(), *_closing(suite, page)]


def _case_table(cases: list[CaseResult], page: Page) -> list[Text]:
    """A line for each case: name, state, largest error, summary."""
    longest = max(4, *(len(printable(shorten(case.name))) for case in cases))
    name_width = min(longest, max(MIN_NAME, min(MAX_NAME, page.width // 3)))
    state_width = max(MIN_STATE, *(len(suite_words.state_words(case)) + 2 for case in cases))
    header = f"{'case':<{name_width}}{GAP}{'result':<{state_width}}{GAP}"
    lines = [
        page.text(f"{header}{'rounding units':>{UNITS_WIDTH}}{GAP}outputs", "dim"),
        page.text(page.glyphs.rule * page.width, "dim"),
    ]
    for case in cases:
        glyph, style = STATE_GLYPHS[case.state]
        name = page.text(shorten(case.name), "strong")
        state = page.text(f"{page.glyphs.states[glyph]} {suite_words.state_words(case)}", style)
        units = page.text(suite_words.units_words(case), "dim")
        if name.cell_len > name_width:
            lines += page.wrap(name)
            name = Text()
        columns = _padded(name, name_width) + _padded(state, state_width)
        columns = columns + Text(" " * max(0, UNITS_WIDTH - units.cell_len)) + units + Text(GAP)
        summary = page.text(suite_words.summary(case))
        beside = page.wrap(summary, columns)
        if len(beside) > 2:
            # Under the name it takes fewer lines than in a narrow column.
            columns.rstrip()
            beside = [columns, *page.wrap(summary, "  ")]
        lines += beside
    return lines


def _padded(cell: Text, width: int) -> Text:
    return cell + Text(" " * (width - cell.cell_len) + GAP)


def _failing_cases(suite: Suite, page: Page) -> list[Text]:
    """The failing cases in full; cases with the same summary are shown once."""
    alike: dict[str, list[CaseResult]] = {}
    for case in suite.cases:
        if case.exit_code and case.report is not None and not case.failure_kind:
            alike.setdefault(suite_words.summary(case), []).append(case)
    lines: list[Text] = []
    for first, *others in list(alike.values())[:MAX_CASES_IN_TERMINAL]:
        lines += [Text(), page.text(page.glyphs.rule * page.width, "dim")]
        lines += _case_in_full(first, page)
        if others:
            names = page.text(", ".join(other.name for other in others))
            lines += page.wrap(names, page.text("  the same in ", "dim"))
    left = len(alike) - MAX_CASES_IN_TERMINAL
    if left > 0:
        words = f"and {left:,} other causes: --html and --json have all of them"
        lines += [Text(), page.text(words, "dim")]
    return lines


def _case_in_full(case: CaseResult, page: Page) -> list[Text]:
    """A failing case as `run` shows it, with its name, its place and the command to repeat it.

    The case of a single run has none of these.
    """
    assert case.report is not None
    lines: list[Text] = []
    if case.place:
        lines += page.wrap(
            page.text(case.name, "strong") + Text(GAP) + page.text(case.place, "dim")
        )
    lines += heading(replace(case.report.case, name="run"), page)
    lines += row_details(case.failing, case.report.case.spec.output_layout, page)
    if case.place:
        lines += page.wrap(page.text(case.report.command, "dim"), page.text("  repeat   ", "dim"))
    return lines


def _closing(suite: Suite, page: Page) -> list[Text]:
    """The conclusion, and the meaning of the exit code."""
    glyph, style = STATE_GLYPHS[suite_words.suite_state(suite)]
    conclusion = page.text(suite_words.conclusion(suite), "strong")
    lines = page.wrap(conclusion, page.text(f"{page.glyphs.states[glyph]} ", style))
    parts = [f"exit code {suite.exit_code}: {suite_words.EXIT_CODES[suite.exit_code]}"]
    if suite.seconds is not None:
        parts.append(number_format.duration(suite.seconds))
    codes = (
        row.findings[0].codes[0] for case in suite.cases for row in case.failing if row.findings
    )
    code = next(codes, None)
    if code:
        parts.append(f"see convdiff explain {code}")
    return lines + footer(parts, page)
