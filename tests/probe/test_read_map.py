"""Read maps decoded from outputs, and outputs that encode none."""

from __future__ import annotations

import numpy as np
import pytest

from convdiff.probe.probe_arrays import place_values
from convdiff.probe.read_map import decode


def test_each_output_element_names_the_input_element_it_read() -> None:
    """Every second row of the input, its columns from the second on."""
    places = place_values((4, 5))
    read_map = decode((0, 0), 3 * places[::2, 1:], (4, 5), factor=3.0)
    assert read_map is not None
    assert read_map.along(0, 0) == {0: 0, 1: 2}
    assert read_map.along(1, 1) == {0: 1, 1: 2, 2: 3, 3: 4}
    assert read_map.along(0, 1) is None
    assert read_map.input_position(0) is None


def test_padding_of_zeros_reads_nothing() -> None:
    read_map = decode((0,), np.array([0.0, 1, 2, 0]), (2,), factor=1.0)
    assert read_map is not None
    assert read_map.along(0, 0) == {1: 0, 2: 1}


def test_a_position_that_all_share() -> None:
    read_map = decode((0, 0), place_values((3, 2))[1:2], (3, 2), factor=1.0)
    assert read_map is not None
    assert (read_map.input_position(0), read_map.output_position(0)) == (1, 0)


@pytest.mark.parametrize(
    "values", [[0.5, 1.0], [-1.0, 1.0], [3.0, 1.0], [np.nan, 1.0], [np.inf, 1.0]], ids=str
)
def test_other_values_are_no_read_map(values: list[float]) -> None:
    assert decode((0,), np.array(values), (2,), factor=1.0) is None
