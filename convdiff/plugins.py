"""Backends of other packages, found by their entry points in the group `convdiff.backends`.

    [project.entry-points."convdiff.backends"]
    im2col = "convdiff_im2col:PLUGIN"

The entry point's name is the backend's name, the object a `Plugin`.  The module is imported into
convdiff's own process and must not import its framework: that is done in a worker, by the adapter.
Its author imports from here (`Plugin`, `ExecutionPath`, `DEFAULT_PATH`) and from
`convdiff.dialects` (`ConvSpec`, `Dialect`, `Script`, `Unsupported`), and from nothing else in
convdiff.  examples/backend-plugin is a complete package.

`INTERFACE_VERSION` is the version of all that a plugin relies on: the names above with their
fields, and the names of an adapter (convdiff/backends/adapters/torch_adapter.py documents them).
A plugin states the version that it was written for.  Earlier versions stay supported; a plugin for
a later one is listed as unavailable, with the reason, and so is one that cannot be loaded.

    version 1   the first
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from convdiff.errors import one_of
from convdiff.execution_paths import DEFAULT_PATH, ExecutionPath, built_in_paths

__all__ = [
    "DEFAULT_PATH",
    "INTERFACE_VERSION",
    "ExecutionPath",
    "Plugin",
    "find_path",
    "find_plugin",
    "paths_of",
    "plugins",
]

GROUP = "convdiff.backends"
INTERFACE_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """A backend that a package adds.

    `module` is what the adapter imports, and `adapter` the path of the adapter.  `dialect` is a
    `convdiff.dialects.Dialect`, `paths` the rows for the table of execution paths.  `seconds` is a
    typical import time.  `steps` are the arguments of consecutive `pip install` calls for `convdiff
    backends install`, () where the package offers no installation; `pythons` are the first and last
    minor version of Python 3 that they install on.  `interface` is the interface version that the
    plugin was written for.
    """

    module: str
    adapter: Path
    dialect: Any
    paths: tuple[ExecutionPath, ...] = ()
    seconds: float = 1.0
    steps: tuple[tuple[str, ...], ...] = ()
    pythons: tuple[int, int] = (7, 99)
    interface: int = 1


@cache
def plugins() -> dict[str, Plugin | str]:
    """The plugins by name; in place of one that cannot be used, the reason."""
    points = sorted(entry_points(group=GROUP), key=lambda point: point.name)
    return {point.name: _load(point) for point in points}


def _load(point: EntryPoint) -> Plugin | str:
    """The plugin of an entry point, or why it cannot be used."""
    try:
        plugin = point.load()
    except (
        Exception,
        SystemExit,
    ) as error:  # importing another package's module may raise anything
        return (
            f"its entry point {point.value} cannot be loaded ({type(error).__name__}: "
            f"{error}); repair or uninstall its package"
        )
    if not isinstance(plugin, Plugin):
        return (
            f"its entry point {point.value} is of type {type(plugin).__name__}, expected "
            "convdiff.plugins.Plugin; repair or uninstall its package"
        )
    if plugin.interface not in range(1, INTERFACE_VERSION + 1):
        return (
            f"its package needs version {plugin.interface} of the plugin interface, this convdiff "
            f"supports version {INTERFACE_VERSION}; upgrade convdiff, or install another version "
            "of the package"
        )
    return plugin


def find_plugin(name: str) -> Plugin | None:
    """The usable plugin of that name, None where there is none."""
    plugin = plugins().get(name)
    return plugin if isinstance(plugin, Plugin) else None


def paths_of(backend: str) -> tuple[ExecutionPath, ...]:
    """The execution paths of a backend, of convdiff or of another package."""
    built_in = built_in_paths(backend)
    plugin = None if built_in else find_plugin(backend)
    return plugin.paths if plugin else built_in


def find_path(backend: str, name: str) -> ExecutionPath:
    """The execution path of that name.  Raises ConvdiffError with the known names otherwise."""
    paths = {path.name: path for path in paths_of(backend)}
    if name not in paths:
        raise one_of(f"path of {backend}", name, paths)
    return paths[name]
