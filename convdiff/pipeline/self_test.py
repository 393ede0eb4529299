"""What `convdiff backends` lists: every environment, what its worker says, which paths it has, and
whether it computes right.

The self-test is one convolution of small whole numbers, which has one right answer, through the
backend's own path or all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import NamedTuple

from convdiff.backends.environments import Environment, all_environments
from convdiff.backends.fleet import Fleet, Job
from convdiff.backends.supervisor import Hello
from convdiff.execution_paths import DEFAULT_PATH, ExecutionPath, unmet_need
from convdiff.pipeline.select_backends import through
from convdiff.plugins import paths_of
from convdiff.records import Answer, Stored
from convdiff.spec.conv_spec import ConvSpec

# Seconds between looks at who is waited for.
PAUSE = 0.2


class State(NamedTuple):
    """A path: why it is not there, or what the self-test said of it (None where it was not run)."""

    path: ExecutionPath
    reason: str | None
    tested: str | None = None


class BackendDescription(NamedTuple):
    """An environment, and either its worker's hello (versions, devices, seconds to start) or why it
    cannot run.

    `tested` is what the self-test said of the backend's own path: "exact", or what is wrong.
    """

    environment: Environment
    hello: Hello | None
    reason: str | None
    tested: str | None = None
    paths: tuple[State, ...] = ()


def examine(
    *, every_path: bool = False, timeout: float, tell: Callable[[Collection[str]], None]
) -> list[BackendDescription]:
    """Start the workers of all environments and ask each; with `every_path` the self-test goes
    through all that are there.

    `timeout` is in seconds, for one self-test, as for one backend of `run`; `tell` is given the
    names that are waited for, again and again.
    """
    environments = all_environments()
    with Fleet(environments, timeout=timeout) as fleet:
        said = _started(fleet, environments, tell)
        tell(said)
        wanted = [
            (environment, None)
            for environment in environments
            if isinstance(said[environment.process], Hello)
        ]
        told = dict(_tested(fleet, [*wanted, *(_there(wanted, said) if every_path else ())]))
    made = []
    for environment in environments:
        answer = said[environment.process]
        if isinstance(answer, str):
            made.append(BackendDescription(environment, None, answer))
            continue
        states = (
            State(
                path, unmet_need(path, answer.missing), told.get(f"{environment.name}:{path.name}")
            )
            for path in paths_of(environment.backend)
        )
        made.append(
            BackendDescription(environment, answer, None, told[environment.name], tuple(states))
        )
    return made


def _started(
    fleet: Fleet, environments: list[Environment], tell: Callable[[Collection[str]], None]
) -> dict[str, Hello | str]:
    processes = dict.fromkeys(environment.process for environment in environments)
    said: dict[str, Hello | str] = {}
    while len(said) < len(processes):
        tell([name for name in processes if name not in said])
        said = fleet.wait(within=PAUSE)
    return said


def _there(
    asked: list[tuple[Environment, None]], said: dict[str, Hello | str]
) -> Iterator[tuple[Environment, ExecutionPath]]:
    for environment, _ in asked:
        hello = said[environment.process]
        assert isinstance(hello, Hello)
        for path in paths_of(environment.backend):
            if unmet_need(path, hello.missing) is None and path.name != hello.path:
                yield environment, path


def _tested(
    fleet: Fleet, wanted: list[tuple[Environment, ExecutionPath | None]]
) -> Iterator[tuple[str, str]]:
    """The row's name and what the self-test said."""
    import numpy as np

    from convdiff.dialects import Unsupported
    from convdiff.numerics.reference import compute_reference
    from convdiff.spec.canonical import user_output

    spec = ConvSpec(
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
    random = np.random.default_rng(0)
    arrays = {
        role: random.integers(-4, 5, spec.shape(role)).astype(np.float32)
        for role in ("input", "kernel")
    }
    expected = user_output(spec, compute_reference(spec, arrays["input"], arrays["kernel"]).output)

    def judged(answer: Answer, exact: bool) -> str:
        if answer.status != "ok" or answer.output is None:
            return f"{answer.status}: {answer.message}"
        if np.array_equal(answer.output, expected):
            return "exact"
        near = (
            answer.output.shape == expected.shape and np.abs(answer.output - expected).max() < 1e-3
        )
        return "exact within rounding" if near and not exact else "broken: its output is wrong"

    jobs, exact = [], {}
    for environment, path in wanted:
        asked = through(environment, path) if path else None
        name, place = (asked.name, asked.environment) if asked else (environment.name, environment)
        fleet.add(place)
        try:
            body = _text(environment.backend, path or DEFAULT_PATH, spec)
        except Unsupported as why:
            yield name, f"unsupported: {why}"
            continue
        exact[name] = path is None or path.exact
        jobs.append(Job(name, "backend", environment.name, body, "body", process=place.process))
    for answer in fleet.run(
        jobs, {role: Stored(array, "float32") for role, array in arrays.items()}
    ):
        yield answer.name, judged(answer, exact[answer.name])


def _text(backend: str, path: ExecutionPath, spec: ConvSpec) -> str:
    """The code for `spec`, in float16 where a path is for that only.  Unsupported where there is
    none.
    """
    from convdiff.dialects import Unsupported, write

    try:
        return write(backend, spec, path).body
    except Unsupported:
        return write(backend, replace(spec, dtype="float16"), path).body
