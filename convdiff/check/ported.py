"""Two captures of what should be one model: which layer diverges first, and why.

Each pair's question is the source's convolution, on the input that the port's layer really got, held against what that layer made of it:
so a layer is found wrong for what it does itself, never for what it was fed.  Whether it was fed what the source's layer was is told
beside.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from convdiff.check.entries import Asked, picks
from convdiff.check.fed import Fed, Look, fed, uncrossed
from convdiff.check.framing import Frame, whole
from convdiff.check.owning import Own, own
from convdiff.check.pairing import Layer, pair
from convdiff.check.request import CheckRequest
from convdiff.check.suite import Watch, here
from convdiff.check.telling import as_written
from convdiff.checked import Checked, Suite
from convdiff.errors import ConvdiffError, one_of
from convdiff.manifest import load
from convdiff.pipeline.choosing import NONE, choose
from convdiff.pipeline.request import Request
from convdiff.report.suite_table import cause
from convdiff.settings import Settings


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
    for pattern in request.patterns:
        if not any(picks(one.source.name, pattern) for one in pairs):
            raise one_of("--case", pattern, [one.source.name for one in pairs])
    pairs = uncrossed(pairs)
    looks: list[Look] = []
    for one in pairs:
        looks.append(Look(one, tuple(looks)))
    owns = _owns(looks, sides[0])
    picked = [at for at, one in enumerate(pairs) if not request.patterns or any(picks(one.source.name, p) for p in request.patterns)]
    asked = [_asked(looks[at], owns[at], request) for at in picked]
    watch.begin(len(asked))
    done: list[Checked] = []
    inputs: list[Fed] = []
    outcomes = here(asked, request)
    for checked, at in zip(outcomes, picked, strict=False):
        looks[at].right = not checked.exit_code
        inputs.append(fed(looks, at))
        again = shlex.join(["convdiff", "check", "--source", source, "--port", port, "--case", checked.name])
        done.append(_told(checked, looks[at], inputs[-1], again))
        watch.add(done[-1])
        if request.fail_fast and (checked.exit_code or not inputs[-1].same):
            outcomes.close()
            break
    left = len(asked) - len(done)
    notes = [first(done, inputs, len(pairs)) if len(picked) == len(pairs) else ""]
    notes += [f"{left} case{'s were' if left > 1 else ' was'} not run (--fail-fast)"] if left else []
    notes += [f"{layer.name} of the source has no counterpart in the port" for layer in lost]
    notes += [f"{layer.name} of the port has no counterpart in the source" for layer in extra]
    code = max((checked.exit_code for checked in done), default=2)
    code = max(code, 0 if all(one.same for one in inputs) else 1)
    if lost and not request.patterns:
        # What is not there was not compared.
        code = max(code, 1)
    return Suite(tuple(done), code, request.command, tuple(filter(None, notes)), time.monotonic() - began)


def _owns(looks: Sequence[Look], source: Sequence[Layer]) -> list[Own | None]:
    """The port's own weights of each pair, where they are others.

    What a normalization folded into a kernel should be is seen after it: where the numbers part there, the layer is asked as the source
    has it, and `doubt` says so.
    """
    found: list[Own | None] = []
    for look in looks:
        try:
            found.append(own(look.pair, look.specs, source))
        except ConvdiffError:
            # The layer's own check will tell.
            found.append(None)
        look.folded = found[-1] is not None and found[-1].folded
    for at, one in enumerate(found[:-1]):
        if one is not None and one.folded and fed(looks, at).same and not (after := fed(looks, at + 1)).same:
            found[at], looks[at].folded = None, False
            said = f"a normalization may be folded into its kernel, but {looks[at + 1].pair.source.name} after it is fed other inputs"
            looks[at].doubt = f"{said} ({after})"
    return found


def first(done: Sequence[Checked], fed: Sequence[Fed], total: int) -> str:
    """The first layer of `total` that diverges and why, in a sentence; empty where none does."""
    for number, (checked, inputs) in enumerate(zip(done, fed, strict=True), 1):
        where = f"{checked.name}, convolution {number} of {total}"
        if not inputs.same and not any(one.exit_code for one in done[: number - 1]):
            before = f"after {done[number - 2].name}, which is right" if number > 1 else "before the first convolution"
            also = f"; and it is wrong itself: {_why(checked)}" if checked.exit_code else ", and it is right itself"
            return f"the first that diverges is {where}: its inputs are {inputs}, so look {before}{also}"
        if checked.exit_code:
            return f"the first that diverges is {where}: {_why(checked)}"
    return ""


def _why(checked: Checked) -> str:
    return checked.trouble or "; ".join(dict.fromkeys(cause(row) for row in checked.failing)) or "it could not be checked"


def _told(checked: Checked, look: Look, inputs: Fed, again: str) -> Checked:
    """The outcome with what is known of the pair."""
    one = look.pair
    notes = [] if one.source.name == one.port.name else [f"paired with {one.port.name} by {one.by}"]
    notes += [f"the {side} pads in a layer of its own ({frame})" for side, frame in look.padded if checked.exit_code]
    if not inputs.same:
        notes.append(f"{'wrong itself, and' if checked.exit_code else 'right itself, but'} fed other inputs ({inputs})")
    elif checked.exit_code:
        notes.append(look.doubt or "wrong itself: it was fed the same inputs")
    if not checked.exit_code:
        notes += dict.fromkeys(row.message for row in checked.rows if row.message and look.folded)
    report = checked.report
    if report is not None:
        written = whole(look.specs[1], look.frames.port if look.frames else Frame(())) if checked.exit_code else None
        report = as_written(report, written[0]) if written else report
        report = replace(report, command=again)
    return replace(checked, report=report, notes=tuple(notes), stale=(), allowed=())


def _asked(look: Look, own: Own | None, request: CheckRequest) -> Asked:
    """The source's convolution on the port's input, and the port's output."""
    source, port, _ = look.pair
    theirs, ours = source.entry.keys, port.entry.keys
    try:
        frames = look.frames
        name, output = port.output
        if not output:
            raise ConvdiffError("saved: found none in the port, expected a folder that convdiff capture wrote")
        options = {("as_" if key == "as" else key): value for key, value in theirs.items()}
        said = {key: value for key, value in options.items() if key in Settings.names()}
        said |= {"input_layout": ours["input_layout"], "output_layout": ours.get("output_layout")}
        # Said in a word, it is so said of the port's sizes too.
        if frames is not None and frames.source and (padding := whole(look.specs[0], frames.source)):
            said["padding"], said["pad_mode"] = padding
        made = Request(
            input=ours["input"], kernel=theirs["kernel"], bias=theirs.get("bias"), settings=Settings(**said), saved=(f"{name}={output}",),
            backends=(NONE,), fail_on=request.fail_on or "different", pictures=request.pictures,
        )
        # What the source allows of itself is no matter here.
        entry = replace(source.entry, keys={key: value for key, value in theirs.items() if key != "allow"})
        crop = frames.port.pairs if frames is not None and frames.port else ()
        return Asked(entry, made, choose(made), own=own, crop=crop)
    except ConvdiffError as error:
        return Asked(source.entry, trouble=source.entry.located(str(error)))
