"""Made-up suites, one with all that is awkward: hostile names, trouble, allowed codes, pictures."""

from __future__ import annotations

from dataclasses import replace

from convdiff.picture import HIGHEST, NO_ERROR, ChannelMap, KernelPair, Picture
from convdiff.records import Report
from convdiff.suite_result import CaseResult, Suite
from tests.report.reports import HOSTILE, REPORTS

EVIL = (
    "</title><script>document.title='evil'</script><img src=x "
    "onerror=\"document.title='evil'\">`|*]]>&amp;\x00\x1b[2J\u202e::error::"
)

LEVELS = tuple(
    tuple(6.0 if x < 2 or y == 0 else NO_ERROR if x > 9 else -1.5 for x in range(16))
    for y in range(8)
)
PICTURE = Picture(
    axes=("H", "W"),
    size=(80, 160),
    levels=LEVELS,
    maps=(ChannelMap(0, LEVELS), ChannelMap(3, ((HIGHEST, NO_ERROR), (0.5, -0.5)))),
    channels=(0.0, 0.25, 1.0, 0.0),
    channel_count=4,
    histogram=tuple((-2 + n / 2, n * n) for n in range(28)),
    bound=1.57,
    exact=1234,
    kernels=(
        KernelPair(0, 0, ((1.0, -2.0), (0.5, 0.0)), ((0.0, 0.5), (-2.0, 1.0))),
        KernelPair(1, 0, ((0.125, 3e-05), (-1.5, 22.0)), None),
    ),
)


def _with_pictures(report: Report) -> Report:
    rows = tuple(
        replace(row, picture=PICTURE) if row.verdict == "different" and row.error else row
        for row in report.rows
    )
    return replace(report, rows=rows)


def suite() -> Suite:
    reports = {name: _with_pictures(report) for name, report in REPORTS.items()}
    evil = replace(
        reports["flipped"],
        case=replace(reports["flipped"].case, name=EVIL, notes=(EVIL,)),
        command=f"convdiff '{EVIL}'",
    )
    cases = (
        CaseResult("encoder/conv1", "manifest.toml:3", 0, reports["agreeing"], seconds=0.012),
        CaseResult("encoder/conv2", "manifest.toml:9", 1, reports["overlap"], seconds=0.2),
        CaseResult(
            "encoder/conv3",
            "manifest.toml:15",
            0,
            reports["groups"],
            None,
            ("wrong-groups",),
            ("scaled",),
            seconds=0.1,
        ),
        CaseResult(
            "lost",
            "manifest.toml:21",
            2,
            None,
            "manifest.toml:22: case lost: input none.npy: found no such file",
            seconds=0.0,
        ),
        CaseResult(EVIL, f"{EVIL}.toml:27", 1, evil, notes=(EVIL,), seconds=0.3),
        CaseResult(HOSTILE, "manifest.toml:33", 2, reports["awkward"], seconds=64.2),
    )
    return Suite(
        cases, 2, "convdiff check manifest.toml", ("3 cases were not run (--fail-fast)",), 65.0
    )


SUITE = suite()
EMPTY = Suite((), 2, "convdiff check", seconds=0.0)
GOOD = Suite(SUITE.cases[:1], 0, "convdiff check manifest.toml", seconds=0.1)
SUITES = {"suite": SUITE, "suite-good": GOOD, "suite-empty": EMPTY}
