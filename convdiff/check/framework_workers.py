"""The framework workers of a suite: started once, all at once, and handed cases ahead of their
answers.
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
    """A context manager.  Cases with another timeout have workers of their own, for that is a
    worker's.
    """

    def __init__(self, asked: Iterable[CheckCase]) -> None:
        self._stack = ExitStack()
        self._fleets: dict[float, Fleet] = {}
        needed: dict[float, dict[Environment, None]] = {}
        for one in asked:
            if one.request is not None and one.chosen is not None:
                usable = [
                    environment for environment in one.chosen.environments if environment.usable
                ]
                if usable:
                    needed.setdefault(one.request.timeout, {}).update(dict.fromkeys(usable))
        if not needed:
            return
        from convdiff.backends.fleet import Fleet

        for timeout, environments in needed.items():
            fleet = self._stack.enter_context(Fleet(list(environments), timeout=timeout))
            self._fleets[timeout] = fleet
            fleet.start()

    def __enter__(self) -> FrameworkWorkers:
        return self

    def __exit__(self, *details: object) -> None:
        self._stack.close()

    def ask(self, case: Case, one: CheckCase) -> Iterator[Answer]:
        """Hand the case over now; its answers as they come."""
        from convdiff.pipeline.dispatch import dispatch
        from convdiff.pipeline.select_paths import select_paths

        assert one.request is not None
        assert one.chosen is not None
        fleet = self._fleets.get(one.request.timeout)
        chosen = select_paths(one.chosen, fleet, one.request.paths, case.spec.dtype)
        _, answers = dispatch(
            case, chosen, fleet, align=one.request.align, repeat=one.request.repeat
        )
        return answers
