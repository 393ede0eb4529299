"""Each output channel scaled and shifted by itself, as a BatchNorm does that was folded into the layer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from convdiff.diagnose.candidate import Candidate
from convdiff.diagnose.equations import elements, equations
from convdiff.diagnose.forms import OutputForm
from convdiff.diagnose.making import Making
from convdiff.diagnose.outputs import ChannelsScaled
from convdiff.diagnose.placed import Bundle
from convdiff.diagnose.search import Search

# Elements of one channel that a line is laid through, and how near it must come to them, as a share of their spread; values
# that were stored in 16 bits lie no nearer.
LOOKED_AT = 12
CLOSE = 1e-2
CLOSE_IF_NARROW = 4e-2


def scaled_channels(search: Search, making: Making) -> Iterator[Candidate]:
    """The asked convolution with the output's channels scaled, if a few elements of one channel lie on a line."""
    geometry = search.asked_geometry()
    groups = search.output_groups(0, 0)
    if geometry is None or not groups or not np.isfinite(search.problem.obtained).all():
        return
    (plain,) = groups[0].forms
    shape = plain.array.shape
    places = shape[0] * int(np.prod(shape[2:]))
    if places < LOOKED_AT // 2:
        return
    chosen = np.random.default_rng(13).permutation(places)[:LOOKED_AT]
    (x,), (w,) = search.forms("inputs", 0, 0), search.forms("kernels", 0, 0)
    spec = search.problem.spec
    inner = w.array.shape[1]
    rows = equations(search.problem, geometry, chosen, shape)[0, :, :-1].reshape(len(chosen), spec.in_channels, -1)
    values = rows[:, :inner].reshape(len(chosen), -1) @ w.array.along(0, slice(1)).whole().astype(np.float64).reshape(-1)
    got = Bundle([plain.array]).look_up(*elements(chosen, shape, channel=0))[0]
    if not np.isfinite(values).all():
        return
    line = np.stack([values, np.ones(len(values))], axis=1)
    found = np.linalg.lstsq(line, got, rcond=None)[0]
    if np.abs(line @ found - got).max() <= (CLOSE_IF_NARROW if making.rounding.narrow else CLOSE) * np.std(got):
        form: OutputForm = plain.plus({"code": ChannelsScaled.code}, 0.6, values="lines", bias_factor=0)
        yield Candidate(x, w, geometry.form(0), form, making, form.cost + making.cost)
