"""A transposed convolution that a side crops in a layer of its own, after it: the same model, with
outputs of other sizes.

PyTorch's padding crops within the layer; Keras has a Cropping layer for what its "valid" leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from convdiff.port.external_padding import Pairs
from convdiff.port.layer_pair import LayerPair, fed
from convdiff.port.model_outputs import ModelOutputs
from convdiff.spec.conv_spec import ConvSpec


class ExternalCropping(NamedTuple):
    """What is asked of the source's convolution instead, and what is taken off the port's output,
    per axis of space.
    """

    padding: Pairs
    output_padding: tuple[int, ...]
    output: Pairs


def cropping(looks: Sequence[LayerPair], at: int, given: ModelOutputs) -> ExternalCropping | None:
    """None where both crop alike, or what comes after does not bear out that the rest is cropped
    later.
    """
    source, port = looks[at].specs
    if not (source.transposed and port.transposed) or source.rank != port.rank:
        return None
    if (source.kernel_size, source.stride, source.dilation) != (
        port.kernel_size,
        port.stride,
        port.dilation,
    ):
        return None
    ends = list(zip(_cropped(source), _cropped(port), strict=True))
    if all(asked == own for asked, own in ends):
        return None
    after = fed(looks, at + 1) if at + 1 < len(looks) else given.fed
    if after is None or not after.same:
        return None
    most = [(max(a, b), max(c, d)) for (a, c), (b, d) in ends]
    output = tuple((max(0, a - b), max(0, c - d)) for (a, c), (b, d) in ends)
    return ExternalCropping(
        tuple((lo, max(hi, 0)) for lo, hi in most), tuple(max(-hi, 0) for _, hi in most), output
    )


def _cropped(spec: ConvSpec) -> list[tuple[int, int]]:
    """What is taken off the full output at each end, what is added at the end counted against it."""
    return [
        (lo, hi - more) for (lo, hi), more in zip(spec.padding, spec.output_padding, strict=True)
    ]
