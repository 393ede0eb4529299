"""`convdiff probe`."""

from __future__ import annotations

from typing import Any

import click

from convdiff.cli.options import COLOR, CONVOLUTION, Command, Word, option, settings
from convdiff.errors import ConvdiffError


@click.command("probe", cls=Command)
@click.argument("target", metavar="NAME=CODE")
@CONVOLUTION
@option(
    "Questions",
    "--input-shape",
    metavar="N,N,...",
    help="Where the function takes no other; with --kernel-shape.",
)
@option(
    "Questions",
    "--kernel-shape",
    metavar="N,N,...",
    help="Where the function takes no other; with --input-shape.",
)
@option(
    "Questions",
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="For one answer.",
)
@option(
    "Output",
    "--format",
    "format_",
    type=Word(("table", "json")),
    default="table",
    show_default=True,
    metavar="FORMAT",
    help="table or json.",
)
@COLOR
@click.pass_context
def command(
    ctx: click.Context, /, target: str, format_: str, bias: str | None, **options: Any
) -> None:
    """Question a function with arrays made to reveal, and tell what convolution it is.

    CODE is an expression of input, kernel and bias, or path.py:function called with (input,
    kernel[, bias]); it runs where NAME runs. Nothing need be said of it; what is said is checked.
    Exit code 0: identified; 1: it is not what was said; 2: not identified.

    \b
    Example:
      convdiff probe torch='F.conv2d(input, kernel, stride=2, padding=1)'
    """
    from convdiff.cli import run_view
    from convdiff.probe import ProbeRequest, probe

    if bias is not None:
        raise ConvdiffError(
            f"--bias: found {bias}, expected none; a bias is made for functions that take one"
        )
    said = settings(options)
    outcome = probe(
        ProbeRequest(target=target, settings=said, command=run_view.command_line(), **options)
    )
    if format_ == "json":
        from convdiff.probe.outcome_json import render

        click.echo(render(outcome), nl=False)
    else:
        from convdiff.probe.outcome_table import show

        show(outcome, run_view.console(color=ctx.color))
    ctx.exit(outcome.exit_code)
