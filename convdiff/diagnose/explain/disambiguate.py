"""What would tell a finding from its rivals: the arrays to ask for."""

from __future__ import annotations

from collections.abc import Sequence

from convdiff.records import Edit
from convdiff.spec.conv_spec import ConvSpec

STRIDE = "a stride of 2 or more"
# What shows an edit that these arrays leave in doubt.
SHOWS = {
    "kernel-flipped": "a kernel without symmetry, smaller than the input",
    "kernel-not-flipped": "a kernel without symmetry, smaller than the input",
    "input-reversed": "an input larger than the kernel, with more than one output position",
    "kernel-axes-permuted": "axes of different sizes",
    "input-axes-permuted": "axes of different sizes",
    "output-axes-permuted": "axes of different sizes",
    "kernel-reshaped": "axes of different sizes",
    "input-reshaped": "axes of different sizes",
    "output-reshaped": "axes of different sizes",
    "kernel-channels-reversed": "channels that differ",
    "input-channels-reversed": "channels that differ",
    "output-channels-reversed": "channels that differ",
    "input-channels-permuted": "channels that differ",
    "output-channels-permuted": "channels that differ",
    "groups-interleaved": "channels that differ",
    "wrong-groups": "channels that differ",
    "wrong-padding": "a size at which the stride leaves nothing over, and values that are not "
    "zero at the border",
    "wrong-pad-mode": "values that differ near the border, and padding of 2 or more",
    "wrong-stride": "more output positions",
    "wrong-dilation": "a kernel of more taps, and more output positions",
    "wrong-transposed": STRIDE,
    "wrong-output-padding": STRIDE,
    "scaled": "random values, of both signs",
    "bias-added": "more elements in each channel",
    "bias-missing": "a bias with no zeros",
    "bias-doubled": "a bias with no zeros",
    "activation-applied": "values of both signs",
    "overlap-accumulated": "random values at every position",
    "reduced-precision": "values that need all their digits",
}
# Of these pairs either is the other, whatever the arrays.
SAME = (
    {"input-channels-reversed", "kernel-channels-reversed"},
    {"output-channels-reversed", "kernel-channels-reversed"},
    {"input-batch-permuted", "output-batch-permuted"},
)


def separating(
    first: Sequence[Edit], rivals: Sequence[Sequence[Edit]], spec: ConvSpec
) -> tuple[str, ...]:
    """A sentence that says which arrays would tell the finding from its rivals; none where there
    are none.
    """
    if not rivals:
        return ()
    wanted: list[str] = []
    same = False
    for rival in rivals:
        apart = [edit for edit in (*first, *rival) if not (edit in first and edit in rival)]
        codes = {edit["code"] for edit in apart}
        if codes in SAME:
            same = True
            continue
        # What would show the rival's own edits, were they there.
        own = [edit["code"] for edit in rival if edit not in first]
        wanted += [SHOWS[code] for code in own or [edit["code"] for edit in apart] if code in SHOWS]
    # What is there already told nothing.
    told = [what for what in dict.fromkeys(wanted) if what != STRIDE or max(spec.stride) == 1][:3]
    said = []
    if told:
        said.append(
            f"to tell them apart, compare with {'; '.join(told)} (convdiff probe makes such arrays)"
        )
    if same:
        said.append(
            "reversing or permuting on one side or the other is the same thing, whatever the "
            "arrays: either name is right"
        )
    return tuple(said)
