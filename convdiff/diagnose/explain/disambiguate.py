"""The arrays to compare with next, which would tell a finding from its rivals."""

from __future__ import annotations

from collections.abc import Sequence

from convdiff.diagnose.hypotheses.registry import by_code
from convdiff.records import Edit
from convdiff.spec.conv_spec import ConvSpec

# The most properties of arrays that a note suggests.
MAX_SUGGESTIONS = 3


def suggestions(
    finding: Sequence[Edit], rivals: Sequence[Sequence[Edit]], spec: ConvSpec
) -> tuple[str, ...]:
    """Notes that name arrays which would tell the finding from its rivals; none without rivals.

    `spec` is the convolution that was asked for: a property that it has already is not suggested.
    """
    hypotheses = by_code()
    properties: list[str | None] = []
    has_interchangeable_rival = False
    for rival in rivals:
        differing = [e for e in (*finding, *rival) if not (e in finding and e in rival)]
        if _are_interchangeable({edit["code"] for edit in differing}):
            has_interchangeable_rival = True
            continue
        edits_to_exclude = [edit for edit in rival if edit not in finding] or differing
        properties += [hypotheses[edit["code"]].showing_arrays(spec) for edit in edits_to_exclude]
    suggested = [text for text in dict.fromkeys(properties) if text][:MAX_SUGGESTIONS]
    notes = []
    if suggested:
        arrays = "; ".join(suggested)
        notes.append(
            f"to tell them apart, compare with {arrays} (convdiff probe makes such arrays)"
        )
    if has_interchangeable_rival:
        notes.append(
            "reversing or permuting has the same effect on one side as on the other, whatever the "
            "arrays are: either name is right"
        )
    return tuple(notes)


def _are_interchangeable(codes: set[str]) -> bool:
    """Whether two findings that differ in these codes alone are one finding with two names."""
    if len(codes) != 2:
        return False
    first, second = codes
    return second in by_code()[first].interchangeable_with
