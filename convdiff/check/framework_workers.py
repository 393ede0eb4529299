"""The framework workers of one check.

All are started together, once, and get cases ahead of their answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convdiff.backends.environments import Environment
    from convdiff.backends.fleet import Fleet
    from convdiff.check.cases import CheckCase
    from convdiff.records import Answer, Case


class FrameworkWorkers:
    """A context manager of the workers that `cases` need.

    One fleet for each timeout among them, since a timeout belongs to a worker.
    """

    def __init__(self, cases: Iterable[CheckCase]) -> None:
        self._stack = ExitStack()
        self._fleets: dict[float, Fleet] = {}
        needed: dict[float, dict[Environment, None]] = {}
        for case in cases:
            if case.request is not None and case.chosen is not None:
                usable = [
                    environment for environment in case.chosen.environments if environment.usable
                ]
                if usable:
                    needed.setdefault(case.request.timeout, {}).update(dict.fromkeys(usable))
        if not needed:
            return
        # Imported here for start-up time: a check of saved outputs alone needs no fleet.
        from convdiff.backends.fleet import Fleet

        for timeout, environments in needed.items():
            fleet = self._stack.enter_context(Fleet(list(environments), timeout=timeout))
            self._fleets[timeout] = fleet
            fleet.start()

    def __enter__(self) -> FrameworkWorkers:
        return self

    def __exit__(self, *details: object) -> None:
        self._stack.close()

    def ask(self, loaded: Case, case: CheckCase) -> Iterator[Answer]:
        """Hand over a case with its arrays now; its answers as they arrive."""
        # Imported here for start-up time: they load numpy while the workers start.
        from convdiff.pipeline.dispatch import dispatch
        from convdiff.pipeline.select_paths import select_paths

        request = case.request
        assert request is not None
        assert case.chosen is not None
        fleet = self._fleets.get(request.timeout)
        chosen = select_paths(case.chosen, fleet, request.paths, loaded.spec.dtype)
        _, answers = dispatch(loaded, chosen, fleet, align=request.align, repeat=request.repeat)
        return answers
