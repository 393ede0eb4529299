"""The order of the guesses, and those of given settings and shapes."""

from __future__ import annotations

from itertools import islice

from convdiff.probe.shape_guesses import guesses_of_shapes, shape_guesses
from convdiff.spec.settings import Settings


def test_the_frameworks_layouts_come_first_and_no_shapes_twice() -> None:
    guesses = list(shape_guesses(Settings()))
    layouts = [(guess.input_layout, guess.kernel_layout) for guess in guesses[:2]]
    assert layouts == [("NCHW", "OIHW"), ("NHWC", "HWIO")]
    assert len({(guess.input_shape, guess.kernel_shape) for guess in guesses}) == len(guesses)


def test_given_layouts_come_before_all_others() -> None:
    (first,) = islice(shape_guesses(Settings(input_layout="CWHN", kernel_layout="IWHO")), 1)
    assert (first.input_layout, first.kernel_layout) == ("CWHN", "IWHO")


def test_given_groups_divide_the_channels() -> None:
    for guess in islice(shape_guesses(Settings(groups=5)), 4):
        assert guess.input_shape[guess.input_layout.index("C")] % 5 == 0
        assert guess.bias_size % 5 == 0


def test_given_shapes_are_tried_in_every_layout_of_as_many_axes() -> None:
    guesses = list(guesses_of_shapes((2, 4, 9), (5, 4, 3), Settings()))
    assert ("NCW", "OIW") in [(guess.input_layout, guess.kernel_layout) for guess in guesses]
    assert all(len(guess.input_layout) == len(guess.kernel_layout) == 3 for guess in guesses)
    assert {guess.input_shape for guess in guesses} == {(2, 4, 9)}
