"""`convdiff backends`."""

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
    help="all: the self-test goes through every path that is there, not only the backend's own.",
)
@click.option(
    "--timeout",
    type=Seconds(),
    default=20.0,
    show_default=True,
    metavar="SECONDS",
    help="For one self-test; starting may take thrice that, and a minute at least.",
)
@COLOR
@click.pass_context
def command(ctx: click.Context, paths: str, timeout: float) -> None:
    """List the backends: version, interpreter, devices, paths, a self-test; or why one cannot run.

    The self-test is a convolution of small whole numbers: exact, or broken.

    \b
    Examples:
      convdiff backends install theano
      convdiff backends add torch@1.13 ~/old-torch/bin/python
    """
    if ctx.invoked_subcommand is None:
        from rich.console import Console

        from convdiff.cli.backend_list import lines
        from convdiff.pipeline.self_test import examine

        with Console(stderr=True).status("") as status:
            found = examine(
                every_path=paths == "all",
                timeout=timeout,
                tell=lambda names: status.update(f"asking {', '.join(names)}"),
            )
        click.echo("\n".join(lines(found)))


@command.command()
@click.argument("name")
def install(name: str) -> None:
    """Build an isolated environment for NAME, with versions known to work together."""
    from convdiff.backends.install import install

    click.echo(f"{name}: {install(name)}")


@command.command()
@click.argument("name")
@click.argument("python")
def add(name: str, python: str) -> None:
    """Register an environment you have: NAME is torch, or torch@1.13 beside it; PYTHON its
    interpreter or folder.
    """
    from convdiff.backends.registry import add

    click.echo(add(name, python))


@command.command()
@click.argument("name")
def remove(name: str) -> None:
    """Forget what was registered as NAME, or delete the environment that was built for it."""
    from convdiff.backends.registry import remove

    click.echo(remove(name))
