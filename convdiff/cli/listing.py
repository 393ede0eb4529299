"""The list of `convdiff backends` as lines of text."""

from __future__ import annotations

from collections.abc import Iterable

import click

from convdiff.backends.describing import Description


def lines(descriptions: Iterable[Description]) -> list[str]:
    """Two lines for each that runs (version and devices; interpreter), else why it does not."""
    descriptions = list(descriptions)
    width = max(len(description.environment.name) for description in descriptions)
    versions = max((len(d.hello.version) for d in descriptions if d.hello), default=0)
    made = []
    for environment, hello, reason in descriptions:
        name = click.style(f"{environment.name:<{width}}", bold=True)
        if hello is None:
            made.append(f"{name}  {click.style(reason or 'cannot run', fg='yellow')}")
            continue
        devices = ", ".join(hello.devices)
        made.append(f"{name}  {click.style(hello.version, fg='green')}{' ' * (versions - len(hello.version))}  {devices}")
        origin = {"registered": ", registered", "installed": ", built by convdiff"}.get(environment.origin, "")
        about = f"Python {hello.python}, numpy {hello.numpy}{origin}; starts in {hello.seconds:.1f} s"
        made.append(f"{'':<{width}}  {environment.python} ({about})")
    return made
