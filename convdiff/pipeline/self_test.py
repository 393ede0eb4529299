"""Describes every backend for `convdiff backends`: version, devices, paths, and a self-test.

The self-test is one convolution of small whole numbers, whose output is exact in any type: through
the default path of each backend, or through all its paths.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from convdiff.backends.environments import Environment, all_environments
from convdiff.backends.fleet import Fleet, Job
from convdiff.backends.supervisor import Hello
from convdiff.execution_paths import DEFAULT_PATH, ExecutionPath, unmet_need
from convdiff.pipeline.select_backends import requested_path
from convdiff.plugins import paths_of
from convdiff.records import Answer, Stored
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array

# How often `progress` is called while workers start.
PROGRESS_SECONDS = 0.2
# What an algorithm that rounds may be off by, where the exact outputs are below a few hundred.
ROUNDING_TOLERANCE = 1e-3

SPEC = ConvSpec(
    input_layout="NCHW",
    kernel_layout="OIHW",
    output_layout="NCHW",
    batch=1,
    in_channels=2,
    out_channels=3,
    groups=1,
    input_size=(5, 4),
    kernel_size=(2, 3),
    stride=(2, 2),
    padding=((0, 1), (0, 1)),
    dilation=(1, 1),
    input_dilation=(1, 1),
    output_padding=(0, 0),
)


class SelfTestResult(NamedTuple):
    """The outcome of one self-test: whether it passed, and the result in words ("exact")."""

    passed: bool
    text: str


class PathDescription(NamedTuple):
    """A path, and why it is not available (None if it is).

    `self_test` is None where the self-test did not go through this path.
    """

    path: ExecutionPath
    reason: str | None
    self_test: SelfTestResult | None = None


class BackendDescription(NamedTuple):
    """An environment with its worker's report, or with the reason why it cannot run.

    `self_test` is the result of the default path; None where the environment cannot run.
    """

    environment: Environment
    hello: Hello | None
    reason: str | None
    self_test: SelfTestResult | None = None
    paths: tuple[PathDescription, ...] = ()


def describe_backends(
    *, every_path: bool = False, timeout: float, progress: Callable[[Collection[str]], None]
) -> list[BackendDescription]:
    """Start the workers of all environments and test each, with `every_path` on all its paths.

    `timeout` is in seconds, for one self-test.  `progress` is called repeatedly with the names of
    the environments that are awaited.
    """
    environments = all_environments()
    with Fleet(environments, timeout=timeout) as fleet:
        reports = _reports(fleet, environments, progress)
        progress(reports)
        running = [
            environment
            for environment in environments
            if isinstance(reports[environment.process], Hello)
        ]
        tests: list[tuple[Environment, ExecutionPath | None]] = [
            (environment, None) for environment in running
        ]
        if every_path:
            tests += _other_paths(running, reports)
        results = dict(_run_tests(fleet, tests))
    descriptions = []
    for environment in environments:
        hello = reports[environment.process]
        if isinstance(hello, str):
            descriptions.append(BackendDescription(environment, None, hello))
            continue
        paths = tuple(
            PathDescription(
                path,
                unmet_need(path, hello.missing),
                results.get(f"{environment.name}:{path.name}"),
            )
            for path in paths_of(environment.backend)
        )
        descriptions.append(
            BackendDescription(environment, hello, None, results[environment.name], paths)
        )
    return descriptions


def _reports(
    fleet: Fleet, environments: list[Environment], progress: Callable[[Collection[str]], None]
) -> dict[str, Hello | str]:
    """By process, the report of each worker, or why it cannot run."""
    processes = dict.fromkeys(environment.process for environment in environments)
    reports: dict[str, Hello | str] = {}
    while len(reports) < len(processes):
        progress([name for name in processes if name not in reports])
        reports = fleet.wait(within=PROGRESS_SECONDS)
    return reports


def _other_paths(
    environments: list[Environment], reports: dict[str, Hello | str]
) -> Iterator[tuple[Environment, ExecutionPath]]:
    """The available paths of these environments, without the default ones."""
    for environment in environments:
        hello = reports[environment.process]
        assert isinstance(hello, Hello)
        for path in paths_of(environment.backend):
            if unmet_need(path, hello.missing) is None and path.name != hello.path:
                yield environment, path


def _run_tests(
    fleet: Fleet, tests: list[tuple[Environment, ExecutionPath | None]]
) -> Iterator[tuple[str, SelfTestResult]]:
    """The name and the result of each test; a path of None is the default one."""
    # Not at the top of the module: the workers start while these are imported.
    from convdiff.dialects import Unsupported
    from convdiff.numerics.reference import compute_reference
    from convdiff.spec.canonical import user_output

    random = np.random.default_rng(0)
    arrays = {
        role: random.integers(-4, 5, SPEC.shape(role)).astype(np.float32)
        for role in ("input", "kernel")
    }
    expected = user_output(SPEC, compute_reference(SPEC, arrays["input"], arrays["kernel"]).output)
    jobs, exact = [], {}
    for environment, path in tests:
        name, place = environment.name, environment
        if path is not None:
            row = requested_path(environment, path)
            name, place = row.name, row.environment
        fleet.add(place)
        try:
            code = _code(environment.backend, path or DEFAULT_PATH)
        except Unsupported as error:
            yield name, SelfTestResult(False, f"unsupported: {error}")
            continue
        exact[name] = path is None or path.exact
        jobs.append(Job(name, "backend", environment.name, code, "body", process=place.process))
    stored = {role: Stored(array, "float32") for role, array in arrays.items()}
    for answer in fleet.run(jobs, stored):
        yield answer.name, _result(answer, expected, exact[answer.name])


def _code(backend: str, path: ExecutionPath) -> str:
    """The code of the self-test, in float16 where the path does not take float32."""
    from convdiff.dialects import Unsupported, write

    try:
        return write(backend, SPEC, path).body
    except Unsupported:
        return write(backend, replace(SPEC, dtype="float16"), path).body


def _result(answer: Answer, expected: Array, exact: bool) -> SelfTestResult:
    """The result of one test; `exact` is False for a path whose algorithm rounds."""
    if answer.status != "ok" or answer.output is None:
        return SelfTestResult(False, f"{answer.status}: {answer.message}")
    if np.array_equal(answer.output, expected):
        return SelfTestResult(True, "exact")
    near = (
        answer.output.shape == expected.shape
        and np.abs(answer.output - expected).max() < ROUNDING_TOLERANCE
    )
    if near and not exact:
        return SelfTestResult(True, "exact within rounding")
    return SelfTestResult(False, "broken: its output is wrong")
