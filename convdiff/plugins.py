"""Backends of other packages, found by their entry points in the group `convdiff.backends`.

    [project.entry-points."convdiff.backends"]
    im2col = "convdiff_im2col:PLUGIN"

The name is the backend's, the object a `Plugin`.  It is imported into convdiff's own process, so it
must not import its framework: that is for the worker to do, through the adapter.
examples/backend-plugin is a complete one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from convdiff.errors import one_of
from convdiff.execution_paths import ExecutionPath
from convdiff.execution_paths import paths_of as own_paths

GROUP = "convdiff.backends"


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """What a package adds.

    `module` is what its adapter imports; `adapter` the adapter's file
    (convdiff/backends/adapters/torch_adapter.py says what it holds); `dialect` a
    `convdiff.dialects.Dialect`; `paths` its rows of the table of paths.  `seconds` is a typical
    import time, `steps` are the arguments of one `pip install` after another for `convdiff backends
    install`, if there is to be one.
    """

    module: str
    adapter: Path
    dialect: Any
    paths: tuple[ExecutionPath, ...] = ()
    seconds: float = 1.0
    steps: tuple[tuple[str, ...], ...] = ()
    pythons: tuple[int, int] = (7, 99)


@cache
def plugins() -> dict[str, Plugin | str]:
    """By name, the plugins; in place of one that cannot be loaded why not."""
    found: dict[str, Plugin | str] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            plugin = point.load()
        except (
            Exception,
            SystemExit,
        ) as error:  # whatever a stranger's module does when it is imported
            plugin = (
                f"its entry point {point.value} cannot be loaded ({type(error).__name__}: "
                f"{error}); repair or uninstall its package"
            )
        if not isinstance(plugin, (Plugin, str)):
            plugin = (
                f"its entry point {point.value} is a {type(plugin).__name__}, expected a "
                "convdiff.plugins.Plugin"
            )
        found[point.name] = plugin
    return found


def plugin(name: str) -> Plugin | None:
    """The plugin of that name, if there is one that can be loaded."""
    found = plugins().get(name)
    return found if isinstance(found, Plugin) else None


def paths_of(backend: str) -> tuple[ExecutionPath, ...]:
    """The rows of a backend in the table of paths, this package's or another's."""
    added = plugin(backend) if not own_paths(backend) else None
    return added.paths if added else own_paths(backend)


def find_path(backend: str, name: str) -> ExecutionPath:
    """The row of that name; ConvdiffError with those there are where it is none."""
    known = {path.name: path for path in paths_of(backend)}
    if name not in known:
        raise one_of(f"path of {backend}", name, known)
    return known[name]
