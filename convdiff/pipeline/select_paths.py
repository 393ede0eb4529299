"""Which paths there are, once the workers have said what they found.

Imports no numpy.  Nothing is waited for where only the backends' own paths are wanted and no
accelerator is in sight.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from convdiff.backends import capacity
from convdiff.execution_paths import unmet_need
from convdiff.pipeline.select_backends import RequestedBackend, SelectedBackends, through
from convdiff.plugins import paths_of

if TYPE_CHECKING:
    from convdiff.backends.fleet import Fleet
    from convdiff.backends.supervisor import Hello

# Seconds for a worker to say what it has; a slower one's own path is a row all the same.
PATIENCE = 45.0


def settle(
    chosen: SelectedBackends, fleet: Fleet | None, paths: str, dtype: str
) -> SelectedBackends:
    """The rows: for each backend that was asked for without a path those of `paths` ("default",
    "all") that are there, for `dtype`.

    A path that was named stays, with the reason where it is not there.
    """
    open_ended = paths == "all" or capacity.has_accelerator()
    if fleet is None or not any(
        asked.path.needs if asked.path else open_ended for asked in chosen.asked
    ):
        return chosen
    said = fleet.wait(PATIENCE)
    asked = [
        row
        for one in chosen.asked
        for row in _rows(one, said.get(one.environment.process), paths, open_ended, dtype)
    ]
    for row in asked:
        fleet.add(row.environment)
    return replace(chosen, asked=tuple(dict.fromkeys(asked)))


def _rows(
    asked: RequestedBackend, hello: Hello | str | None, paths: str, open_ended: bool, dtype: str
) -> Iterator[RequestedBackend]:
    known = {} if hello is None or isinstance(hello, str) else hello.missing
    if asked.path is not None:
        yield replace(asked, reason=unmet_need(asked.path, known))
        return
    yield asked
    if hello is None or isinstance(hello, str) or not open_ended:
        return
    for path in paths_of(asked.environment.backend):
        wanted = (paths == "all" or path.usual) and (not path.dtypes or dtype in path.dtypes)
        if wanted and path.name != hello.path and unmet_need(path, known) is None:
            yield through(asked.environment, path)
