"""From a case to answers: the saved outputs at once, then those of the workers as they come."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from convdiff.execution_paths import DEFAULT_PATH
from convdiff.pipeline.select_backends import RequestedBackend, SelectedBackends
from convdiff.records import Answer, Case

if TYPE_CHECKING:
    from convdiff.backends.fleet import Fleet, Job


def ask(
    case: Case, chosen: SelectedBackends, fleet: Fleet | None, *, align: bool, repeat: int = 1
) -> tuple[list[str], Iterator[Answer]]:
    """The rows' names in their final order, and the answers in the order in which they come.

    The workers have their jobs when this returns, before the first answer is asked for.
    """
    known = [
        Answer(name, "saved", "ok", output=stored.array, stored=stored.stored)
        for name, stored in case.saved
    ]
    expected = (
        [answer.name for answer in known]
        + [call.name for call in case.calls]
        + [asked.name for asked in chosen.asked]
    )
    if not chosen.needed:
        return expected, iter(known)
    jobs, failed = _jobs(case, chosen, align, repeat)
    arrays = {"input": case.input, "kernel": case.kernel} | (
        {"bias": case.bias} if case.bias else {}
    )
    coming = fleet.run(jobs, arrays) if fleet is not None and jobs else iter(())
    return expected, chain(known, failed, coming)


def _jobs(
    case: Case, chosen: SelectedBackends, align: bool, repeat: int
) -> tuple[list[Job], list[Answer]]:
    """What the workers are to run, and the answers of those that cannot."""
    from convdiff.backends.fleet import Job, call_job

    jobs: list[Job] = []
    failed: list[Answer] = []
    for asked in chosen.asked:
        made = _job(case, asked, align, repeat)
        if isinstance(made, Job):
            jobs.append(made)
        else:
            failed.append(made)
    for call, (environment, _) in zip(case.calls, chosen.calls, strict=True):
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


def _job(case: Case, asked: RequestedBackend, align: bool, repeat: int) -> Job | Answer:
    """The code for one row, or why there is none."""
    # Not at the top of the module: saved outputs alone need neither.
    from convdiff.backends.fleet import Job
    from convdiff.dialects import Unsupported, framework_call, write, write_default

    name, environment, path = asked.name, asked.environment, asked.path
    reason, way = environment.reason or asked.reason, path.name if path else None
    if reason is not None:
        return Answer(name, "backend", "unavailable", environment.name, path=way, message=reason)
    try:
        base = environment.backend
        script = (
            write(base, case.spec, path or DEFAULT_PATH)
            if align
            else write_default(base, case.spec, path or DEFAULT_PATH)
        )
        aligned = script.aligned if align else (framework_call(script), *script.aligned)
    except Unsupported as why:
        return Answer(name, "backend", "unsupported", environment.name, path=way, message=str(why))
    return Job(
        name,
        "backend",
        environment.name,
        script.body,
        "body",
        aligned,
        repeat=repeat,
        path=way or script.path,
        process=environment.process,
        dtype=case.spec.dtype,
        hint="" if align else ", ".join(script.aligned),
    )
