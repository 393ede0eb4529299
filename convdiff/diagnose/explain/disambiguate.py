"""What would tell a finding from its rivals: the arrays to compare with."""

from __future__ import annotations

from collections.abc import Sequence

from convdiff.diagnose.hypotheses.registry import by_code
from convdiff.records import Edit
from convdiff.spec.conv_spec import ConvSpec

# Properties of arrays that are suggested at most.
MAX_SUGGESTIONS = 3


def suggestions(
    first: Sequence[Edit], rivals: Sequence[Sequence[Edit]], spec: ConvSpec
) -> tuple[str, ...]:
    """Sentences that say which arrays would tell the finding from its rivals; none without rivals.

    `spec` is the convolution that was asked: what it has already showed nothing.
    """
    known = by_code()
    wanted: list[str | None] = []
    interchangeable = False
    for rival in rivals:
        differing = [e for e in (*first, *rival) if not (e in first and e in rival)]
        if _are_interchangeable({edit["code"] for edit in differing}):
            interchangeable = True
            continue
        # What would show the rival's own edits, were they there.
        own = [edit for edit in rival if edit not in first] or differing
        wanted += [known[edit["code"]].showing_arrays(spec) for edit in own]
    suggested = [what for what in dict.fromkeys(wanted) if what][:MAX_SUGGESTIONS]
    notes = []
    if suggested:
        arrays = "; ".join(suggested)
        notes.append(
            f"to tell them apart, compare with {arrays} (convdiff probe makes such arrays)"
        )
    if interchangeable:
        notes.append(
            "reversing or permuting on one side or the other is the same thing, whatever the "
            "arrays: either name is right"
        )
    return tuple(notes)


def _are_interchangeable(codes: set[str]) -> bool:
    """Whether two findings that differ in these codes alone are one finding under two names."""
    if len(codes) != 2:
        return False
    one, other = codes
    return other in by_code()[one].interchangeable_with
