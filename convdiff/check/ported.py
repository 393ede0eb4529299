"""Two captures of what should be one model: which layer diverges first, and why.

Each pair's question is the source's convolution, on the input that the port's layer really got, held against what that layer made of it:
so a layer is found wrong for what it does itself, never for what it was fed.  Whether it was fed what the source's layer was is told
beside.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from convdiff.arrays import compute_dtype, read
from convdiff.case import Stored
from convdiff.check.entries import Asked, picks
from convdiff.check.moved import cropped, frame
from convdiff.check.pairing import Layer, Pair, pair
from convdiff.check.request import CheckRequest
from convdiff.check.suite import Watch, here
from convdiff.checked import Checked, Suite
from convdiff.errors import ConvdiffError, one_of
from convdiff.layout import Array, to_order
from convdiff.manifest import load
from convdiff.pipeline.choosing import NONE, choose
from convdiff.pipeline.request import Request
from convdiff.precision import UNIT
from convdiff.reading import read_spec
from convdiff.report.suite_table import cause
from convdiff.settings import Settings
from convdiff.spec import ConvSpec

# Inputs whose difference is this share of their size (root mean square) are not the same: rounding, piled up over some tens of
# float32 layers, stays a hundred times below; a fault upstream is far above.
APART = 1e-3


@dataclass(frozen=True)
class Fed:
    """How far the port's input is from the source's, as a share of its size; None where the shapes differ."""

    apart: float | None
    limit: float

    @property
    def same(self) -> bool:
        """Whether rounding may be all."""
        return self.apart is not None and self.apart <= self.limit

    def __str__(self) -> str:
        if self.apart is None or not np.isfinite(self.apart):
            return "of another shape" if self.apart is None else "NaN or infinite"
        return f"{self.apart:.1%} off" if self.apart < 0.1 else f"{self.apart:.0%} off"


def check_port(source: str, port: str, request: CheckRequest, watch: Watch) -> Suite:
    """Hold the capture in `port` against the one in `source`.  ConvdiffError where one cannot be read or no layers pair."""
    began = time.monotonic()
    sides = [[Layer(entry) for entry in load(Path(folder)).entries] for folder in (source, port)]
    for layers in sides:
        for layer in layers:
            if layer.entry.problem:
                raise ConvdiffError(layer.entry.problem)
    pairs, lost, extra = pair(*sides)
    if not pairs:
        raise ConvdiffError(f"--source {source} --port {port}: found no two kernels of one size, expected captures of one model")
    every = len(pairs)
    for pattern in request.patterns:
        if not any(picks(one.source.name, pattern) for one in pairs):
            raise one_of("--case", pattern, [one.source.name for one in pairs])
    pairs = [one for one in pairs if not request.patterns or any(picks(one.source.name, p) for p in request.patterns)]
    seen = [_look(one) for one in pairs]
    fed = [Fed(None, 0.0) if isinstance(look, ConvdiffError) else look.fed for look in seen]
    asked = [_asked(one, look, request) for one, look in zip(pairs, seen, strict=True)]
    watch.begin(len(pairs))
    done = []
    for checked, one, inputs in zip(here(asked, request), pairs, fed, strict=True):
        again = shlex.join(["convdiff", "check", "--source", source, "--port", port, "--case", one.source.name])
        done.append(_told(checked, one, inputs, again))
        watch.add(done[-1])
    notes = [first(done, fed) if len(pairs) == every else ""]
    notes += [f"{layer.name} of the source has no counterpart in the port" for layer in lost]
    notes += [f"{layer.name} of the port has no counterpart in the source" for layer in extra]
    code = max((checked.exit_code for checked in done), default=2)
    code = max(code, 0 if all(inputs.same for inputs in fed) else 1)
    if lost and not request.patterns:
        # What is not there was not compared.
        code = max(code, 1)
    return Suite(tuple(done), code, request.command, tuple(filter(None, notes)), time.monotonic() - began)


@dataclass(frozen=True)
class Seen:
    """What the port's layer was fed, and the source's padding on that input where one side pads in a layer of its own."""

    fed: Fed
    padding: tuple[tuple[int, int], ...] | None


def _look(one: Pair) -> Seen | ConvdiffError:
    try:
        return _seen(one)
    except ConvdiffError as error:
        return error


def first(done: Sequence[Checked], fed: Sequence[Fed]) -> str:
    """The first layer that diverges and why, in a sentence; empty where none does."""
    for number, (checked, inputs) in enumerate(zip(done, fed, strict=True), 1):
        where = f"{checked.name}, convolution {number} of {len(done)}"
        if not inputs.same and not any(one.exit_code for one in done[: number - 1]):
            before = f"after {done[number - 2].name}, which is right" if number > 1 else "before the first convolution"
            also = f"; and it is wrong itself: {_why(checked)}" if checked.exit_code else ", and it is right itself"
            return f"the first that diverges is {where}: its inputs are {inputs}, so look {before}{also}"
        if checked.exit_code:
            return f"the first that diverges is {where}: {_why(checked)}"
    return ""


def _why(checked: Checked) -> str:
    return checked.trouble or "; ".join(dict.fromkeys(cause(row) for row in checked.failing)) or "it could not be checked"


def _told(checked: Checked, one: Pair, inputs: Fed, again: str) -> Checked:
    """The outcome with what is known of the pair."""
    notes = [] if one.source.name == one.port.name else [f"paired with {one.port.name} by {one.by}"]
    if not inputs.same:
        notes.append(f"{'wrong itself, and' if checked.exit_code else 'right itself, but'} fed other inputs ({inputs})")
    elif checked.exit_code:
        notes.append("wrong itself: it was fed the same inputs")
    report = replace(checked.report, command=again) if checked.report else None
    return replace(checked, report=report, notes=tuple(notes), stale=(), allowed=())


def _seen(one: Pair) -> Seen:
    """Both inputs in one order of axes, the frame between them, and what the source's convolution is on the port's input."""
    arrays, keys = [], [one.source.entry.keys, one.port.entry.keys]
    for layer in keys:
        layout = layer.get("input_layout", "")
        stored = read(layer["input"], "input")
        if len(layout) != stored.array.ndim:
            raise ConvdiffError("input_layout: found none, expected a folder that convdiff capture wrote")
        arrays.append((stored, to_order(stored.array, layout, "NC" + "".join(axis for axis in "DHW" if axis in layout))))
    (stored, x), (other, y) = arrays
    spec = _spec(keys[0], stored, one.source)
    limit = max(APART, 8 * max(UNIT.get(each.stored, 0.0) for each in (stored, other)))
    if x.shape == y.shape or spec.transposed:
        return Seen(_fed(x, y, limit), None)
    theirs = _spec(keys[1], other, one.port)
    if x.shape[2:] and len(theirs.padding) != len(spec.padding):
        return Seen(Fed(None, limit), None)
    wanted = [(lo - a, hi - b) for (lo, hi), (a, b) in zip(spec.padding, theirs.padding, strict=True)]
    pairs = frame(x, y, wanted)
    if pairs is None:
        return Seen(Fed(None, limit), None)
    padding = tuple((lo - a, hi - b) for (lo, hi), (a, b) in zip(spec.padding, pairs, strict=True))
    less = [(-lo, -hi) for lo, hi in pairs]
    return Seen(_fed(cropped(x, less), cropped(y, pairs), limit), padding)


def _spec(keys: Mapping[str, Any], input: Stored, layer: Layer) -> ConvSpec:
    """The layer's own convolution, in numbers."""
    settings = Settings(**{name: value for key, value in keys.items() if (name := "as_" if key == "as" else key) in Settings.names()})
    dtype = compute_dtype(input, layer.kernel, settings.dtype)
    return read_spec(input.array.shape, layer.kernel.array.shape, settings, bias="bias" in keys, dtype=dtype)[0]


def _fed(x: Array, y: Array, limit: float) -> Fed:
    if x.shape != y.shape:
        return Fed(None, limit)
    with np.errstate(all="ignore"):
        size = float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))
        apart = float(np.sqrt(np.mean(np.square(x.astype(np.float64) - y))))
    return Fed(apart / size if size else apart, limit) if np.isfinite(apart) else Fed(float("inf"), limit)


def _asked(one: Pair, seen: Seen | ConvdiffError, request: CheckRequest) -> Asked:
    """The source's convolution on the port's input, and the port's output."""
    theirs, ours = one.source.entry.keys, one.port.entry.keys
    try:
        if isinstance(seen, ConvdiffError):
            raise seen
        name, output = one.port.output
        if not output:
            raise ConvdiffError("saved: found none in the port, expected a folder that convdiff capture wrote")
        options = {("as_" if key == "as" else key): value for key, value in theirs.items()}
        said = {key: value for key, value in options.items() if key in Settings.names()}
        said |= {"input_layout": ours["input_layout"], "output_layout": ours.get("output_layout")}
        said |= {"padding": seen.padding} if seen.padding is not None else {}
        made = Request(
            input=ours["input"], kernel=theirs["kernel"], bias=theirs.get("bias"), settings=Settings(**said), saved=(f"{name}={output}",),
            backends=(NONE,), fail_on=request.fail_on or "different", pictures=request.pictures,
        )
        # What the source allows of itself is no matter here.
        entry = replace(one.source.entry, keys={key: value for key, value in theirs.items() if key != "allow"})
        return Asked(entry, made, choose(made))
    except ConvdiffError as error:
        return Asked(one.source.entry, trouble=one.source.entry.located(str(error)))
