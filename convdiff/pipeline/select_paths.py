"""Selects the execution paths to run, once the workers have reported which ones they have.

Imports no numpy.  Where only the backends' default paths are wanted and the machine has no
accelerator, the workers' reports are not awaited.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from convdiff.backends import capacity
from convdiff.execution_paths import unmet_need
from convdiff.pipeline.select_backends import RequestedBackend, SelectedBackends, requested_path
from convdiff.plugins import paths_of

if TYPE_CHECKING:
    from convdiff.backends.fleet import Fleet
    from convdiff.backends.supervisor import Hello

# How long to wait for a worker's report.  Without it the default path is still run.
REPORT_SECONDS = 45.0


def select_paths(
    selected: SelectedBackends, fleet: Fleet | None, paths: str, dtype: str
) -> SelectedBackends:
    """`selected` with a row for each path to run in `dtype`.

    A backend that was named without a path gets those that `paths` ("default", "all") stands for
    and its worker has.  A path that was named stays, with the reason where it is not available.
    """
    several = paths == "all" or capacity.has_accelerator()
    if fleet is None or not any(
        backend.path.needs if backend.path else several for backend in selected.backends
    ):
        return selected
    reports = fleet.wait(REPORT_SECONDS)
    rows = [
        row
        for backend in selected.backends
        for row in _rows(backend, reports.get(backend.environment.process), paths, several, dtype)
    ]
    for row in rows:
        fleet.add(row.environment)
    return replace(selected, backends=tuple(dict.fromkeys(rows)))


def _rows(
    backend: RequestedBackend, hello: Hello | str | None, paths: str, several: bool, dtype: str
) -> Iterator[RequestedBackend]:
    """The rows of one requested backend, given the report of its worker.

    `hello` is None where no report came in time, a string where the worker cannot run.
    """
    lacking = {} if hello is None or isinstance(hello, str) else hello.missing
    if backend.path is not None:
        yield replace(backend, reason=unmet_need(backend.path, lacking))
        return
    yield backend
    if hello is None or isinstance(hello, str) or not several:
        return
    for path in paths_of(backend.environment.backend):
        wanted = (paths == "all" or path.usual) and (not path.dtypes or dtype in path.dtypes)
        if wanted and path.name != hello.path and unmet_need(path, lacking) is None:
            yield requested_path(backend.environment, path)
