"""The suite as one HTML page: a table, then each failing case with findings, fix and pictures.

The page is self-contained: it has no script and loads nothing, and its policy forbids both to
whatever might slip in.  Every text from outside goes through `_text`.
"""

from __future__ import annotations

import math
from html import escape
from importlib.resources import files

from convdiff import __version__
from convdiff.picture import Grid, Picture
from convdiff.records import Finding, Row
from convdiff.report import html_pictures, number_format, run_words, suite_words
from convdiff.report.escape import printable
from convdiff.report.row_details import shown_fixes
from convdiff.suite_result import CaseResult, Suite

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
STATE_SYMBOLS = {
    "agrees": "✓",
    "allowed": "↓",
    "differs": "✗",
    "fed wrong": "✗",
    "lost": "✗",
    "trouble": "!",
}
# How many cases are shown in full: nobody reads more, and browsers slow down.
MAX_CASES_ON_PAGE = 400
# Up to this many cases that agree are shown unfolded, where none fails.
MAX_UNFOLDED_CASES = 20
# A map that is wider than this many times its height is drawn taller than its cells are wide.
MAX_ASPECT_RATIO = 12
# Palette entries that the legend explains.
LEGEND = ((1, "rounding"), (4, "just beyond the bound"), (6, "×100"), (9, "×10⁷ and more, NaN"))


def render(suite: Suite) -> str:
    """The page."""
    style = files("convdiff.report").joinpath("html_report.css").read_text(encoding="utf-8")
    state, conclusion = suite_words.suite_state(suite), _text(suite_words.conclusion(suite))
    failing = [case for case in suite.cases if case.exit_code]
    seconds = "" if suite.seconds is None else f" · {number_format.duration(suite.seconds)}"
    parts = [
        "<!doctype html>",
        '<html lang="en">',
        '<head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta '
        'name="color-scheme" content="light dark">',
        f"<title>convdiff: {conclusion}</title>",
        f"<style>{style}</style></head>",
        "<body><header>",
        f'<h1 class="{state}"><span>{STATE_SYMBOLS[state]}</span> {conclusion}</h1>',
        f"<p><code>{_text(suite.command)}</code></p>",
        f"<p class=dim>exit code {suite.exit_code}: {suite_words.EXIT_CODES[suite.exit_code]}"
        f"{seconds} · convdiff {__version__}</p>",
        *(f"<p class=warn>{_text(note)}</p>" for note in _notes(suite)),
        "</header><main>",
        *_tables(suite),
    ]
    for number, case in enumerate(failing[:MAX_CASES_ON_PAGE]):
        parts += _case(case, number)
    left = len(failing) - MAX_CASES_ON_PAGE
    if left > 0:
        parts.append(f"<p>and {left:,} more that fail: --json has all of them</p>")
    return "\n".join([*parts, _legend() if failing else "", "</main></body></html>"]) + "\n"


def _text(text: object) -> str:
    """Text from outside as HTML: control characters and markup are escaped."""
    return escape(printable(text, lines=True))


def _notes(suite: Suite) -> list[str]:
    stale = [
        f"{case.name} {words}" for case in suite.cases for words in suite_words.stale_words(case)
    ]
    return [*stale, *suite.notes]


def _tables(suite: Suite) -> list[str]:
    """The failing cases, with links to their articles, and the others folded away."""
    failing = [case for case in suite.cases if case.exit_code]
    passing = [case for case in suite.cases if not case.exit_code]
    parts = _case_table(failing, linked=True) if failing else []
    if passing:
        words = "case agrees" if len(passing) == 1 else "cases agree"
        is_open = "" if len(passing) > MAX_UNFOLDED_CASES or failing else " open"
        parts += [
            f"<details{is_open}><summary>{len(passing):,} {words}</summary>",
            *_case_table(passing, linked=False),
            "</details>",
        ]
    return parts


def _case_table(cases: list[CaseResult], linked: bool) -> list[str]:
    parts = [
        '<table class="cases"><thead><tr><th>case<th>result<th class=number>rounding '
        "units<th>outputs</tr></thead><tbody>"
    ]
    for number, case in enumerate(cases):
        name = _text(case.name)
        if linked and number < MAX_CASES_ON_PAGE:
            name = f'<a href="#case-{number}">{name}</a>'
        style = "differs" if case.failure_kind else case.state
        parts.append(
            f'<tr><th scope=row>{name}<td class="{style}">{STATE_SYMBOLS[case.state]} '
            f"{suite_words.state_words(case)}<td class=number>{suite_words.units_words(case)}"
            f"<td>{_text(suite_words.summary(case))}</tr>"
        )
    return [*parts, "</tbody></table>"]


def _case(case: CaseResult, number: int) -> list[str]:
    """The article of a failing case."""
    parts = [f'<article id="case-{number}"><h2>{_text(case.name)}</h2>']
    if case.place:
        parts.append(f"<p class=dim>{_text(case.place)}</p>")
    if case.report is None:
        return [*parts, f"<p class=trouble>{_text(case.trouble)}</p></article>"]
    spec = case.report.case.spec
    operation, arrays, settings = run_words.spec_words(spec)
    words = [
        f"<b>{_text(operation)}</b>",
        *(f"{role} <b>{_text(layout)}</b> {_text(shape)}" for role, layout, shape in arrays),
        *(_text(f"{name} {value}".strip()) for name, value in settings),
    ]
    parts.append(f"<p class=spec>{' <i>·</i> '.join(words)}</p>")
    notes = [*case.notes, *case.report.case.notes]
    if notes:
        parts += ["<ul class=dim>", *(f"<li>{_text(note)}" for note in notes), "</ul>"]
    for row in case.failing:
        parts += _row(row, spec.output_layout)
    passing = [row.answer.name for row in case.rows if row not in case.failing and row.verdict]
    if passing:
        parts.append(f"<p class=dim>as asked: {_text(', '.join(passing))}</p>")
    parts += [
        f"<p class=dim>{_text(run_words.group_words(group))}</p>" for group in case.report.groups
    ]
    if case.place:
        command = _text(case.report.command)
        parts.append(f"<p class=dim>to repeat: <code>{command}</code></p>")
    return [*parts, "</article>"]


def _row(row: Row, layout: str) -> list[str]:
    """The section of a row that differs; `layout` is that of the output."""
    answer, state = row.answer, row.verdict or row.answer.status
    version = f" <span class=dim>{_text(answer.version)}</span>" if answer.version else ""
    finding = row.findings[0] if row.findings else None
    message = finding.summary if finding else row.message or answer.message or state
    facts = "".join(f"<dt>{label}<dd>{fact}" for label, fact in _facts(row, finding))
    parts = [
        f"<section><h3>{_text(answer.name)}{version} "
        f"<span class=differs>{_text(state)}</span></h3>",
        *_options(row),
        f"<p class=finding>{_text(message)}</p>",
        f"<dl>{facts}</dl>",
    ]
    if row.picture:
        parts += _pictures(row.picture)
    if finding:
        for framework in shown_fixes(finding.fix, answer, layout):
            parts.append(
                f"<details><summary>the fix in {_text(framework)}</summary>"
                f"<pre>{_text(finding.fix[framework])}</pre></details>"
            )
    return [*parts, "</section>"]


def _options(row: Row) -> list[str]:
    """The options with which an output of the user agrees, where there are any."""
    if row.answer.kind == "backend" or not row.findings or not row.findings[0].options:
        return []
    words = run_words.agreeing_options_words(row.findings[0].options)
    return [f"<p class=finding><strong>{_text(words)}</strong></p>"]


def _facts(row: Row, finding: Finding | None) -> list[tuple[str, str]]:
    """(label, HTML) of what is known about a row."""
    facts = [("where", _text(row.where))] if row.where else []
    error = row.error
    if error is not None:
        units = ""
        if math.isfinite(error.units):
            units = f", {number_format.units(error.units, error.terms)} rounding units"
        facts += [
            ("error", f"{number_format.short(error.max_abs)} at most{units}"),
            ("differ", f"{error.differing:,} of {error.elements:,} elements"),
        ]
        if error.worst:
            facts.append(("largest", _text(run_words.largest_error(error))))
    if finding:
        codes = dict.fromkeys(finding.codes)
        facts.append(("code", " ".join(f"<code>{_text(code)}</code>" for code in codes)))
        if finding.rivals:
            facts.append(("or", _text(run_words.rivals_words(finding))))
        facts += [("note", _text(note)) for note in finding.notes]
    return facts


def _pictures(picture: Picture) -> list[str]:
    rows, columns = picture.axes
    size = f"{columns} {picture.size[1]}"
    if rows:
        size = f"{rows} {picture.size[0]} × {size}"
    where = _image(picture.levels, "where it differs")
    parts = [
        "<div class=pictures>",
        _figure(f"where it differs: all channels, {size}", where),
        _figure("errors, and the bound on rounding", html_pictures.histogram(picture)),
    ]
    if picture.channel_count > 1:
        caption = f"share that differs in each of {picture.channel_count} output channels"
        parts.append(_figure(caption, html_pictures.bars(picture)))
    if picture.maps:
        maps = "".join(
            f"<figure>{_image(channel_map.levels, f'channel {channel_map.channel}')}"
            f"<figcaption>{channel_map.channel}</figcaption></figure>"
            for channel_map in picture.maps
        )
        parts.append(_figure("single output channels", f'<div class="maps">{maps}</div>'))
    if picture.kernels:
        parts.append(_figure("the kernel", _kernel_table(picture)))
    return [*parts, "</div>"]


def _kernel_table(picture: Picture) -> str:
    scale = html_pictures.largest(picture.kernels)
    rows = []
    for pair in picture.kernels:
        label = f"output {pair.output}, input {pair.input}"
        asked = html_pictures.kernel(pair.asked, scale, f"asked, {label}")
        obtained = "<span class=dim>not determined by this output</span>"
        if pair.obtained:
            obtained = html_pictures.kernel(pair.obtained, scale, f"obtained, {label}")
        rows.append(f"<tr><th scope=row>{label}<td>{asked}<td>{obtained}</tr>")
    head = "<thead><tr><th><th>as asked<th>as obtained</tr></thead>"
    return f'<table class="kernels">{head}<tbody>{"".join(rows)}</tbody></table>'


def _image(levels: Grid, label: str) -> str:
    """The map as an image of square cells, taller where it would be a thin line."""
    height, width = len(levels), len(levels[0])
    shape = f"aspect-ratio:{width}/{max(height, width / MAX_ASPECT_RATIO):g}"
    png = html_pictures.png(levels)
    return f'<img class="map" alt="{escape(label)}" src="{png}" style="{shape}">'


def _figure(caption: str, body: str) -> str:
    return f"<figure><figcaption>{_text(caption)}</figcaption>{body}</figure>"


def _legend() -> str:
    swatches = "".join(
        f'<span><i style="background:{html_pictures.color(at)}"></i>{name}</span>'
        for at, name in LEGEND
    )
    return f"<footer class=legend><span><i class=clear></i>no error</span>{swatches}</footer>"
