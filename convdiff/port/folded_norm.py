"""Whether the normalizations that a port folded into its kernels are the source's: seen only where
what they feed is seen.

A fold's output is not to be the source's, so whatever later input is off may be its doing, unless
an input between is made of its output and is right.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from convdiff.errors import ConvdiffError
from convdiff.port.layer_pair import LayerPair, fed
from convdiff.port.model_outputs import ModelOutputs
from convdiff.spec.layout import Array

# Numbers of an array that are looked at along each axis, and the fewest that are not the smallest
# that tell what they are made of.
ALONG, TELLING = 12, 24
# What an activation of sorted numbers goes up and down by, as a multiple of its range: the usual
# ones have one or two bends.
BENDS = 4.0


def suspects(looks: Sequence[LayerPair], given: ModelOutputs) -> tuple[list[int], int | None]:
    """The folds that may be wrong, and what is off first because of them: an input, or after the
    last the models' outputs.

    None of them, and None, where all is borne out or something else explains what is off.
    """
    folds = [at for at, look in enumerate(looks) if look.folded]
    off = _first_off(looks, given) if folds else None
    if off is None or any(_wrong_itself(look) for look in looks[:off]):
        return [], None
    found = [
        at
        for at in folds
        if at < off and not any(_made_of(looks, between, at) for between in range(at + 1, off))
    ]
    return found, off


def unseen(looks: Sequence[LayerPair], given: ModelOutputs) -> list[int]:
    """The last layer, where it is a fold and nothing was recorded after it."""
    last = len(looks) - 1
    return [last] if looks[last].folded and given.fed is None else []


def _first_off(looks: Sequence[LayerPair], given: ModelOutputs) -> int | None:
    for at in range(len(looks)):
        if not fed(looks, at).same:
            return at
    return len(looks) if given.fed is not None and not given.fed.same else None


def _wrong_itself(look: LayerPair) -> bool:
    """Whether a layer that is fed rightly, with no fold in it, gives something else."""
    try:
        return (
            not look.folded
            and look.after is not None
            and not look.small(look.after, look.apart or 0.0)
        )
    except ConvdiffError:
        return True


def _made_of(looks: Sequence[LayerPair], at: int, fold: int) -> bool:
    """Whether the port's input `at` is made of the output of `fold`: an activation of it, or of its
    sum with something recorded before.

    Or it follows at once and is of a shape that nothing before has had: pooled.  A branch beside
    starts from what has its shape.
    """
    try:
        x, y = looks[at].cores[1], looks[fold].outputs[1]
        if x.shape != y.shape:
            had = {array.shape for look in looks[:at] for array in (look.cores[1], look.outputs[1])}
            return at == fold + 1 and x.shape not in had
        a, b = _sample(x), _sample(y)
        return any(_activated(a, b + other) for other in _others(looks[:at], x.shape))
    except ConvdiffError:
        return False


def _others(looks: Sequence[LayerPair], shape: tuple[int, ...]) -> Iterator[Array | float]:
    """Nothing, then what of this shape is recorded in the port."""
    yield 0.0
    for look in looks:
        for array in (look.cores[1], look.outputs[1]):
            if array.shape == shape:
                yield _sample(array)


def _activated(x: Array, of: Array) -> bool:
    """Whether x is a function of the other, number by number: in the order of those it goes up and
    down but little.
    """
    values = x.ravel()[np.argsort(of, axis=None, kind="stable")].astype(np.float64)
    span = values.max() - values.min()
    if not span > 0 or np.count_nonzero(values > values.min() + span / 1000) < min(
        TELLING, values.size // 2
    ):
        return False
    return bool(np.abs(np.diff(values)).sum() <= BENDS * span)


def _sample(array: Array) -> Array:
    steps = [max(1, size // ALONG) for size in array.shape]
    return np.asarray(array[tuple(slice(None, None, step) for step in steps)])
