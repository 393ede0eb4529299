"""Steps between usual ranges and normalizations are recognized."""

from __future__ import annotations

import numpy as np
import pytest

from convdiff.diagnose.core.normalizations import IMAGENET_MEAN, IMAGENET_STD, known_step

MEAN, STD = np.array(IMAGENET_MEAN), np.array(IMAGENET_STD)


@pytest.mark.parametrize(
    ("factors", "offsets", "words"),
    [
        (1 / 255, 0, "as from [0, 255] to [0, 1]"),
        (1 / 127.5, -1, "as from [0, 255] to [-1, 1]"),
        (2, -1, "as from [0, 1] to [-1, 1]"),
        (1, -0.5, "as from [0, 1] to [-0.5, 0.5]"),
        (1 / STD, -MEAN / STD, "ImageNet's mean and std, of values in [0, 1]"),
        (1 / STD / 255, -MEAN / STD, "ImageNet's mean and std, of values in [0, 255]"),
        (STD, MEAN, "ImageNet's mean and std undone, to values in [0, 1]"),
        (STD / 0.5, (MEAN - 0.5) / 0.5, "ImageNet's mean and std undone, to values in [-1, 1]"),
    ],
)
def test_a_step_is_named(factors: object, offsets: object, words: str) -> None:
    step = known_step(np.asarray(factors), np.asarray(offsets))
    assert step is not None
    assert step.text == words


def test_other_numbers_are_no_step() -> None:
    assert known_step(np.array([4.37, 4.46, 4.4]), np.array([-2.12, -2.04, -1.8])) is None
    assert known_step(np.array(1.7), np.array(0.2)) is None
    assert known_step(1 / STD[:2], -MEAN[:2] / STD[:2]) is None
