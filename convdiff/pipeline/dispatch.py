"""Sends a case to the workers: code written for each row, jobs, and the answers as they arrive."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from convdiff.execution_paths import DEFAULT_PATH
from convdiff.pipeline.select_backends import RequestedBackend, SelectedBackends
from convdiff.records import Answer, Case

if TYPE_CHECKING:
    from convdiff.backends.fleet import Fleet, Job


def dispatch(
    case: Case, selected: SelectedBackends, fleet: Fleet | None, *, align: bool, repeat: int = 1
) -> tuple[list[str], Iterator[Answer]]:
    """The names of the rows in their final order, and their answers in the order of arrival.

    Saved outputs come first, since they need no worker.  The workers have all their jobs when this
    returns, before the first answer is taken.
    """
    saved = [
        Answer(name, "saved", "ok", output=stored.array, stored=stored.stored)
        for name, stored in case.saved
    ]
    expected = (
        [answer.name for answer in saved]
        + [call.name for call in case.calls]
        + [backend.name for backend in selected.backends]
    )
    if not selected.environments:
        return expected, iter(saved)
    jobs, failed = _jobs(case, selected, align, repeat)
    arrays = {"input": case.input, "kernel": case.kernel}
    if case.bias:
        arrays["bias"] = case.bias
    answers = fleet.run(jobs, arrays) if fleet is not None and jobs else iter(())
    return expected, chain(saved, failed, answers)


def _jobs(
    case: Case, selected: SelectedBackends, align: bool, repeat: int
) -> tuple[list[Job], list[Answer]]:
    """The jobs for the workers, and the answers of the rows that cannot run."""
    from convdiff.backends.fleet import Job, call_job

    jobs: list[Job] = []
    failed: list[Answer] = []
    for backend in selected.backends:
        job = _backend_job(case, backend, align, repeat)
        if isinstance(job, Job):
            jobs.append(job)
        else:
            failed.append(job)
    for call, (environment, _) in zip(case.calls, selected.calls, strict=True):
        if environment.usable:
            jobs.append(call_job(call, repeat))
        else:
            failed.append(
                Answer(
                    call.name,
                    "call",
                    "unavailable",
                    call.backend,
                    message=environment.reason,
                    code=call.code,
                )
            )
    return jobs, failed


def _backend_job(case: Case, backend: RequestedBackend, align: bool, repeat: int) -> Job | Answer:
    """The job of one row, or its answer where it cannot run."""
    # Not at the top of the module: a run with saved outputs alone needs neither.
    from convdiff.backends.fleet import Job
    from convdiff.dialects import Unsupported, framework_call, write, write_default

    name, environment, path = backend.name, backend.environment, backend.path
    reason, path_name = environment.reason or backend.reason, path.name if path else None
    if reason is not None:
        return Answer(
            name, "backend", "unavailable", environment.name, path=path_name, message=reason
        )
    framework = environment.backend
    try:
        if align:
            script = write(framework, case.spec, path or DEFAULT_PATH)
            aligned, hint = script.aligned, ""
        else:
            script = write_default(framework, case.spec, path or DEFAULT_PATH)
            aligned, hint = (framework_call(script), *script.aligned), ", ".join(script.aligned)
    except Unsupported as error:
        return Answer(
            name, "backend", "unsupported", environment.name, path=path_name, message=str(error)
        )
    return Job(
        name,
        "backend",
        environment.name,
        script.body,
        "body",
        aligned,
        repeat=repeat,
        path=path_name or script.path,
        process=environment.process,
        dtype=case.spec.dtype,
        hint=hint,
    )
