"""`convdiff explain`."""

from __future__ import annotations

import click

from convdiff.cli.options import COLOR, Command


def complete_code(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Completes to the code of a finding."""
    from convdiff.diagnose.hypotheses.registry import by_code

    return [code for code in by_code() if code.startswith(incomplete)]


@click.command("explain", cls=Command)
@click.argument("code", required=False, shell_complete=complete_code)
@COLOR
def command(code: str | None) -> None:
    """Explain a finding: what it means, how it comes about, and how to fix it.

    CODE is the code of the finding, as the table shows it. Without it, all codes are listed.

    \b
    Example:
      convdiff explain kernel-flipped
    """
    from convdiff.diagnose.hypotheses import registry

    click.echo(registry.page(code))
