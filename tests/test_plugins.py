"""Plugins: what is accepted, and the reason in place of one that is not usable."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from convdiff import plugins as plugins_module
from convdiff.backends import find_backend
from convdiff.dialects import dialect_names
from convdiff.errors import ConvdiffError
from convdiff.plugins import (
    INTERFACE_VERSION,
    ExecutionPath,
    Plugin,
    find_path,
    find_plugin,
    paths_of,
    plugins,
)


def plugin(**fields: Any) -> Plugin:
    return Plugin(module="mine", adapter=Path("adapter.py"), dialect=None, **fields)


class EntryPoint:
    """An entry point whose object is known, or whose loading raises."""

    def __init__(self, name: str, result: object) -> None:
        self.name, self.value, self._result = name, f"{name}:PLUGIN", result

    def load(self) -> object:
        if isinstance(self._result, BaseException):
            raise self._result
        return self._result


@pytest.fixture(autouse=True)
def fresh_cache() -> Iterator[None]:
    plugins.cache_clear()
    yield
    plugins.cache_clear()


def install(monkeypatch: pytest.MonkeyPatch, **results: object) -> None:
    """Let packages with these objects be installed, by the name of the entry point."""
    points = [EntryPoint(name, result) for name, result in results.items()]
    monkeypatch.setattr(plugins_module, "entry_points", lambda group: points)


def test_a_plugin_adds_a_backend_with_its_dialect_and_paths(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = ExecutionPath("mine", "fast", "the fast way")
    install(monkeypatch, mine=plugin(paths=(path,), seconds=2.0))
    assert (find_backend("mine").module, find_backend("mine@2").seconds) == ("mine", 2.0)
    assert "mine" in dialect_names()
    assert paths_of("mine") == (path,) and find_path("mine", "fast") is path
    with pytest.raises(ConvdiffError, match="found 'slow', expected one of fast"):
        find_path("mine", "slow")


@pytest.mark.parametrize("interface", range(1, INTERFACE_VERSION + 1))
def test_every_interface_version_so_far_is_accepted(
    interface: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, mine=plugin(interface=interface))
    assert isinstance(plugins()["mine"], Plugin)


def test_the_interface_version_is_1_where_a_plugin_states_none() -> None:
    assert plugin().interface == 1


UNUSABLE = {
    "a later interface version": (
        plugin(interface=INTERFACE_VERSION + 1),
        f"its package needs version {INTERFACE_VERSION + 1} of the plugin interface, this convdiff "
        f"supports version {INTERFACE_VERSION}; upgrade convdiff",
    ),
    "an interface version that is no number": (
        plugin(interface="1.0"),
        "its package needs version 1.0 of the plugin interface",
    ),
    "another object": (3, "its entry point mine:PLUGIN is of type int"),
    "a text": ("PLUGIN", "its entry point mine:PLUGIN is of type str"),
    "an error": (ValueError("no"), "its entry point mine:PLUGIN cannot be loaded (ValueError: no)"),
    "an exit": (SystemExit(3), "its entry point mine:PLUGIN cannot be loaded (SystemExit: 3)"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_unusable_plugin_is_a_backend_with_a_reason(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, reason = UNUSABLE[name]
    install(monkeypatch, mine=result)
    assert str(plugins()["mine"]).startswith(reason)
    assert str(find_backend("mine").reason).startswith(reason)
    assert find_plugin("mine") is None and paths_of("mine") == ()
    assert "mine" not in dialect_names()
