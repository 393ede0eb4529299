"""`convdiff backends`, with its subcommands install, add and remove."""

from __future__ import annotations

import click

from convdiff.cli.options import COLOR, Seconds, Word
from convdiff.pipeline.request import PATHS


@click.group("backends", invoke_without_command=True)
@click.option(
    "--paths",
    type=Word(PATHS),
    default="default",
    metavar="WHICH",
    help="all: run the self-test through every available path, not only the default one.",
)
@click.option(
    "--timeout",
    type=Seconds(),
    default=20.0,
    show_default=True,
    metavar="SECONDS",
    help="For one self-test. Starting may take three times as long, and at least a minute.",
)
@COLOR
@click.pass_context
def command(ctx: click.Context, paths: str, timeout: float) -> None:
    """List the backends: version, interpreter, devices and paths, or why one cannot run.

    Each is tested with a convolution of small whole numbers, which has to be exact.

    \b
    Examples:
      convdiff backends install theano
      convdiff backends add torch@1.13 ~/old-torch/bin/python
    """
    if ctx.invoked_subcommand is None:
        from rich.console import Console

        from convdiff.cli.backend_list import lines
        from convdiff.pipeline.self_test import describe_backends

        with Console(stderr=True).status("") as status:
            descriptions = describe_backends(
                every_path=paths == "all",
                timeout=timeout,
                progress=lambda names: status.update(f"waiting for {', '.join(names)}"),
            )
        click.echo("\n".join(lines(descriptions)))


@command.command(short_help="Build an isolated environment for a backend.")
@click.argument("name")
def install(name: str) -> None:
    """Build an isolated environment for the backend NAME, with versions that work together."""
    from convdiff.backends.install import install

    click.echo(f"{name}: {install(name)}")


@command.command(short_help="Register an environment of your own.")
@click.argument("name")
@click.argument("python")
def add(name: str, python: str) -> None:
    """Register an environment of your own.

    NAME is torch, or torch@1.13 for one more beside it. PYTHON is its interpreter or its folder.
    """
    from convdiff.backends.registry import add

    click.echo(add(name, python))


@command.command(short_help="Forget or delete an environment.")
@click.argument("name")
def remove(name: str) -> None:
    """Forget the environment registered as NAME, or delete the one that was built for it."""
    from convdiff.backends.registry import remove

    click.echo(remove(name))
