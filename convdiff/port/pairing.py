"""Pairs the layers of the port with those of the source.

By the kernel's values whatever their layout, by name, or else by order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from convdiff.errors import ConvdiffError
from convdiff.port.captured_layer import CapturedLayer
from convdiff.port.input_distance import LayerInputs
from convdiff.port.layer_pair import LayerPair, PairedBy
from convdiff.spec.layout import Array

# Sorted weights within this share of their spread of each other are one kernel, rounded.
MAX_ROUNDING = 0.02
# Kernels whose output channels point the same ways, by the mean cosine of their angles, are one
# kernel, rounded or with each channel scaled.
MIN_MEAN_COSINE = 0.9

# Positions of source layers with those of their port layers.
Matches = dict[int, tuple[int, PairedBy]]


@dataclass(frozen=True)
class Pairing:
    """The layer pairs in the source's order, and the layers of either side without a counterpart.

    `missing` are layers of the source, `extra` those of the port.
    """

    pairs: tuple[LayerPair, ...]
    missing: tuple[CapturedLayer, ...]
    extra: tuple[CapturedLayer, ...]


@dataclass(frozen=True)
class UnpairedLayers:
    """The layers that earlier rules left unpaired, by their positions."""

    source: Mapping[int, CapturedLayer]
    port: Mapping[int, CapturedLayer]

    def without(self, matches: Matches) -> UnpairedLayers:
        """Those that these matches leave unpaired."""
        taken = {port for port, _ in matches.values()}
        return UnpairedLayers(
            {at: layer for at, layer in self.source.items() if at not in matches},
            {at: layer for at, layer in self.port.items() if at not in taken},
        )


def pair_layers(source: Sequence[CapturedLayer], port: Sequence[CapturedLayer]) -> Pairing:
    """Pair the layers, by the most reliable rule first.  ConvdiffError for an unreadable kernel."""
    unpaired = UnpairedLayers(dict(enumerate(source)), dict(enumerate(port)))
    matches: Matches = {}
    for rule in RULES:
        new = rule(unpaired)
        unpaired, matches = unpaired.without(new), {**matches, **new}
    if len(unpaired.source) == len(unpaired.port) or not matches:
        new = _by_order(unpaired)
        unpaired, matches = unpaired.without(new), {**matches, **new}
    pairs = [LayerPair(source[a], port[b], by) for a, (b, by) in sorted(matches.items())]
    return Pairing(
        tuple(_with_names_restored(pairs)),
        tuple(unpaired.source.values()),
        tuple(unpaired.port.values()),
    )


def _by_name_and_kernel(layers: UnpairedLayers) -> Matches:
    return _by_key(layers, "name", lambda layer: (layer.name, layer.fingerprint))


def _by_name_and_size(layers: UnpairedLayers) -> Matches:
    """A name alone may be a coincidence ("conv2d"); with a kernel of as many weights it is none."""
    return _by_key(layers, "name", lambda layer: (layer.name, layer.kernel.array.size))


def _by_key(
    layers: UnpairedLayers, paired_by: PairedBy, key: Callable[[CapturedLayer], Hashable]
) -> Matches:
    """Layers of one key; in their order where several share it, such as a layer that ran twice."""
    waiting: dict[Hashable, list[int]] = {}
    for b, layer in layers.port.items():
        waiting.setdefault(key(layer), []).append(b)
    matches: Matches = {}
    for a, layer in layers.source.items():
        candidates = waiting.get(key(layer))
        if candidates:
            matches[a] = candidates.pop(0), paired_by
    return matches


def _by_equal_kernel(layers: UnpairedLayers) -> Matches:
    """Equal kernels.

    Where one occurs several times (a layer that ran twice, parallel towers), the pairs keep the
    order of both sides.
    """
    matches: Matches = {}
    source_counts = Counter(layer.fingerprint for layer in layers.source.values())
    port_counts = Counter(layer.fingerprint for layer in layers.port.values())
    common = source_counts.keys() & port_counts.keys()
    if any(source_counts[key] > 1 or port_counts[key] > 1 for key in common):
        unique = {key for key in common if source_counts[key] == port_counts[key] == 1}
        positions = {layer.fingerprint: b for b, layer in layers.port.items()}
        matches = {
            a: (positions[layer.fingerprint], "kernel")
            for a, layer in layers.source.items()
            if layer.fingerprint in unique
        }
        taken = {b for b, _ in matches.values()}
        matches |= {
            a: (b, "kernel")
            for a, b in _aligned_kernels(layers)
            if a not in matches and b not in taken
        }
    rest = _by_key(layers.without(matches), "kernel", lambda layer: layer.fingerprint)
    return {**matches, **rest}


def _aligned_kernels(layers: UnpairedLayers) -> list[tuple[int, int]]:
    """The positions of equal kernels in the best alignment of both sides.

    The best has the most equal kernels, then the most other kernels of one size.
    """
    source, port = list(layers.source.items()), list(layers.port.items())
    equal_score = min(len(source), len(port)) + 1

    def score(i: int, j: int) -> int:
        (_, a), (_, b) = source[i], port[j]
        if a.fingerprint == b.fingerprint:
            return equal_score
        return int(a.kernel.array.size == b.kernel.array.size)

    # best[i][j] is the score of the best alignment of source[i:] with port[j:].
    best = [[0] * (len(port) + 1) for _ in range(len(source) + 1)]
    for i in reversed(range(len(source))):
        for j in reversed(range(len(port))):
            best[i][j] = max(best[i + 1][j], best[i][j + 1], best[i + 1][j + 1] + score(i, j))
    aligned, i, j = [], 0, 0
    while i < len(source) and j < len(port):
        if best[i][j] == best[i + 1][j + 1] + score(i, j):
            if score(i, j) == equal_score:
                aligned.append((source[i][0], port[j][0]))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return aligned


def _by_channel_directions(layers: UnpairedLayers) -> Matches:
    """Pairs kernels that were rounded, or scaled by channel as by a folded normalization.

    Where several are alike, the one of the same name.
    """
    free = dict(layers.port)
    matches: Matches = {}
    for a, layer in layers.source.items():
        alike = [
            (layer.name == other.name, cosine, -b)
            for b, other in free.items()
            if (cosine := _mean_cosine(layer, other)) >= MIN_MEAN_COSINE
        ]
        if alike:
            b = -max(alike)[2]
            rounded = _largest_length_change(layer, free.pop(b)) <= MAX_ROUNDING
            matches[a] = b, "rounded kernel" if rounded else "scaled kernel"
    return matches


def _mean_cosine(layer: CapturedLayer, other: CapturedLayer) -> float:
    """The mean cosine between the output channels of two kernels.

    Whatever their sign and whether or not one is flipped; 0 where they cannot be compared.
    """
    if layer.kernel.array.size != other.kernel.array.size:
        return 0.0
    w, v = layer.output_channels, other.output_channels
    if w is None or v is None or w.shape != v.shape:
        return 0.0
    flipped = v.reshape(len(v), -1, other.spatial_size)[:, :, ::-1].reshape(v.shape)
    return max(_mean_row_cosine(w, v), _mean_row_cosine(w, flipped))


def _mean_row_cosine(w: Array, v: Array) -> float:
    with np.errstate(all="ignore"):
        lengths = np.sqrt(np.square(w).sum(axis=1) * np.square(v).sum(axis=1))
        cosines = np.abs((w * v).sum(axis=1)) / lengths
    known = cosines[np.isfinite(cosines)]
    return float(known.mean()) if known.size else 0.0


def _largest_length_change(layer: CapturedLayer, other: CapturedLayer) -> float:
    """The largest change in length of an output channel between two kernels, as a share of it."""
    assert layer.output_channels is not None
    assert other.output_channels is not None
    w = np.sqrt(np.square(layer.output_channels).sum(axis=1))
    v = np.sqrt(np.square(other.output_channels).sum(axis=1))
    return float((np.abs(w - v) / np.maximum(w, np.finfo(np.float64).tiny)).max())


def _by_nearest_kernel(layers: UnpairedLayers) -> Matches:
    """Kernels that were rounded: the nearest of the same size, if it is near."""
    free = dict(layers.port)
    matches: Matches = {}
    for a, layer in layers.source.items():
        weights = layer.sorted_weights
        spread = float(np.std(weights)) or 1.0
        distances = [
            (float(np.abs(weights - other.sorted_weights).max()) / spread, b)
            for b, other in free.items()
            if other.sorted_weights.size == weights.size
        ]
        distance, b = min(distances, default=(np.inf, -1))
        if distance <= MAX_ROUNDING:
            matches[a] = b, "rounded kernel"
            del free[b]
    return matches


def _by_order(layers: UnpairedLayers) -> Matches:
    """The remaining layers in their order, where their kernels have as many weights."""
    both = zip(layers.source.items(), layers.port.items(), strict=False)
    return {
        a: (b, "order")
        for (a, layer), (b, other) in both
        if layer.kernel.array.size == other.kernel.array.size
    }


# The rules in the order in which they are tried, each on what those before it left unpaired.
RULES: tuple[Callable[[UnpairedLayers], Matches], ...] = (
    _by_name_and_kernel,
    _by_equal_kernel,
    _by_channel_directions,
    _by_name_and_size,
    _by_nearest_kernel,
)


def _with_names_restored(pairs: Sequence[LayerPair]) -> list[LayerPair]:
    """The pairs, by name instead of by kernel where the port's weights were exchanged.

    Equal kernels then pair layers crosswise.  Their names are right, and not their kernels, if the
    inputs of the first such layer agree by name and do not by kernel.
    """
    ports = {pair.port.name: pair.port for pair in pairs}
    by_name = {
        pair.source.name: LayerPair(pair.source, ports[pair.source.name], "name")
        for pair in pairs
        if pair.source.name in ports
    }
    crossed = [
        pair
        for pair in pairs
        if pair.source.name in by_name and by_name[pair.source.name].port is not pair.port
    ]
    if not crossed or not _are_exchanged(crossed, by_name):
        return list(pairs)
    return [by_name[pair.source.name] if pair in crossed else pair for pair in pairs]


def _are_exchanged(crossed: Sequence[LayerPair], by_name: Mapping[str, LayerPair]) -> bool:
    named = [by_name[pair.source.name] for pair in crossed]
    if {pair.port.name for pair in crossed} != {pair.source.name for pair in crossed}:
        return False
    if any(pair.source.kernel.array.size != pair.port.kernel.array.size for pair in named):
        return False
    try:
        by_name_agrees = LayerInputs(named[0]).input_is_rounding(0.0)
        return by_name_agrees and not LayerInputs(crossed[0]).input_is_rounding(0.0)
    except ConvdiffError:
        return False
