"""From a case to answers: the saved outputs at once, then those of the workers as they come."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from convdiff.case import Answer, Case
from convdiff.pipeline.choosing import Chosen

if TYPE_CHECKING:
    from convdiff.backends.environments import Environment
    from convdiff.backends.fleet import Fleet, Job


def ask(case: Case, chosen: Chosen, fleet: Fleet | None, *, align: bool) -> tuple[list[str], Iterator[Answer]]:
    """The rows' names in their final order, and the answers in the order in which they come.

    The workers have their jobs when this returns, before the first answer is asked for.
    """
    known = [Answer(name, "saved", "ok", output=stored.array, stored=stored.stored) for name, stored in case.saved]
    expected = [answer.name for answer in known] + [call.name for call in case.calls] + [e.name for e in chosen.asked]
    if not chosen.needed:
        return expected, iter(known)
    jobs, failed = _jobs(case, chosen, align)
    arrays = {"input": case.input, "kernel": case.kernel} | ({"bias": case.bias} if case.bias else {})
    coming = fleet.run(jobs, arrays) if fleet is not None and jobs else iter(())
    return expected, chain(known, failed, coming)


def _jobs(case: Case, chosen: Chosen, align: bool) -> tuple[list[Job], list[Answer]]:
    """What the workers are to run, and the answers of those that cannot."""
    from convdiff.backends.fleet import Job, call_job

    jobs: list[Job] = []
    failed: list[Answer] = []
    for environment in chosen.asked:
        made = _job(case, environment, align)
        if isinstance(made, Job):
            jobs.append(made)
        else:
            failed.append(made)
    for call, (environment, _) in zip(case.calls, chosen.calls, strict=True):
        if environment.usable:
            jobs.append(call_job(call))
        else:
            failed.append(Answer(call.name, "call", "unavailable", call.backend, message=environment.reason, code=call.code))
    return jobs, failed


def _job(case: Case, environment: Environment, align: bool) -> Job | Answer:
    """The code for one backend, or why there is none."""
    # Not at the top of the module: saved outputs alone need neither.
    from convdiff.backends.fleet import Job
    from convdiff.dialects import Unsupported, write, write_default

    name, base = environment.name, environment.backend
    if not environment.usable:
        return Answer(name, "backend", "unavailable", name, message=environment.reason)
    try:
        script = (write if align else write_default)(base, case.spec)
    except Unsupported as why:
        return Answer(name, "backend", "unsupported", name, message=str(why))
    return Job(name, "backend", name, script.body, "body", script.aligned)
