"""What the port's own kernel and bias are of the source's: so said, a layer's fault in its weights
need not be searched for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from convdiff.arrays import read
from convdiff.numerics.precision import UNIT_ROUNDOFF, to_bfloat16, to_float16
from convdiff.port.pairing import CapturedLayer, Pairing
from convdiff.spec.canonical import normal_kernel
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array

# Decimals that weights are rounded to where they are printed.
DECIMALS = range(1, 9)
# Units that a product of a weight and a factor may be off by, computed in another order.
FOLDING = 16
UNLOADED = "bias is all zeros (never loaded?)"


@dataclass(frozen=True)
class OwnWeights:
    """The port's own kernel and bias, by their files, the layout and the flip of its kernel, and
    what they are of the source's.

    `sure` where no rearrangement of the source's weights gives them; `folded` where a normalization
    would: one factor for each output channel, and any bias.
    """

    kernel: str
    bias: str | None
    kernel_layout: str
    flip: bool
    said: str
    sure: bool = True
    folded: bool = False


def own(
    pair: Pairing, specs: tuple[ConvSpec, ConvSpec], source: Sequence[CapturedLayer]
) -> OwnWeights | None:
    """None where the weights are the source's, or no layer's of this size; `source` are its layers."""
    asked, theirs = specs
    keys = pair.port.entry.keys
    found = _related(pair, asked, theirs, source)
    if found is None:
        return None
    said, sure, folded = found
    return OwnWeights(
        keys["kernel"], keys.get("bias"), theirs.kernel_layout, theirs.flip, said, sure, folded
    )


def _related(
    pair: Pairing, asked: ConvSpec, theirs: ConvSpec, source: Sequence[CapturedLayer]
) -> tuple[str, bool, bool] | None:
    w, v = (
        normal_kernel(spec, layer.kernel.array)
        for spec, layer in zip((asked, theirs), pair[:2], strict=True)
    )
    if (w.shape, asked.groups, asked.transposed) != (v.shape, theirs.groups, theirs.transposed):
        return None
    b, c = (
        read(name, "bias").array.reshape(-1) if (name := layer.entry.keys.get("bias")) else None
        for layer in pair[:2]
    )
    others = [layer for layer in source if layer is not pair.source]
    if pair.source.fingerprint == pair.port.fingerprint:
        # One that is missing, or was added, is a mistake that the diagnosis knows.
        said = None if b is None or c is None else _bias(b, c, others)
        if said and np.array_equal(w, v):
            # Nothing but zeros is as good as none, which the diagnosis knows.
            return f"the port's {said}", said != UNLOADED, False
        return "the port's kernel has the source's weights in another order", False, False
    unit = max(UNIT_ROUNDOFF.get(layer.kernel.stored, 0.0) for layer in pair[:2])
    rounded = _rounded(w, v)
    if not rounded and _folded(w, v, unit):
        return "a normalization is folded into the port's kernel", True, True
    flipped = np.flip(w, tuple(range(2, w.ndim)))
    if not rounded and w[0, 0].size > 1 and _folded(flipped, v, unit):
        return "a normalization is folded into the port's kernel, which is flipped", True, False
    same = next(
        (layer.name for layer in others if layer.fingerprint == pair.port.fingerprint), None
    )
    if rounded:
        said = f"the port's kernel is the source's, rounded to {rounded}"
    elif same:
        said = f"the port's kernel is that of {same}"
    else:
        said = f"the port's kernel has other weights ({_differing(w, v, unit)})"
    also = _bias(b, c, others)
    return f"{said}; its {also}" if also else said, True, False


def _folded(w: Array, v: Array, unit: float) -> bool:
    """Whether each output channel of `v` is that of `w` times a number; ones would be rounding."""
    w, v = (array.reshape(array.shape[0], -1).astype(np.float64) for array in (w, v))
    if w.shape[1] < 2 or not np.isfinite(w).all() or not np.isfinite(v).all():
        return False
    factors = (w * v).sum(axis=1) / np.maximum(np.square(w).sum(axis=1), np.finfo(np.float64).tiny)
    rest = np.abs(v - factors[:, None] * w).max(axis=1)
    changed = np.abs(factors - 1).max() > FOLDING * unit
    return bool(
        changed and factors.any() and (rest <= FOLDING * unit * np.abs(v).max(axis=1)).all()
    )


def _rounded(values: Array, obtained: Array) -> str | None:
    """What `values` were rounded to, if that gives `obtained`."""
    for name, rounding in (("float16", to_float16), ("bfloat16", to_bfloat16)):
        if np.array_equal(rounding(values), obtained):
            return name
    for decimals in DECIMALS:
        if np.array_equal(
            values.astype(np.float64).round(decimals).astype(obtained.dtype), obtained
        ):
            return f"{decimals} decimal{'s' if decimals > 1 else ''}"
    return None


def _bias(
    asked: Array | None, obtained: Array | None, others: Sequence[CapturedLayer]
) -> str | None:
    """What the port's bias is, if not the source's."""
    if obtained is None:
        return None if asked is None or not asked.any() else "bias is missing"
    if asked is None:
        return "bias was not asked for" if obtained.any() else None
    if asked.shape != obtained.shape or np.array_equal(asked, obtained):
        return None
    rounded = _rounded(asked, obtained)
    if rounded:
        return f"bias is the source's, rounded to {rounded}"
    if not obtained.any():
        return UNLOADED
    for layer in others:
        name = layer.entry.keys.get("bias")
        if name and np.array_equal(read(name, "bias").array.reshape(-1), obtained):
            return f"bias is that of {layer.name}"
    return f"bias is another ({_differing(asked, obtained, 0.0)})"


def _differing(asked: Array, obtained: Array, unit: float) -> str:
    """How many numbers differ by more than rounding, and by how much."""
    with np.errstate(all="ignore"):
        apart = np.abs(asked.astype(np.float64) - obtained)
        wrong = ~(apart <= FOLDING * unit * np.abs(asked))
    return f"{int(wrong.sum()):,} of {wrong.size:,} differ, by up to {float(apart.max()):.4g}"
