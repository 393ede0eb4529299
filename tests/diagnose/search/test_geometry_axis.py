"""The choices along one axis fit its sizes, and hold the paddings that people choose."""

from __future__ import annotations

import pytest

from convdiff.diagnose.search.geometry_axis import AskedAxis, axis_choices


def asked(**changes: object) -> AskedAxis:
    """Size 16 to 16 with a 3-wide kernel, padded by one."""
    axis = AskedAxis(16, 3, 16, 1, 1, (1, 1), 0, 1, False, (1,))
    return axis._replace(**changes)


AXES = {
    "dense": asked(),
    "strided": asked(output_size=8, stride=2),
    "dilated": asked(dilation=2, padding=(2, 2)),
    "dilated input": asked(input_dilation=2, output_size=31),
    "patches": asked(input_size=32, taps=8, output_size=4, stride=8, padding=(0, 0)),
    "transposed": asked(output_size=31, stride=2, transposed=True),
    "transposed patches": asked(
        input_size=4, taps=8, output_size=32, stride=8, padding=(0, 0), transposed=True
    ),
}


@pytest.mark.parametrize("name", AXES)
def test_every_choice_gives_the_output_size(name: str) -> None:
    axis = AXES[name]
    choices = axis_choices(axis)
    assert len(choices.lo)
    for number in range(len(choices.lo)):
        geometry = choices.axis_geometry(number)
        size = (axis.input_size - 1) * geometry.input_dilation + 1 + geometry.lo + geometry.hi
        span = (axis.taps - 1) * geometry.dilation + 1
        assert (size - span) // geometry.stride + 1 == axis.output_size


@pytest.mark.parametrize("name", AXES)
def test_only_the_asked_choice_changes_nothing(name: str) -> None:
    axis = AXES[name]
    choices = axis_choices(axis)
    (number,) = choices.changing(frozenset()).tolist()
    columns = choices.stride, choices.dilation, choices.lo, choices.hi, choices.output_padding
    assert [int(column[number]) for column in columns] == [
        axis.stride,
        axis.dilation,
        *axis.padding,
        axis.output_padding,
    ]
    assert choices.oddness[number] == 0


@pytest.mark.parametrize(
    ("axis", "padding"),
    [
        # SAME of a strided convolution: the odd one at the end, or at the start.
        (asked(output_size=8, stride=2), (0, 1)),
        (asked(output_size=8, stride=2, padding=(0, 0)), (1, 0)),
        # Causal.
        (asked(), (2, 0)),
    ],
)
def test_paddings_of_frameworks_are_conventional(axis: AskedAxis, padding: tuple[int, int]) -> None:
    choices = axis_choices(axis)
    paddings = {
        (int(choices.lo[number]), int(choices.hi[number])): int(choices.conventions[number])
        for number in choices.changing(frozenset({"padding"})).tolist()
    }
    assert paddings[padding]


def test_wide_strides_come_with_conventional_paddings_only() -> None:
    choices = axis_choices(asked(input_size=64, output_size=8, padding=(0, 0)))
    strides = set(choices.stride[choices.is_wide].tolist())
    assert 8 in strides
    assert choices.conventions[choices.is_wide].all()
