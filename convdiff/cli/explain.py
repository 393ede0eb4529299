"""`convdiff explain`."""

from __future__ import annotations

import click

from convdiff.cli.options import COLOR, Command


def codes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """For a shell: the codes."""
    from convdiff.diagnose.hypotheses.registry import by_code

    return [code for code in by_code() if code.startswith(incomplete)]


@click.command("explain", cls=Command)
@click.argument("code", required=False, shell_complete=codes)
@COLOR
def command(code: str | None) -> None:
    """Say what a finding means, how it comes about and how to fix it; without CODE, list them.

    \b
    Example:
      convdiff explain kernel-flipped
    """
    from convdiff.diagnose.hypotheses import registry

    click.echo(registry.page(code))
