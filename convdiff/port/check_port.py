"""Two captures of what should be one model: which layer of the port diverges first, and why."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from convdiff.check.cases import CheckCase, matching_positions
from convdiff.check.request import CheckRequest
from convdiff.check.suite import ProgressWatcher, not_run_notes, run_locally
from convdiff.errors import ConvdiffError
from convdiff.manifest import load
from convdiff.port import wording
from convdiff.port.captured_layer import CapturedLayer
from convdiff.port.layer_case import layer_case
from convdiff.port.layer_outcome import LayerOutcome, first_divergence
from convdiff.port.layer_plan import PortPlan, plan_port
from convdiff.port.notes import (
    conclude_layer,
    missing_layer_result,
    outputs_result,
    unconfirmed_fold,
)
from convdiff.port.pairing import Pairing, pair_layers
from convdiff.suite_result import CaseResult, Suite


@dataclass(frozen=True)
class Capture:
    """A folder that `convdiff capture` wrote: its layers and the files of the model's outputs."""

    folder: str
    manifest: Path
    layers: tuple[CapturedLayer, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class PortCheck:
    """A check under way: both captures, how their layers pair, and how each is to be judged.

    `selected` are the positions of the layers to judge, all of them unless --case selects some.
    """

    source: Capture
    port: Capture
    pairing: Pairing
    plan: PortPlan
    selected: tuple[int, ...]


def check_port(source: str, port: str, request: CheckRequest, watcher: ProgressWatcher) -> Suite:
    """Check the capture in the folder `port` against the one in the folder `source`.

    Raises ConvdiffError if a capture cannot be read, no layers pair, or a pattern selects no layer.
    """
    began = time.monotonic()
    captures = read_capture(source), read_capture(port)
    pairing = _pair(*captures)
    names = [pair.source.name for pair in pairing.pairs]
    selected = tuple(matching_positions(names, request.patterns))
    plan = plan_port(pairing.pairs, captures[0].layers, captures[0].outputs, captures[1].outputs)
    check = PortCheck(*captures, pairing, plan, selected)
    cases = [layer_case(plan, at, request) for at in selected]
    watcher.begin(len(cases))
    outcomes = _judge_layers(check, cases, request, watcher)
    if request.patterns:
        results, notes = _conclude_selection(check, outcomes)
    else:
        results, notes = _conclude_model(check, outcomes)
    code = max((result.exit_code for result in results), default=2)
    return Suite(tuple(results), code, request.command, tuple(notes), time.monotonic() - began)


def read_capture(folder: str) -> Capture:
    """The capture in this folder.  Raises ConvdiffError if its manifest or a case is bad."""
    manifest = load(Path(folder))
    for entry in manifest.entries:
        if entry.problem:
            raise ConvdiffError(entry.problem)
    layers = tuple(map(CapturedLayer, manifest.entries))
    return Capture(folder, manifest.path, layers, tuple(manifest.outputs))


def _pair(source: Capture, port: Capture) -> Pairing:
    pairing = pair_layers(source.layers, port.layers)
    if not pairing.pairs:
        raise ConvdiffError(
            f"--source {source.folder} --port {port.folder}: found no two kernels of one size, "
            "expected captures of one model"
        )
    return pairing


def _judge_layers(
    check: PortCheck, cases: list[CheckCase], request: CheckRequest, watcher: ProgressWatcher
) -> list[LayerOutcome]:
    """The outcomes of the cases in their order, up to the first failure under --fail-fast."""
    outcomes: list[LayerOutcome] = []
    correct: dict[int, bool] = {}
    running = run_locally(cases, request)
    for compared, at in zip(running, check.selected, strict=False):
        plan = check.plan.layers[at]
        outcome = conclude_layer(
            plan,
            compared,
            plan.inputs.agreement(check.plan.states(correct)),
            _rerun_command(check, compared.name),
            first_failure=not any(earlier.result.exit_code for earlier in outcomes),
        )
        outcomes.append(outcome)
        correct[at] = outcome.correct
        watcher.add(outcome.result)
        if request.fail_fast and outcome.result.exit_code:
            running.close()
            break
    return outcomes


def _rerun_command(check: PortCheck, name: str) -> str:
    folders = ["--source", check.source.folder, "--port", check.port.folder]
    return shlex.join(["convdiff", "check", *folders, "--case", name])


def _conclude_selection(
    check: PortCheck, outcomes: Sequence[LayerOutcome]
) -> tuple[list[CaseResult], list[str]]:
    """The suite's results and notes where only some layers were asked for."""
    notes = [*_not_run_notes(check, outcomes), *_extra_layer_notes(check)]
    return [outcome.result for outcome in outcomes], notes


def _conclude_model(
    check: PortCheck, outcomes: Sequence[LayerOutcome]
) -> tuple[list[CaseResult], list[str]]:
    """The suite's results and notes where the whole model was asked for."""
    divergence = first_divergence(outcomes, len(check.plan.layers))
    not_run = _not_run_notes(check, outcomes)
    missing = check.pairing.missing
    # A layer that the port does not have was not compared, and so does not agree.
    results = [
        *(outcome.result for outcome in outcomes),
        *(missing_layer_result(layer) for layer in missing),
    ]
    notes = [
        *([wording.divergence(divergence)] if divergence else []),
        *not_run,
        *(wording.missing_layer(layer.name) for layer in missing),
    ]
    if not not_run:
        if not any(result.exit_code for result in results):
            differing = outputs_result(check.plan, outcomes, check.port.manifest)
            results += [differing] if differing else []
        unconfirmed = unconfirmed_fold(check.plan)
        notes += [wording.unconfirmed_fold(unconfirmed)] if unconfirmed else []
    return results, [*notes, *_extra_layer_notes(check)]


def _not_run_notes(check: PortCheck, outcomes: Sequence[LayerOutcome]) -> list[str]:
    return not_run_notes(len(check.selected) - len(outcomes))


def _extra_layer_notes(check: PortCheck) -> list[str]:
    return [wording.extra_layer(layer.name) for layer in check.pairing.extra]
