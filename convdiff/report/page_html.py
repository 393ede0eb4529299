"""The suite as one page for people: the table, then for each case that fails the findings, the fix
and pictures.

Self-contained: no script, no network, and a policy that forbids both to whatever might slip in.
Every text from outside goes through `_text`.
"""

from __future__ import annotations

from html import escape
from importlib.resources import files

from convdiff import __version__
from convdiff.picture import Picture
from convdiff.records import Finding, Row
from convdiff.report import figures, pixels, words
from convdiff.report.details import fixes
from convdiff.report.suite_table import MEANS, conclusion, summary
from convdiff.suite_result import CaseResult, Suite

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
SIGNS = {
    "agrees": "✓",
    "allowed": "↓",
    "differs": "✗",
    "fed wrong": "✗",
    "lost": "✗",
    "trouble": "!",
}
# Cases that are told in full: a page of more nobody reads, and no browser likes.
TOLD = 400


def render(suite: Suite) -> str:
    """The page."""
    style = files("convdiff.report").joinpath("page.css").read_text(encoding="utf-8")
    state = {0: "agrees", 1: "differs"}.get(suite.exit_code, "trouble")
    failing = [case for case in suite.cases if case.exit_code]
    parts = [
        "<!doctype html>",
        '<html lang="en">',
        '<head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta '
        'name="color-scheme" content="light dark">',
        f"<title>convdiff: {_text(conclusion(suite))}</title>",
        f"<style>{style}</style></head>",
        "<body><header>",
        f'<h1 class="{state}"><span>{SIGNS[state]}</span> {_text(conclusion(suite))}</h1>',
        f"<p><code>{_text(suite.command)}</code></p>",
        f"<p class=dim>exit code {suite.exit_code}: {MEANS[suite.exit_code]}{_spent(suite)} · "
        f"convdiff {__version__}</p>",
        *(f"<p class=warn>{_text(note)}</p>" for note in _notes(suite)),
        "</header><main>",
        *_table(suite),
        *(part for number, case in enumerate(failing[:TOLD]) for part in _case(case, number)),
    ]
    if len(failing) > TOLD:
        parts.append(f"<p>and {len(failing) - TOLD:,} more that fail: --json has all of them</p>")
    return "\n".join([*parts, _legend() if failing else "", "</main></body></html>"]) + "\n"


def _text(text: object) -> str:
    """A stranger's text, harmless: control characters and the like as escapes, then HTML's."""
    return escape(words.literal(text, lines=True))


def _spent(suite: Suite) -> str:
    return f" · {figures.seconds(suite.seconds)}" if suite.seconds is not None else ""


def _notes(suite: Suite) -> list[str]:
    gone = [
        f"{case.name} allows {code}, which no longer occurs; take it out"
        for case in suite.cases
        for code in case.stale
    ]
    return [*gone, *suite.notes]


def _table(suite: Suite) -> list[str]:
    """Those that fail first, linked; those that agree folded away where they are many."""
    failing = [case for case in suite.cases if case.exit_code]
    passing = [case for case in suite.cases if not case.exit_code]
    made = _rows(failing, linked=True) if failing else []
    if passing:
        noun = "case agrees" if len(passing) == 1 else "cases agree"
        fold = "" if len(passing) > 20 or failing else " open"
        made += [
            f"<details{fold}><summary>{len(passing):,} {noun}</summary>",
            *_rows(passing, linked=False),
            "</details>",
        ]
    return made


def _rows(cases: list[CaseResult], linked: bool) -> list[str]:
    made = [
        '<table class="cases"><thead><tr><th>case<th>result<th class=number>rounding '
        "units<th>outputs</tr></thead><tbody>"
    ]
    for number, case in enumerate(cases):
        name = (
            f'<a href="#case-{number}">{_text(case.name)}</a>'
            if linked and number < TOLD
            else _text(case.name)
        )
        errors = [row.error for row in (case.failing or case.rows) if row.error]
        worst = max(errors, key=lambda error: error.units, default=None)
        units = figures.units(worst.units, worst.terms) if worst else ""
        style = "differs" if case.failure_kind else case.state
        made.append(
            f'<tr><th scope=row>{name}<td class="{style}">{SIGNS[case.state]} {case.state}<td '
            f"class=number>{units}"
            f"<td>{_text(summary(case))}</tr>"
        )
    return [*made, "</tbody></table>"]


def _case(case: CaseResult, number: int) -> list[str]:
    made = [f'<article id="case-{number}"><h2>{_text(case.name)}</h2>']
    if case.place:
        made.append(f"<p class=dim>{_text(case.place)}</p>")
    if case.report is None:
        return [*made, f"<p class=trouble>{_text(case.trouble)}</p></article>"]
    operation, arrays, settings = words.spec_words(case.report.case.spec)
    said = [
        f"<b>{_text(operation)}</b>",
        *(f"{role} <b>{_text(layout)}</b> {_text(shape)}" for role, layout, shape in arrays),
    ]
    said += [_text(f"{name} {value}".strip()) for name, value in settings]
    made.append(f"<p class=spec>{' <i>·</i> '.join(said)}</p>")
    notes = [*case.notes, *case.report.case.notes]
    made += ["<ul class=dim>", *(f"<li>{_text(note)}" for note in notes), "</ul>"] if notes else []
    layout = case.report.case.spec.output_layout
    for row in case.failing:
        made += _row(row, layout)
    agreeing = [row.answer.name for row in case.rows if row not in case.failing and row.verdict]
    if agreeing:
        made.append(f"<p class=dim>as asked: {_text(', '.join(agreeing))}</p>")
    again = (
        f"<p class=dim>again: <code>{_text(case.report.command)}</code></p>" if case.place else ""
    )
    return [*made, again, "</article>"]


def _row(row: Row, layout: str) -> list[str]:
    answer, state = row.answer, row.verdict or row.answer.status
    version = f" <span class=dim>{_text(answer.version)}</span>" if answer.version else ""
    made = [
        f"<section><h3>{_text(answer.name)}{version} <span class=differs>{_text(state)}</span></h3>"
    ]
    finding = row.findings[0] if row.findings else None
    message = finding.summary if finding else row.message or answer.message or state
    made.append(f"<p class=finding>{_text(message)}</p>")
    made.append(
        "<dl>" + "".join(f"<dt>{term}<dd>{told}" for term, told in _facts(row, finding)) + "</dl>"
    )
    if row.picture:
        made += _picture(row.picture)
    if finding:
        for framework in fixes(finding.fix, answer, layout):
            made.append(
                "<details><summary>the fix in "
                f"{_text(framework)}</summary><pre>{_text(finding.fix[framework])}</pre></details>"
            )
    return [*made, "</section>"]


def _facts(row: Row, finding: Finding | None) -> list[tuple[str, str]]:
    facts = [("where", _text(row.where))] if row.where else []
    error = row.error
    if error is not None:
        facts.append(
            (
                "error",
                _text(
                    f"{figures.short(error.max_abs)} at most, "
                    f"{figures.units(error.units, error.terms)} rounding units"
                ),
            )
        )
        facts.append(("differ", _text(f"{error.differing:,} of {error.elements:,} elements")))
        if error.worst:
            most = (
                f"{figures.index(error.worst)}: obtained {figures.value(error.obtained)}, "
                f"expected {figures.value(error.reference)}"
            )
            facts.append(("largest", _text(most)))
    if finding:
        facts.append(
            (
                "code",
                " ".join(f"<code>{_text(code)}</code>" for code in dict.fromkeys(finding.codes)),
            )
        )
        if finding.rivals:
            facts.append(
                (
                    "or",
                    _text(
                        f"these arrays cannot tell this from: {words.rivals_words(finding.rivals)}"
                    ),
                )
            )
        facts += [("note", _text(note)) for note in finding.notes]
    return facts


def _picture(picture: Picture) -> list[str]:
    rows, columns = picture.axes
    size = (
        f"{rows} {picture.size[0]} × {columns} {picture.size[1]}"
        if rows
        else f"{columns} {picture.size[1]}"
    )
    made = [
        "<div class=pictures>",
        _figure(
            f"where it differs: all channels, {size}",
            _image(picture.levels, "map", "where it differs"),
        ),
    ]
    made.append(_figure("errors against the bound", pixels.histogram(picture)))
    if picture.channel_count > 1:
        made.append(
            _figure(
                f"share that differs in each of {picture.channel_count} output channels",
                pixels.bars(picture),
            )
        )
    if picture.maps:
        maps = "".join(
            f"<figure>{_image(one.levels, 'map', f'channel {one.channel}')}<figcaption>{one.channel}</figcaption></figure>"
            for one in picture.maps
        )
        made.append(_figure("single output channels", f'<div class="maps">{maps}</div>'))
    made += _kernels(picture)
    return [*made, "</div>"]


def _kernels(picture: Picture) -> list[str]:
    top = pixels.largest(picture.kernels)
    pairs = []
    for pair in picture.kernels:
        label = f"output {pair.output}, input {pair.input}"
        obtained = (
            pixels.kernel(pair.obtained, top, f"obtained, {label}")
            if pair.obtained
            else "<span class=dim>not told by this output</span>"
        )
        pairs.append(
            "<tr><th "
            f"scope=row>{label}<td>{pixels.kernel(pair.asked, top, f'asked, {label}')}<td>{obtained}</tr>"
        )
    if not pairs:
        return []
    head = "<thead><tr><th><th>as asked<th>as obtained</tr></thead>"
    return [
        _figure(
            "the kernel", f'<table class="kernels">{head}<tbody>{"".join(pairs)}</tbody></table>'
        )
    ]


def _image(levels: tuple[tuple[float, ...], ...], kind: str, label: str) -> str:
    """Cells are square up to a point: a line of one cell's height is drawn taller."""
    height, width = len(levels), len(levels[0])
    shape = f"aspect-ratio:{width}/{max(height, width / 12):g}"
    return f'<img class="{kind}" alt="{escape(label)}" src="{pixels.png(levels)}" style="{shape}">'


def _figure(caption: str, body: str) -> str:
    return f"<figure><figcaption>{_text(caption)}</figcaption>{body}</figure>"


def _legend() -> str:
    named = [(1, "rounding"), (4, "just beyond the bound"), (6, "×100"), (9, "×10⁷ and more, NaN")]
    swatches = "".join(
        f'<span><i style="background:{pixels.color(at)}"></i>{name}</span>' for at, name in named
    )
    return f"<footer class=legend><span><i class=clear></i>no error</span>{swatches}</footer>"
