"""From a case to answers: the saved outputs at once, then those of the workers as they come."""

from __future__ import annotations

from collections.abc import Iterator

from convdiff.backends.environments import Environment
from convdiff.backends.fleet import Fleet, Job, call_job
from convdiff.case import Answer, Case
from convdiff.dialects import Unsupported, write, write_default
from convdiff.pipeline.choosing import Chosen


def ask(case: Case, chosen: Chosen, fleet: Fleet | None, *, align: bool) -> tuple[list[str], Iterator[Answer]]:
    """The rows' names in their final order, and the answers in the order in which they come.

    The workers have their jobs when this returns, before the first answer is asked for.
    """
    jobs: list[Job] = []
    known = [Answer(name, "saved", "ok", output=stored.array, stored=stored.stored) for name, stored in case.saved]
    for environment in chosen.asked:
        made = _job(case, environment, align)
        if isinstance(made, Job):
            jobs.append(made)
        else:
            known.append(made)
    for call, (environment, _) in zip(case.calls, chosen.calls, strict=True):
        if environment.usable:
            jobs.append(call_job(call))
        else:
            known.append(Answer(call.name, "call", "unavailable", call.backend, message=environment.reason, code=call.code))
    arrays = {"input": case.input, "kernel": case.kernel} | ({"bias": case.bias} if case.bias else {})
    coming = fleet.run(jobs, arrays) if fleet is not None and jobs else iter(())
    expected = [name for name, _ in case.saved] + [call.name for call in case.calls] + [e.name for e in chosen.asked]
    return expected, _chained(known, coming)


def _job(case: Case, environment: Environment, align: bool) -> Job | Answer:
    """The code for one backend, or why there is none."""
    name, base = environment.name, environment.backend
    if not environment.usable:
        return Answer(name, "backend", "unavailable", name, message=environment.reason)
    try:
        script = (write if align else write_default)(base, case.spec)
    except Unsupported as why:
        return Answer(name, "backend", "unsupported", name, message=str(why))
    return Job(name, "backend", name, script.body, "body", script.aligned)


def _chained(known: list[Answer], coming: Iterator[Answer]) -> Iterator[Answer]:
    yield from known
    yield from coming
