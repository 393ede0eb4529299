"""Exit codes: 0 all agree, 1 at least one differs, 2 trouble (bad input, or no comparison made)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convdiff.records import Row

TROUBLE = 2
# What a shell reports for a process that ended by SIGINT or SIGPIPE: 128 plus the signal's number.
INTERRUPTED = 130
BROKEN_PIPE = 141

# The verdicts that can fail a run, worst first.
FAIL_ON = ("different", "reduced-precision", "rounding")


def exit_code(rows: Iterable[Row], *, require: Collection[str], fail_on: str) -> int:
    """The exit code of a run with these rows.

    2 where a backend named in `require` or one of the user's calls gave no output, or nothing was
    compared; else 1 where a verdict is at least as bad as `fail_on`.  An output that cannot be
    compared counts as different.
    """
    rows = list(rows)
    answered = {
        row.answer.name
        for row in rows
        if row.answer.kind == "backend" and row.answer.status == "ok"
    }
    broken_call = any(row.answer.kind == "call" and row.answer.status != "ok" for row in rows)
    verdicts = {row.verdict for row in rows if row.verdict is not None}
    if not set(require) <= answered or broken_call or not verdicts:
        return TROUBLE
    failing = {"incomparable", *FAIL_ON[: FAIL_ON.index(fail_on) + 1]}
    return 1 if verdicts & failing else 0
