"""`convdiff probe`."""

from __future__ import annotations

from typing import Any

import click

from convdiff.cli.options import (
    COLOR,
    CONVOLUTION,
    Command,
    Word,
    option,
    take_settings,
)
from convdiff.errors import ConvdiffError

_PROBING = "Probing"


@click.command("probe", cls=Command)
@click.argument("target", metavar="NAME=CODE")
@CONVOLUTION
@option(
    _PROBING,
    "--input-shape",
    metavar="N,N,...",
    help="For a function that takes no other shape; with --kernel-shape.",
)
@option(
    _PROBING,
    "--kernel-shape",
    metavar="N,N,...",
    help="For a function that takes no other shape; with --input-shape.",
)
@option(
    _PROBING,
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="For one call of the function.",
)
@option(
    "Output",
    "--format",
    type=Word(("table", "json")),
    default="table",
    show_default=True,
    metavar="FORMAT",
    help="table or json.",
)
@COLOR
@click.pass_context
def command(ctx: click.Context, /, target: str, bias: str | None, **options: Any) -> None:
    """Find out which convolution a function computes.

    The function is called with arrays made for the purpose. CODE is an expression of input, kernel
    and bias, or path.py:function, which is called with (input, kernel[, bias]); it runs in the
    environment of the backend NAME. The options of the convolution can be left out; those that are
    given are checked. Exit codes: 0 identified, 1 it is not what the options say, 2 not identified.

    \b
    Example:
      convdiff probe torch='F.conv2d(input, kernel, stride=2, padding=1)'
    """
    from convdiff.cli import run_view
    from convdiff.probe import ProbeRequest, probe

    if bias is not None:
        raise ConvdiffError(
            f"--bias: found {bias}, expected no bias; one is made for functions that take it"
        )
    format = options.pop("format")
    settings = take_settings(options)
    outcome = probe(
        ProbeRequest(target=target, settings=settings, command=run_view.command_line(), **options)
    )
    if format == "json":
        from convdiff.probe.outcome_json import render

        click.echo(render(outcome), nl=False)
    else:
        from convdiff.probe.outcome_table import show

        show(outcome, run_view.console(color=ctx.color))
    ctx.exit(outcome.exit_code)
