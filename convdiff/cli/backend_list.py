"""The text of `convdiff backends`."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Iterator

import click

from convdiff.pipeline.self_test import BackendDescription, PathDescription, SelfTestResult

# Columns that a wrapped line has at least, on however narrow a terminal.
MIN_COLUMNS = 24
# What to add to the interpreter of an environment, by its `origin`; nothing for convdiff's own.
ORIGINS = {
    "configured": ", by the project's configuration",
    "registered": ", registered",
    "installed": ", built by convdiff",
}


def lines(descriptions: Iterable[BackendDescription]) -> list[str]:
    """A block of lines for each backend.

    One that runs has its version, devices and self-test, its interpreter, and its paths; one that
    does not has the reason.
    """
    descriptions = list(descriptions)
    width = max(len(description.environment.name) for description in descriptions)
    block: list[str] = []
    for description in descriptions:
        first, *rest = _block(description, width + 2)
        block.append(f"{_bold(f'{description.environment.name:<{width}}')}  {first}")
        block += [f"{'':<{width}}  {line}" for line in rest]
    return block


def _bold(text: str) -> str:
    return click.style(text, bold=True)


def _block(description: BackendDescription, indent: int) -> Iterator[str]:
    """The lines of one backend, the first of which goes beside its name."""
    environment, hello = description.environment, description.hello
    if hello is None:
        for line in _wrap(description.reason or "cannot run", indent):
            yield click.style(line, fg="yellow")
        return
    version = click.style(hello.version, fg="green")
    yield f"{version}  {', '.join(hello.devices)}  {_self_test(description.self_test)}"
    origin = ORIGINS.get(environment.origin, "")
    yield from _wrap(
        f"{environment.python} (Python {hello.python}, numpy {hello.numpy}{origin}; starts in "
        f"{hello.seconds:.1f} s)",
        indent,
    )
    yield from _paths(description.paths, hello.path, indent)


def _paths(paths: Iterable[PathDescription], default: str, indent: int) -> Iterator[str]:
    """A line for each available path, and one for those that are unavailable for one reason."""
    paths = list(paths)
    available = [description for description in paths if description.reason is None]
    width = max((len(description.path.name) for description in available), default=0)
    for description in available:
        name, about = description.path.name, description.path.about
        about += ", the default here" if name == default else ""
        wrapped = [click.style(line, dim=True) for line in _wrap(about, indent + width + 4)]
        if description.self_test:
            wrapped[-1] += f"  {_self_test(description.self_test)}"
        for number, line in enumerate(wrapped):
            yield f"  {'' if number else name:<{width}}  {line}"
    names_by_reason: dict[str, list[str]] = {}
    for description in paths:
        if description.reason is not None:
            names_by_reason.setdefault(description.reason, []).append(description.path.name)
    for reason, names in names_by_reason.items():
        text = f"not available: {', '.join(names)}: {reason}"
        for number, line in enumerate(_wrap(text, indent + 4)):
            yield click.style(f"{'    ' if number else '  '}{line}", fg="yellow")


def _self_test(result: SelfTestResult | None) -> str:
    if result is None:
        return ""
    return click.style(f"self-test {result.text}", fg="green" if result.passed else "red")


def _wrap(text: str, indent: int) -> list[str]:
    """`text` as lines that fit the terminal after `indent` columns."""
    width = max(MIN_COLUMNS, shutil.get_terminal_size().columns - indent)
    return textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=False)
