"""The wording of a suite, for every format: a case's state and summary, the conclusion."""

from __future__ import annotations

from collections.abc import Iterator

from convdiff.records import ErrorStats, Row
from convdiff.report import number_format, run_words
from convdiff.suite_result import CaseResult, Suite

# How many causes of a case are worded in its summary; others are counted.
MAX_CAUSES = 3

# The states of a case whose words differ from their names.
_STATES = {"fed wrong": "input differs", "lost": "missing"}

EXIT_CODES = {0: "all agree", 1: "at least one differs", 2: "a case could not be checked"}


def state_words(case: CaseResult) -> str:
    """The state of a case in a word or two: "agrees", "input differs"."""
    return _STATES.get(case.state, case.state)


def suite_state(suite: Suite) -> str:
    """The state of a case that stands for the whole suite: "agrees", "differs" or "trouble"."""
    return {0: "agrees", 1: "differs"}.get(suite.exit_code, "trouble")


def worst_error(case: CaseResult) -> ErrorStats | None:
    """The largest error of the rows that fail the case, or of all rows where none does."""
    errors = [row.error for row in (case.failing or case.rows) if row.error is not None]
    return max(errors, key=lambda error: error.units, default=None)


def units_words(case: CaseResult) -> str:
    """The largest error of a case in rounding units; empty where nothing was compared."""
    error = worst_error(case)
    return number_format.units(error.units, error.terms) if error else ""


def summary(case: CaseResult) -> str:
    """A case in a phrase: how many outputs agree, or which do not and why."""
    if case.trouble:
        return case.trouble
    if case.exit_code == 0:
        if case.notes:
            return "; ".join(case.notes)
        if case.allowed:
            return f"{len(case.rows)} compared ({', '.join(case.allowed)} allowed)"
        return run_words.conclusion(case.rows)
    names_by_cause: dict[str, list[str]] = {}
    for row in case.failing:
        names_by_cause.setdefault(cause(row), []).append(row.answer.name)
    causes = [f"{', '.join(names)}: {why}" for why, names in names_by_cause.items()]
    more = [f"and {len(causes) - MAX_CAUSES} more"] if len(causes) > MAX_CAUSES else []
    return "; ".join([*causes[:MAX_CAUSES], *more, *case.notes]) or run_words.conclusion(case.rows)


def cause(row: Row) -> str:
    """Why a row does not pass, in a phrase: its finding, its message, or its status."""
    if row.findings:
        return row.findings[0].summary
    if row.verdict is not None:
        return row.message or row.verdict
    if not row.answer.message:
        return row.answer.status
    return f"{row.answer.status}, {row.answer.message.splitlines()[0]}"


def stale_words(case: CaseResult) -> Iterator[str]:
    """A sentence for each code that the case allows and that no longer occurs."""
    for code in case.stale:
        yield f"allows {code}, which no longer occurs; remove it"


def conclusion(suite: Suite) -> str:
    """The last line: how many cases there are, and how many are in which state."""
    total, counts = len(suite.cases), suite.counts
    passed = counts["agrees"] + counts["allowed"]
    if counts["fed wrong"] and passed + counts["fed wrong"] == total and suite.exit_code == 1:
        if total == 1:
            return "the convolution agrees on its own, but its input differs"
        return "each convolution agrees on its own, but the inputs differ"
    if passed == total:
        few = {0: "nothing was checked", 1: "the case agrees"}
        return few.get(total, f"all {total:,} cases agree")
    parts = [f"{passed:,} of {total:,} cases {'agrees' if passed == 1 else 'agree'}"]
    if counts["differs"]:
        parts.append(f"{counts['differs']:,} {'differs' if counts['differs'] == 1 else 'differ'}")
    for state, words in (
        ("fed wrong", "with an input that differs"),
        ("lost", "without a counterpart"),
        ("trouble", "could not be checked"),
    ):
        if counts[state]:
            parts.append(f"{counts[state]:,} {words}")
    return "; ".join(parts)
