"""Faults that a case's arrays cannot show, so that agreement on them proves less than it seems.

Symmetric kernels hide a flip; constant data hides permuted channels and wrong groups.
"""

from __future__ import annotations

import numpy as np

from convdiff.spec.canonical import normal_input, normal_kernel, reversed_space
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array


def blind_spots(spec: ConvSpec, input: Array, kernel: Array) -> list[str]:
    """Sentences for the notes, one for each fault that arrays in the layouts of `spec` hide."""
    notes = []
    w = normal_kernel(spec, kernel)
    if w.size > 1 and np.all(w == w.flat[0]):
        notes.append(
            "the kernel's values are all equal: flipping or permuting it changes nothing here"
        )
    elif max(spec.kernel_size) > 1 and np.array_equal(w, reversed_space(w, flip=True)):
        notes.append("the kernel is symmetric: flipping it changes nothing here")
    x = normal_input(spec, input)
    first = x.flat[0]
    # Comparing one batch item first is much faster for arrays that are not constant.
    if x.size > 1 and np.all(x[0] == first) and np.all(x == first):
        notes.append(
            "the input's values are all equal: the output shows only sums of the kernel's values"
        )
    elif spec.in_channels > 1 and np.all(x[0] == x[0, :1]) and np.all(x == x[:, :1]):
        notes.append(
            "the input's channels are all alike: taking them in another order changes nothing here"
        )
    return notes
