"""How the port's own kernel and bias relate to the source's.

They may be equal, rounded, another layer's, or have a normalization folded in.

So a fault in a layer's weights is read off instead of searched for, and whatever else is wrong with
the layer is found by its own weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from convdiff.arrays import read
from convdiff.errors import ConvdiffError
from convdiff.numerics.complex_parts import parts_along
from convdiff.numerics.precision import UNIT_ROUNDOFF, to_bfloat16, to_float16
from convdiff.port.captured_layer import CapturedLayer
from convdiff.port.layer_pair import LayerPair
from convdiff.spec.canonical import normal_kernel
from convdiff.spec.layout import Array

# Numbers of decimals that weights are rounded to where they are printed.
DECIMALS = range(1, 9)
# Units of rounding by which a product of a weight and a factor may differ when it is computed in
# another order.
MAX_FOLD_ERROR_UNITS = 16

KernelKind = Literal[
    "equal", "reordered", "rounded", "folded", "folded and flipped", "another layer's", "different"
]
BiasKind = Literal["missing", "added", "rounded", "zeros", "another layer's", "different"]


@dataclass(frozen=True)
class WeightDifference:
    """How many of `total` numbers differ by more than rounding, and the largest difference."""

    count: int
    total: int
    largest: float


@dataclass(frozen=True)
class KernelRelation:
    """How the port's kernel relates to the source's.

    "reordered": the same weights in another order.  "rounded": to the type or to the number of
    decimals `rounded_to`.  "folded": each output channel times a number, as a normalization folded
    in gives; "folded and flipped" the same, flipped in space.  "another layer's": that of the
    source's `layer`.
    """

    kind: KernelKind
    rounded_to: str | int = ""
    layer: str = ""
    difference: WeightDifference | None = None


@dataclass(frozen=True)
class BiasRelation:
    """How the port's bias relates to the source's, where they differ, as in `KernelRelation`."""

    kind: BiasKind
    rounded_to: str | int = ""
    layer: str = ""
    difference: WeightDifference | None = None


@dataclass(frozen=True)
class WeightRelation:
    """How the port's weights relate to the source's.

    `bias` is None where it is equal or does not matter.
    """

    kernel: KernelRelation
    bias: BiasRelation | None = None

    @property
    def conclusive(self) -> bool:
        """Whether the diagnosis could not explain these weights by rearranging the source's.

        It knows kernels in another order and missing biases, and all zeros are as good as missing.
        """
        if self.kernel.kind == "equal":
            return self.bias is not None and self.bias.kind != "zeros"
        return self.kernel.kind != "reordered"

    @property
    def folded(self) -> bool:
        """Whether a normalization was folded in: the layer's outputs are not the source's."""
        return self.kernel.kind == "folded"


@dataclass(frozen=True)
class OwnWeights:
    """The files of the port's kernel and bias, and how they relate to the source's.

    Also how the kernel is read.
    """

    kernel: str
    bias: str | None
    kernel_layout: str
    flip: bool
    relation: WeightRelation


def own_weights(pair: LayerPair, source_layers: Sequence[CapturedLayer]) -> OwnWeights | None:
    """The port's weights of a layer pair; None where they are the source's or cannot be related.

    `source_layers` are all layers of the source.  Weights cannot be related where the convolutions
    differ in more than weights or the files cannot be read; the layer's own check then reports it.
    """
    try:
        relation = _relation(pair, source_layers)
        if relation is None:
            return None
        keys, spec = pair.port.entry.keys, pair.specs[1]
        return OwnWeights(keys["kernel"], keys.get("bias"), spec.kernel_layout, spec.flip, relation)
    except ConvdiffError:
        return None


def _relation(pair: LayerPair, source_layers: Sequence[CapturedLayer]) -> WeightRelation | None:
    source_spec, port_spec = pair.specs
    w = parts_along(normal_kernel(source_spec, pair.source.kernel.array), 1)
    v = parts_along(normal_kernel(port_spec, pair.port.kernel.array), 1)
    if (w.shape, source_spec.groups, source_spec.transposed) != (
        v.shape,
        port_spec.groups,
        port_spec.transposed,
    ):
        return None
    other_layers = [layer for layer in source_layers if layer is not pair.source]
    biases = _bias(pair.source), _bias(pair.port)
    if pair.source.fingerprint == pair.port.fingerprint:
        if not np.array_equal(w, v):
            return WeightRelation(KernelRelation("reordered"))
        # A bias on one side alone is left to the diagnosis, which knows that mistake.
        comparable = biases[0] is not None and biases[1] is not None
        bias = _bias_relation(*biases, other_layers) if comparable else None
        return WeightRelation(KernelRelation("equal"), bias) if bias else None
    kernel = _kernel_relation(pair, w, v, other_layers)
    if kernel.kind in ("folded", "folded and flipped"):
        # A folded normalization has a bias of its own.
        return WeightRelation(kernel)
    return WeightRelation(kernel, _bias_relation(*biases, other_layers))


def _kernel_relation(
    pair: LayerPair, w: Array, v: Array, other_layers: Sequence[CapturedLayer]
) -> KernelRelation:
    """How the port's kernel v relates to the source's w, both (O, I, *space)."""
    unit = max(UNIT_ROUNDOFF.get(layer.kernel.stored, 0.0) for layer in (pair.source, pair.port))
    rounded_to = _rounded_to(w, v)
    if rounded_to is not None:
        return KernelRelation("rounded", rounded_to=rounded_to)
    if _is_folded(w, v, unit):
        return KernelRelation("folded")
    if w[0, 0].size > 1 and _is_folded(np.flip(w, tuple(range(2, w.ndim))), v, unit):
        return KernelRelation("folded and flipped")
    for layer in other_layers:
        if layer.fingerprint == pair.port.fingerprint:
            return KernelRelation("another layer's", layer=layer.name)
    return KernelRelation("different", difference=_difference(w, v, unit))


def _is_folded(w: Array, v: Array, unit: float) -> bool:
    """Whether each output channel of v is that of w times a number, and not all numbers are 1."""
    w, v = (array.reshape(array.shape[0], -1).astype(np.float64) for array in (w, v))
    if w.shape[1] < 2 or not np.isfinite(w).all() or not np.isfinite(v).all():
        return False
    factors = (w * v).sum(axis=1) / np.maximum(np.square(w).sum(axis=1), np.finfo(np.float64).tiny)
    residual = np.abs(v - factors[:, None] * w).max(axis=1)
    # Factors that are 1 within rounding are rounding.
    scaled = np.abs(factors - 1).max() > MAX_FOLD_ERROR_UNITS * unit
    fits = (residual <= MAX_FOLD_ERROR_UNITS * unit * np.abs(v).max(axis=1)).all()
    return bool(scaled and factors.any() and fits)


def _rounded_to(values: Array, obtained: Array) -> str | int | None:
    """The type, or number of decimals, to which rounding `values` gives `obtained`.

    None where there is none.
    """
    for name, rounding in (("float16", to_float16), ("bfloat16", to_bfloat16)):
        if np.array_equal(rounding(values), obtained):
            return name
    for decimals in DECIMALS:
        rounded = values.astype(np.float64).round(decimals).astype(obtained.dtype)
        if np.array_equal(rounded, obtained):
            return decimals
    return None


def _bias(layer: CapturedLayer) -> Array | None:
    """The layer's bias as a vector; None where it has none."""
    file = layer.entry.keys.get("bias")
    return parts_along(read(file, "bias").array.reshape(-1), 0) if file else None


def _bias_relation(
    expected: Array | None, obtained: Array | None, other_layers: Sequence[CapturedLayer]
) -> BiasRelation | None:
    """How the port's bias relates to the source's; None where it has the same effect."""
    if obtained is None:
        return None if expected is None or not expected.any() else BiasRelation("missing")
    if expected is None:
        return BiasRelation("added") if obtained.any() else None
    if expected.shape != obtained.shape or np.array_equal(expected, obtained):
        return None
    rounded_to = _rounded_to(expected, obtained)
    if rounded_to is not None:
        return BiasRelation("rounded", rounded_to=rounded_to)
    if not obtained.any():
        return BiasRelation("zeros")
    for layer in other_layers:
        bias = _bias(layer)
        if bias is not None and np.array_equal(bias, obtained):
            return BiasRelation("another layer's", layer=layer.name)
    return BiasRelation("different", difference=_difference(expected, obtained, 0.0))


def _difference(expected: Array, obtained: Array, unit: float) -> WeightDifference:
    with np.errstate(all="ignore"):
        distance = np.abs(expected.astype(np.float64) - obtained)
        differs = ~(distance <= MAX_FOLD_ERROR_UNITS * unit * np.abs(expected))
    return WeightDifference(int(differs.sum()), differs.size, float(distance.max()))
