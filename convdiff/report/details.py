"""Under the table: for each row that differs, what was found, where it shows, what else it could
be, and the fix as code.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.text import Text

from convdiff.records import Answer, Finding, Row
from convdiff.report import figures, words
from convdiff.report.blocks import blocks
from convdiff.report.highlight import python
from convdiff.report.page import Page
from convdiff.report.palette import STATES

LABEL = 9
LONGEST = 30
TOLD = ("reduced-precision", "different", "incomparable")
# What to show of a fix where nobody knows in which framework an output was made: by the layout of
# its arrays.
CHANNELS_LAST = ("tensorflow", "keras", "jax", "numpy", "torch")
CHANNELS_FIRST = ("torch", "jax", "numpy", "theano", "tensorflow")


def details(rows: Iterable[Row], layout: str, page: Page) -> list[Text]:
    """A block for each row that has something to tell, those of one cause together, an empty line
    before each.
    """
    blocks: dict[str, tuple[list[Row], list[Text]]] = {}
    for row in rows:
        body = _body(row, page)
        if body:
            key = "\n".join([row.verdict or row.answer.status, *(line.plain for line in body)])
            blocks.setdefault(key, ([], body))[0].append(row)
    made: list[Text] = []
    for together, body in blocks.values():
        # Of several rows with one cause, the fix of the one whose framework is known.
        fixed = next((row for row in together if _framework(row.answer)), together[0])
        body = body + (
            _fix(fixed.findings[0], fixed.answer, layout, page)
            if fixed.findings and fixed.verdict in TOLD
            else []
        )
        state = together[0].verdict or together[0].answer.status
        sign = page.text(f"{page.glyphs.states[state]} ", STATES[state])
        names = [page.text(words.elide(row.answer.name), "strong") for row in together]
        made += [Text(), *page.wrap(page.join(names, ", "), sign), *body]
    return made


def _body(row: Row, page: Page) -> list[Text]:
    if row.verdict is None:
        return _stderr(row, page)
    if row.verdict not in TOLD:
        return page.wrap(page.text(row.message), "  ") if row.message else []
    if not row.findings:
        said = row.message or "no explanation: none of the known causes reproduces this output"
        return [
            *page.wrap(page.text(said, lines=True), "  "),
            *_where(row, page, said),
            *_map(row, page),
        ]
    finding = row.findings[0]
    made = page.wrap(page.text(finding.summary), "  ")
    made += _where(row, page)
    made += _map(row, page)
    made += _labelled(
        "code", page.join([page.text(code, "dim") for code in dict.fromkeys(finding.codes)]), page
    )
    if finding.rivals:
        made += _labelled(
            "or",
            page.text(f"these arrays cannot tell this from: {words.rivals_words(finding.rivals)}"),
            page,
        )
    for other in row.findings[1:3]:
        made += _labelled("or", page.text(other.summary), page)
    for note in (*finding.notes, *([row.message] if row.message else ())):
        made += _labelled("note", page.text(note), page)
    return made


def _where(row: Row, page: Page, said: str = "") -> list[Text]:
    made = (
        _labelled("where", page.text(row.where), page)
        if row.where and row.where not in said
        else []
    )
    error = row.error
    if error is None or not error.worst or row.verdict == "reduced-precision":
        return made
    most = (
        f"{figures.index(error.worst)}: obtained {figures.value(error.obtained)}, expected "
        f"{figures.value(error.reference)}"
    )
    return made + _labelled("largest", page.text(most), page)


def _map(row: Row, page: Page) -> list[Text]:
    """Where it differs, drawn: space only, all channels together."""
    drawn = blocks(row.picture, page) if row.picture else []
    label = page.text(f"  {'map':<{LABEL}}", "dim")
    return [(Text(" " * label.cell_len) if at else label) + line for at, line in enumerate(drawn)]


def _fix(finding: Finding, answer: Answer, layout: str, page: Page) -> list[Text]:
    made: list[Text] = []
    for framework in fixes(finding.fix, answer, layout):
        other = (
            ""
            if _framework(answer) == framework or len(finding.fix) == 1
            else "; in another: convdiff code --for NAME"
        )
        made += _labelled("fix", page.text(f"in {framework}{other}", "dim"), page)
        indent = " " * (LABEL + 2)
        code = python(finding.fix[framework], page, indent)
        made += code[:LONGEST]
        if len(code) > LONGEST:
            made.append(
                page.text(
                    f"{indent}# {len(code) - LONGEST} more lines: --json has all of it", "comment"
                )
            )
    return made


def fixes(fix: dict[str, str], answer: Answer, layout: str) -> Sequence[str]:
    """The frameworks whose fix to show: the row's own; where that is not known, the likeliest one."""
    own = _framework(answer)
    if own in fix:
        return (own,)
    likely = CHANNELS_LAST if layout.endswith("C") else CHANNELS_FIRST
    return [name for name in (*likely, *sorted(fix)) if name in fix][:1]


def _framework(answer: Answer) -> str:
    """torch, for torch@1.13 and torch:cpu/native too."""
    return (answer.backend or "").split("@")[0].split(":")[0]


def _stderr(row: Row, page: Page) -> list[Text]:
    """The rest of a reason of several lines; its first line stands in the table."""
    lines = (row.answer.message or "").strip().splitlines()
    return [
        shown
        for line in lines[1:][-12:]
        for shown in page.wrap(page.text(line.expandtabs(4), "dim"), "  ")
    ]


def _labelled(label: str, text: Text, page: Page) -> list[Text]:
    return page.wrap(text, page.text(f"  {label:<{LABEL}}", "dim"))
