"""`convdiff explain`."""

from __future__ import annotations

import click

from convdiff.cli.options import COLOR, Command


@click.command("explain", cls=Command)
@click.argument("code", required=False)
@COLOR
def command(code: str | None) -> None:
    """Say what a finding means, how it comes about and how to fix it; without CODE, list them.

    \b
    Example:
      convdiff explain kernel-flipped
    """
    from convdiff.diagnose import catalogue

    click.echo(catalogue.text(code))
