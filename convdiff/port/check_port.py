"""Two captures of what should be one model: which layer diverges first, and why.

Each pair's question is the source's convolution, on the input that the port's layer really got,
held against what that layer made of it: so a layer is found wrong for what it does itself, never
for what it was fed.  Whether it was fed what the source's layer was is told beside.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from convdiff.check.cases import CheckCase, picks
from convdiff.check.request import CheckRequest
from convdiff.check.suite import Watch, here
from convdiff.errors import ConvdiffError, one_of
from convdiff.manifest import load
from convdiff.pipeline.request import Request
from convdiff.pipeline.select_backends import NONE, select_backends
from convdiff.port.external_cropping import cropping
from convdiff.port.external_padding import whole
from convdiff.port.folded_norm import suspects, unseen
from convdiff.port.layer_pair import LayerPair, fed, uncrossed
from convdiff.port.model_outputs import ModelOutputs
from convdiff.port.notes import apart, diverging, missing, told
from convdiff.port.own_weights import OwnWeights, own
from convdiff.port.pairing import CapturedLayer, pair
from convdiff.spec.settings import Settings
from convdiff.suite_result import CaseResult, Suite


def check_port(source: str, port: str, request: CheckRequest, watch: Watch) -> Suite:
    """Hold the capture in `port` against the one in `source`.  ConvdiffError where one cannot be
    read or no layers pair.
    """
    began = time.monotonic()
    manifests = [load(Path(folder)) for folder in (source, port)]
    sides = [[CapturedLayer(entry) for entry in manifest.entries] for manifest in manifests]
    for layers in sides:
        for layer in layers:
            if layer.entry.problem:
                raise ConvdiffError(layer.entry.problem)
    pairs, lost, extra = pair(*sides)
    if not pairs:
        raise ConvdiffError(
            f"--source {source} --port {port}: found no two kernels of one size, expected "
            "captures of one model"
        )
    for pattern in request.patterns:
        if not any(picks(one.source.name, pattern) for one in pairs):
            raise one_of("--case", pattern, [one.source.name for one in pairs])
    pairs = uncrossed(pairs)
    looks: list[LayerPair] = []
    for one in pairs:
        looks.append(LayerPair(one, tuple(looks)))
    given = ModelOutputs(manifests[0].outputs, manifests[1].outputs, looks)
    owns = _owns(looks, sides[0], given)
    picked = [
        at
        for at, one in enumerate(pairs)
        if not request.patterns or any(picks(one.source.name, p) for p in request.patterns)
    ]
    asked = [_asked(looks, at, owns[at], request, given) for at in picked]
    watch.begin(len(asked))
    done: list[CaseResult] = []
    outcomes = here(asked, request)
    for checked, at in zip(outcomes, picked, strict=False):
        looks[at].right = not checked.exit_code
        again = shlex.join(
            ["convdiff", "check", "--source", source, "--port", port, "--case", checked.name]
        )
        done.append(
            told(
                checked,
                looks[at],
                fed(looks, at),
                again,
                first=not any(one.exit_code for one in done),
            )
        )
        watch.add(done[-1])
        if request.fail_fast and done[-1].exit_code:
            outcomes.close()
            break
    left = len(asked) - len(done)
    notes = [f"{left} case{'s were' if left > 1 else ' was'} not run (--fail-fast)"] if left else []
    if not request.patterns:
        notes = [diverging(done, looks), *notes]
        # What is not there was not compared.
        done += [missing(layer) for layer in lost]
        notes += [f"{layer.name} of the source has no counterpart in the port" for layer in lost]
        if not left:
            done += apart(done, given, manifests[1].path)
            notes += [
                f"{looks[at].pair.source.name}: nothing recorded after it shows whether the "
                "normalization is folded rightly"
                for at in unseen(looks, given)
            ]
    notes += [f"{layer.name} of the port has no counterpart in the source" for layer in extra]
    code = max((checked.exit_code for checked in done), default=2)
    return Suite(
        tuple(done), code, request.command, tuple(filter(None, notes)), time.monotonic() - began
    )


def _owns(
    looks: Sequence[LayerPair], source: Sequence[CapturedLayer], given: ModelOutputs
) -> list[OwnWeights | None]:
    """The port's own weights of each pair, where they are others.

    What a normalization folded into a kernel should be is seen after it: where the numbers part
    there, and one fold alone may be why, that layer is asked as the source has it.  `doubt` says
    so, of several at what they feed.
    """
    found: list[OwnWeights | None] = []
    for look in looks:
        try:
            found.append(own(look.pair, look.specs, source))
        except ConvdiffError:
            # The layer's own check will tell.
            found.append(None)
        look.folded = found[-1] is not None and found[-1].folded
    doubtful, off = suspects(looks, given)
    if off is None or not doubtful:
        return found
    said = (
        "look for a normalization that is folded wrongly into "
        f"{' or '.join(looks[at].pair.source.name for at in doubtful)}"
    )
    if len(doubtful) == 1:
        (at,) = doubtful
        found[at], looks[at].folded = None, False
        seen = (
            f"{looks[off].pair.source.name} after it is fed other inputs"
            if off < len(looks)
            else "the models' outputs are others"
        )
        by = fed(looks, off) if off < len(looks) else given.fed
        looks[at].doubt = f"a normalization may be folded into its kernel, but {seen} ({by})"
    elif off < len(looks):
        looks[off].doubt = said
    else:
        given.doubt = said
    return found


def _asked(
    looks: Sequence[LayerPair],
    at: int,
    own: OwnWeights | None,
    request: CheckRequest,
    given: ModelOutputs,
) -> CheckCase:
    """The source's convolution on the port's input, and the port's output."""
    look = looks[at]
    source, port, _ = look.pair
    theirs, ours = source.entry.keys, port.entry.keys
    try:
        frames = look.frames
        name, output = port.output
        if not output:
            raise ConvdiffError(
                "saved: found none in the port, expected a folder that convdiff capture wrote"
            )
        said = Settings.fields_in(theirs)
        said |= {"input_layout": ours["input_layout"], "output_layout": ours.get("output_layout")}
        # Said in a word, it is so said of the port's sizes too.
        if (
            frames is not None
            and frames.source
            and (padding := whole(look.specs[0], frames.source))
        ):
            said["padding"], said["pad_mode"] = padding
        cut = cropping(looks, at, given)
        if cut is not None:
            said |= {
                "padding": cut.padding,
                "output_padding": cut.output_padding,
                "output_size": None,
            }
        made = Request(
            input=ours["input"],
            kernel=theirs["kernel"],
            bias=theirs.get("bias"),
            settings=Settings(**said),
            saved=(f"{name}={output}",),
            backends=(NONE,),
            fail_on=request.fail_on or "different",
            pictures=request.pictures,
        )
        # What the source allows of itself is no matter here.
        entry = replace(
            source.entry, keys={key: value for key, value in theirs.items() if key != "allow"}
        )
        crop = frames.port.pairs if frames is not None and frames.port else ()
        return CheckCase(
            entry, made, select_backends(made), own=own, crop=crop, cut=cut.output if cut else ()
        )
    except ConvdiffError as error:
        return CheckCase(source.entry, trouble=source.entry.located(str(error)))
