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

    ConvdiffError where a capture cannot be read, no layers pair, or a pattern selects no layer.
    """
    began = time.monotonic()
    check = _plan(read_capture(source), read_capture(port), request.patterns)
    cases = [layer_case(check.plan, at, request) for at in check.selected]
    watcher.begin(len(cases))
    outcomes = _judge_layers(check, cases, request, watcher)
    results, notes = _conclude(check, outcomes, whole=not request.patterns)
    code = max((result.exit_code for result in results), default=2)
    return Suite(tuple(results), code, request.command, tuple(notes), time.monotonic() - began)


def read_capture(folder: str) -> Capture:
    """The capture in this folder.  ConvdiffError where its manifest or one of its cases is bad."""
    manifest = load(Path(folder))
    for entry in manifest.entries:
        if entry.problem:
            raise ConvdiffError(entry.problem)
    layers = tuple(map(CapturedLayer, manifest.entries))
    return Capture(folder, manifest.path, layers, tuple(manifest.outputs))


def _plan(source: Capture, port: Capture, patterns: Sequence[str]) -> PortCheck:
    pairing = pair_layers(source.layers, port.layers)
    if not pairing.pairs:
        raise ConvdiffError(
            f"--source {source.folder} --port {port.folder}: found no two kernels of one size, "
            "expected captures of one model"
        )
    selected = matching_positions([pair.source.name for pair in pairing.pairs], patterns)
    plan = plan_port(pairing.pairs, source.layers, (source.outputs, port.outputs))
    return PortCheck(source, port, pairing, plan, tuple(selected))


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


def _conclude(
    check: PortCheck, outcomes: Sequence[LayerOutcome], whole: bool
) -> tuple[list[CaseResult], list[str]]:
    """The suite's results and notes; what concerns the whole model only where all of it was asked
    for.
    """
    results = [outcome.result for outcome in outcomes]
    not_run = len(check.selected) - len(outcomes)
    notes = not_run_notes(not_run)
    if whole:
        divergence = first_divergence(outcomes, len(check.plan.layers))
        if divergence is not None:
            notes.insert(0, wording.divergence(divergence))
        missing = check.pairing.missing
        # A layer that the port does not have was not compared, and does not agree.
        results += [missing_layer_result(layer) for layer in missing]
        notes += [wording.missing_layer(layer.name) for layer in missing]
    if whole and not not_run:
        if not any(result.exit_code for result in results):
            differing = outputs_result(check.plan, outcomes, check.port.manifest)
            results += [differing] if differing else []
        unconfirmed = unconfirmed_fold(check.plan)
        notes += [wording.unconfirmed_fold(unconfirmed)] if unconfirmed else []
    notes += [wording.extra_layer(layer.name) for layer in check.pairing.extra]
    return results, notes
