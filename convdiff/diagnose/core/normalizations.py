"""Usual ranges and normalizations of pictures, and which of them lead from one input to another.

Each is what becomes of values of 0 to 1: (value - mean) / std, for each channel.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from convdiff.spec.layout import Array

# The relative error with which numbers are taken for those of a normalization.
TOLERANCE = 2e-4


class Normalization(NamedTuple):
    """A usual range of pictures, or a usual mean and standard deviation of each channel."""

    name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def reversed_channels(self) -> Normalization:
        """The same for BGR instead of RGB."""
        return Normalization(f"{self.name}, in BGR order", self.mean[::-1], self.std[::-1])


def _of_bytes(name: str, means: tuple[float, ...]) -> Normalization:
    """Means that are subtracted from values of 0 to 255."""
    return Normalization(name, tuple(mean / 255 for mean in means), (1 / 255,) * len(means))


IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RANGES = (
    Normalization("[0, 1]", (0.0,), (1.0,)),
    Normalization("[0, 255]", (0.0,), (1 / 255,)),
    Normalization("[-1, 1]", (0.5,), (0.5,)),
    Normalization("[-128, 127]", (128 / 255,), (1 / 255,)),
    Normalization("[-0.5, 0.5]", (0.5,), (1.0,)),
)
STATISTICS = (
    Normalization("ImageNet's mean and std", IMAGENET_MEAN, IMAGENET_STD),
    Normalization("ImageNet's mean, undivided", IMAGENET_MEAN, (1.0,) * 3),
    Normalization("ImageNet's std, without the mean", (0.0,) * 3, IMAGENET_STD),
    _of_bytes("Caffe's means (103.939, 116.779, 123.68)", (123.68, 116.779, 103.939)),
    _of_bytes("Caffe's means (104, 117, 123)", (123.0, 117.0, 104.0)),
    Normalization("CIFAR-10's mean and std", (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    Normalization(
        "CIFAR-10's mean and std (0.2023, 0.1994, 0.2010)",
        (0.4914, 0.4822, 0.4465),
        (0.2023, 0.1994, 0.2010),
    ),
    Normalization("CIFAR-100's mean and std", (0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
    Normalization(
        "CLIP's mean and std",
        (0.48145466, 0.4578275, 0.40821073),
        (0.26862954, 0.26130258, 0.27577711),
    ),
    Normalization("MNIST's mean and std", (0.1307,), (0.3081,)),
)
KNOWN = (
    *RANGES,
    *STATISTICS,
    *(each.reversed_channels for each in STATISTICS if len(each.std) > 1),
)


class Step(NamedTuple):
    """The factors and offsets that lead from one normalization to another, (channels,) each."""

    source: Normalization
    target: Normalization
    factors: Array
    offsets: Array

    @property
    def text(self) -> str:
        """In words."""
        source, target = self.source.name, self.target.name
        if self.source in RANGES:
            if self.target in RANGES:
                return f"as from {source} to {target}"
            return f"{target}, of values in {source}"
        if self.target in RANGES:
            return f"{source} undone, to values in {target}"
        for each, other in ((self.source, target), (self.target, source)):
            if each.reversed_channels.name == other:
                return f"{each.name} in the other order of the channels, RGB for BGR"
        return f"{target} instead of {source}"


def known_step(factors: Array, offsets: Array) -> Step | None:
    """The likeliest step with these factors and offsets, (C,) each or one number; None if none.

    Steps from or to a plain range come before those between two sets of statistics.
    """
    factors, offsets = np.atleast_1d(factors), np.atleast_1d(offsets)
    for source, target in PAIRS:
        lengths = {len(source.std), len(target.std)} - {1}
        if lengths and lengths != {max(factors.size, offsets.size)}:
            continue
        mean, std = (np.array(each) for each in (source.mean, source.std))
        to_mean, to_std = (np.array(each) for each in (target.mean, target.std))
        step = Step(source, target, std / to_std, (mean - to_mean) / to_std)
        size = float(np.abs(step.factors).max() + np.abs(step.offsets).max())
        if np.allclose(factors, step.factors, rtol=TOLERANCE, atol=0) and np.allclose(
            offsets, step.offsets, rtol=TOLERANCE, atol=TOLERANCE * size
        ):
            return step
    return None


PAIRS = sorted(
    itertools.permutations(KNOWN, 2), key=lambda pair: sum(each not in RANGES for each in pair)
)
