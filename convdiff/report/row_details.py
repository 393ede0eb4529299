"""The part of a report under the table: a block for each row that differs.

A block has the finding, where it shows, a map, rival explanations, notes, and the fix as code.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.text import Text

from convdiff.records import Answer, Finding, Row
from convdiff.report import run_words
from convdiff.report.block_map import block_map
from convdiff.report.escape import shorten
from convdiff.report.highlight import python_lines
from convdiff.report.page import Page
from convdiff.report.palette import STATES

LABEL_WIDTH = 9
# How many lines of a fix, and of a failed backend's stderr, are shown.
MAX_FIX_LINES, MAX_STDERR_LINES = 30, 12
# How many further findings of a row are mentioned.
MAX_OTHER_FINDINGS = 2
EXPLAINED_VERDICTS = ("reduced-precision", "different", "incomparable")
# Which fix to show where it is not known in which framework an output was made, likeliest first, by
# the layout of the output.
CHANNELS_LAST = ("tensorflow", "keras", "jax", "numpy", "torch")
CHANNELS_FIRST = ("torch", "jax", "numpy", "theano", "tensorflow")


def row_details(rows: Iterable[Row], layout: str, page: Page) -> list[Text]:
    """The blocks of these rows, with an empty line before each.

    Rows that would have the same block share one.  `layout` is that of the output.
    """
    shared: dict[tuple[str, ...], tuple[list[Row], list[Text]]] = {}
    for row in rows:
        body = _body(row, page)
        if body:
            key = (row.verdict or row.answer.status, *(line.plain for line in body))
            shared.setdefault(key, ([], body))[0].append(row)
    lines: list[Text] = []
    for alike, body in shared.values():
        state = alike[0].verdict or alike[0].answer.status
        glyph = page.text(f"{page.glyphs.states[state]} ", STATES[state])
        names = [page.text(shorten(row.answer.name), "strong") for row in alike]
        lines += [Text(), *page.wrap(page.join(names, ", "), glyph), *body]
        # The fix for a framework that is known, if any.
        fixed = next((row for row in alike if row.answer.framework), alike[0])
        if fixed.findings and fixed.verdict in EXPLAINED_VERDICTS:
            lines += _fix(fixed.findings[0], fixed.answer, layout, page)
    return lines


def _body(row: Row, page: Page) -> list[Text]:
    """The lines of a block without its heading and its fix; none where there is nothing to say."""
    if row.verdict is None:
        return _stderr(row, page)
    if row.verdict not in EXPLAINED_VERDICTS:
        return page.wrap(page.text(row.message), "  ") if row.message else []
    if not row.findings:
        message = row.message or run_words.NO_EXPLANATION
        lines = page.wrap(page.text(message, lines=True), "  ")
        # The message often says where already.
        lines += _where(row, page) if (row.where or "") not in message else []
        return [*lines, *_largest(row, page), *_map(row, page)]
    finding = row.findings[0]
    lines = []
    if finding.options and row.answer.kind != "backend":
        words = run_words.agreeing_options_words(finding.options)
        lines += page.wrap(page.text(words, "strong"), "  ")
    lines += page.wrap(page.text(finding.summary), "  ")
    lines += [*_where(row, page), *_largest(row, page), *_map(row, page)]
    codes = [page.text(code, "dim") for code in dict.fromkeys(finding.codes)]
    lines += _labelled("code", page.join(codes), page)
    if finding.rivals:
        lines += _labelled("or", page.text(run_words.rivals_words(finding)), page)
    for other in row.findings[1 : 1 + MAX_OTHER_FINDINGS]:
        lines += _labelled("or", page.text(other.summary), page)
    for note in (*finding.notes, *([row.message] if row.message else ())):
        lines += _labelled("note", page.text(note), page)
    return lines


def _where(row: Row, page: Page) -> list[Text]:
    return _labelled("where", page.text(row.where), page) if row.where else []


def _largest(row: Row, page: Page) -> list[Text]:
    """The element with the largest error; for reduced precision none is of interest."""
    if row.error is None or not row.error.worst or row.verdict == "reduced-precision":
        return []
    return _labelled("largest", page.text(run_words.largest_error(row.error)), page)


def _map(row: Row, page: Page) -> list[Text]:
    """Where the output differs in space, over all channels."""
    lines = block_map(row.picture, page) if row.picture else []
    label = page.text(f"  {'map':<{LABEL_WIDTH}}", "dim")
    return [(Text(" " * label.cell_len) if at else label) + line for at, line in enumerate(lines)]


def _fix(finding: Finding, answer: Answer, layout: str, page: Page) -> list[Text]:
    lines: list[Text] = []
    for framework in shown_fixes(finding.fix, answer, layout):
        has_others = answer.framework != framework and len(finding.fix) > 1
        others = "; for another framework: convdiff code --for NAME" if has_others else ""
        lines += _labelled("fix", page.text(f"in {framework}{others}", "dim"), page)
        indent = " " * (LABEL_WIDTH + 2)
        code = python_lines(finding.fix[framework], page, indent)
        lines += code[:MAX_FIX_LINES]
        left = len(code) - MAX_FIX_LINES
        if left > 0:
            lines.append(page.text(f"{indent}# {left} more lines: --json has all of it", "comment"))
    return lines


def shown_fixes(fix: dict[str, str], answer: Answer, layout: str) -> Sequence[str]:
    """The frameworks whose fix to show: the row's own or, where that is unknown, the likeliest."""
    own = answer.framework
    if own is not None and own in fix:
        return (own,)
    likely = CHANNELS_LAST if layout.endswith("C") else CHANNELS_FIRST
    return [name for name in (*likely, *sorted(fix)) if name in fix][:1]


def _stderr(row: Row, page: Page) -> list[Text]:
    """The end of a reason of several lines, whose first line stands in the table."""
    lines = (row.answer.message or "").strip().splitlines()[1:]
    return [
        wrapped
        for line in lines[-MAX_STDERR_LINES:]
        for wrapped in page.wrap(page.text(line.expandtabs(4), "dim"), "  ")
    ]


def _labelled(label: str, text: Text, page: Page) -> list[Text]:
    return page.wrap(text, page.text(f"  {label:<{LABEL_WIDTH}}", "dim"))
