"""The exit code: 0 all agree, 1 at least one differs, 2 trouble."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convdiff.records import Row

# Verdicts that may fail, the worst first.
FAIL_ON = ("different", "reduced-precision", "rounding")


def exit_code(rows: Iterable[Row], *, require: Collection[str], fail_on: str) -> int:
    """2 where a required backend or the user's own code gave no answer, or nothing was compared; 1
    where a verdict fails.

    `fail_on` is the mildest verdict that fails; what cannot be compared counts as differing.
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
        return 2
    failing = {"incomparable", *FAIL_ON[: FAIL_ON.index(fail_on) + 1]}
    return 1 if verdicts & failing else 0
