"""`convdiff code`."""

from __future__ import annotations

from typing import Any

import click

from convdiff.cli.options import (
    COLOR,
    CONVOLUTION,
    Command,
    FileArgument,
    complete_backend,
    option,
    take_settings,
)


@click.command("code", cls=Command)
@click.argument("input", cls=FileArgument)
@click.argument("kernel", cls=FileArgument)
@option(
    "Options",
    "--for",
    "name",
    required=True,
    metavar="NAME",
    shell_complete=complete_backend,
    help="The framework: torch, tensorflow, jax, ...; or one of its paths: torch:cpu/native.",
)
@option(
    "Options",
    "--no-align",
    is_flag=True,
    help="Write the framework's own default call, with nothing aligned.",
)
@CONVOLUTION
@COLOR
def command(
    input: str, kernel: str, name: str, no_align: bool, bias: str | None, **options: Any
) -> None:
    """Print the code of this convolution in one framework.

    It is the code that `convdiff run` executes, as a script that loads the arrays and prints the
    output.

    \b
    Example:
      convdiff code x.npy w.npy --padding same --for tensorflow
    """
    from convdiff.pipeline.export_code import export_code

    script = export_code(input, kernel, bias, take_settings(options), name, align=not no_align)
    click.echo(script, nl=False)
