"""What a case's arrays cannot show, whatever the outcome: agreement on such arrays proves less than
it seems.

Each of these has hidden a real fault from someone: symmetric kernels a flip, all-ones data a
permutation or wrong groups.
"""

from __future__ import annotations

import numpy as np

from convdiff.spec.canonical import normal_input, normal_kernel, reversed_space
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array


def blind_spots(spec: ConvSpec, input: Array, kernel: Array) -> list[str]:
    """Sentences for the notes; empty for arrays that hide nothing known.  `input` and `kernel` lie
    in the spec's layouts.
    """
    found = []
    w = normal_kernel(spec, kernel)
    if w.size > 1 and np.all(w == w.flat[0]):
        found.append(
            "the kernel's values are all equal: flipping or permuting it changes nothing here"
        )
    elif max(spec.kernel_size) > 1 and np.array_equal(w, reversed_space(w, flip=True)):
        found.append("the kernel is symmetric: flipping it changes nothing here")
    x = normal_input(spec, input)
    first = x.flat[0]
    if x.size > 1 and np.all(x[0] == first) and np.all(x == first):
        found.append(
            "the input's values are all equal: only the kernel's sums show, and the border"
        )
    elif spec.in_channels > 1 and np.all(x[0] == x[0, :1]) and np.all(x == x[:, :1]):
        found.append(
            "the input's channels are all alike: taking them in another order changes nothing here"
        )
    return found
