"""The list of `convdiff backends` as lines of text."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Iterator

import click

from convdiff.pipeline.self_test import BackendDescription

# Cells that a line has at the least, however narrow the terminal.
LEAST = 24
ORIGINS = {
    "configured": ", by the project's configuration",
    "registered": ", registered",
    "installed": ", built by convdiff",
}


def lines(descriptions: Iterable[BackendDescription]) -> list[str]:
    """For each that runs its version and devices, its interpreter, and its paths; else why it does
    not.
    """
    descriptions = list(descriptions)
    width = max(len(description.environment.name) for description in descriptions)
    made = []
    for description in descriptions:
        environment, hello = description.environment, description.hello
        name = click.style(f"{environment.name:<{width}}", bold=True)
        if hello is None:
            first, *rest = _lines(description.reason or "cannot run", width + 2)
            made.append(f"{name}  {click.style(first, fg='yellow')}")
            made += [f"{'':<{width}}  {click.style(line, fg='yellow')}" for line in rest]
            continue
        made.append(
            f"{name}  {click.style(hello.version, fg='green')}  {', '.join(hello.devices)}  "
            f"{_tested(description.tested)}"
        )
        about = (
            f"Python {hello.python}, numpy "
            f"{hello.numpy}{ORIGINS.get(environment.origin, '')}; starts in "
            f"{hello.seconds:.1f} s"
        )
        made += [
            f"{'':<{width}}  {line}"
            for line in _lines(f"{environment.python} ({about})", width + 2)
        ]
        made += [f"{'':<{width}}  {line}" for line in _paths(description, hello.path, width + 2)]
    return made


def _paths(description: BackendDescription, own: str, indent: int) -> Iterator[str]:
    """A line for each path that is there; those that are not together, by what would provide them."""
    there = [state for state in description.paths if state.reason is None]
    longest = max((len(state.path.name) for state in there), default=0)
    for state in there:
        default = ", the default here" if state.path.name == own else ""
        first, *rest = _lines(state.path.about + default, indent + longest + 4)
        tested = f"  {_tested(state.tested)}" if state.tested else ""
        yield f"  {state.path.name:<{longest}}  {click.style(first, dim=True)}" + (
            "" if rest else tested
        )
        for number, line in enumerate(rest, 1):
            yield f"  {'':<{longest}}  {click.style(line, dim=True)}" + (
                tested if number == len(rest) else ""
            )
    reasons: dict[str, list[str]] = {}
    for state in description.paths:
        if state.reason is not None:
            reasons.setdefault(state.reason, []).append(state.path.name)
    for reason, names in reasons.items():
        for number, line in enumerate(
            _lines(f"not here: {', '.join(names)}: {reason}", indent + 4)
        ):
            yield click.style(f"{'    ' if number else '  '}{line}", fg="yellow")


def _tested(said: str | None) -> str:
    return (
        click.style(f"self-test {said}", fg="green" if said.startswith("exact") else "red")
        if said
        else ""
    )


def _lines(text: str, indent: int) -> list[str]:
    """Lines that fit the terminal behind so many cells."""
    width = max(LEAST, shutil.get_terminal_size().columns - indent)
    return textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=False)
