"""`convdiff code`."""

from __future__ import annotations

from typing import Any

import click

from convdiff.cli.options import COLOR, CONVOLUTION, Command, File, backends, option, settings


@click.command("code", cls=Command)
@click.argument("input", cls=File)
@click.argument("kernel", cls=File)
@option(
    "Options",
    "--for",
    "name",
    required=True,
    metavar="NAME",
    shell_complete=backends,
    help=(
        "The framework to write for: torch, tensorflow, jax, ...; or a path of it: "
        "torch:cpu/native."
    ),
)
@option(
    "Options", "--no-align", is_flag=True, help="The framework's own default call, nothing aligned."
)
@CONVOLUTION
@COLOR
def command(
    input: str, kernel: str, name: str, no_align: bool, bias: str | None, **options: Any
) -> None:
    """Print the code that does this convolution in a framework.

    It is the very text that `convdiff run` executes, as a script that loads the arrays and prints
    the output.

    \b
    Example:
      convdiff code x.npy w.npy --padding same --for tensorflow
    """
    from convdiff.pipeline.export_code import script

    click.echo(script(input, kernel, bias, settings(options), name, align=not no_align), nl=False)
