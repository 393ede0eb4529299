"""The group of commands, and the form that errors have on the command line."""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

from convdiff import __version__
from convdiff.config import load
from convdiff.errors import ConvdiffError
from convdiff.exit_codes import BROKEN_PIPE, INTERRUPTED, TROUBLE

# The commands in the order of the help, each with its line there.  A command is the variable
# `command` of the module convdiff.cli.NAME.
COMMANDS = {
    "run": "Run one convolution through every backend; compare and explain.",
    "check": "Check many cases from manifests, for CI.",
    "capture": "Record a model's convolution layers as a manifest.",
    "code": "Print the code of a convolution in one framework.",
    "probe": "Find out which convolution a function computes.",
    "backends": "List the backends; install, add or remove one.",
    "explain": "Explain a finding and how to fix it.",
}


class OneLineError(click.ClickException):
    """An error as the command line shows it: on one line of stderr, in red on a terminal."""

    exit_code = TROUBLE

    def __init__(self, message: str, color: bool | None) -> None:
        message = " ".join(message.split("\n"))
        if not message.isprintable():
            # Not at the top of the module: it is seldom needed.
            from convdiff.report.escape import printable

            message = printable(message)
        super().__init__(message)
        self._color = color

    def show(self, file: Any = None) -> None:
        """Write it to stderr."""
        color = self._color
        if color is None and os.environ.get("NO_COLOR"):
            color = False
        with suppress(OSError):  # stderr takes no more: only the exit code is left
            click.echo(click.style(f"convdiff: {self.message}", fg="red"), err=True, color=color)


class CommandGroup(click.Group):
    """The group of commands: imports a command when it is called, and puts errors on one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, imported now."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"convdiff.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does; the error for an unknown command lists the known ones."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            ctx.fail(f"No such command {args[0]!r}; expected one of {', '.join(sorted(COMMANDS))}.")
        return super().resolve_command(ctx, args)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """As click does; the help of --help is written here."""
        try:
            with _stdout_errors():
                return super().make_context(*args, **kwargs)
        except ConvdiffError as error:
            raise OneLineError(str(error), None) from None
        except click.UsageError as error:
            raise OneLineError(_usage_message(error), None) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            with _stdout_errors():
                return super().invoke(ctx)
        except ConvdiffError as error:
            message = str(error)
        except MemoryError as error:
            message = (
                f"{ctx.invoked_subcommand}: this takes more memory than the machine has "
                f"({error or 'out of memory'}); use smaller arrays or less padding"
            )
        except click.UsageError as error:
            message = _usage_message(error)
        raise OneLineError(message, ctx.find_root().color) from None


def _usage_message(error: click.UsageError) -> str:
    """click's message, with a pointer to the help."""
    path = error.ctx.command_path if error.ctx else "convdiff"
    return f"{error.format_message().rstrip('.')}; see {path} --help"


@contextmanager
def _stdout_errors() -> Iterator[None]:
    """Turns errors of writing to stdout into `ReaderGoneError` (a closed pipe) or ConvdiffError."""
    try:
        yield
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
        # The interpreter flushes stdout again at exit, which would fail again: redirect it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if error.errno == errno.EPIPE:
            raise ReaderGoneError from None
        raise ConvdiffError(
            f"stdout: cannot be written ({error.strerror}), expected room for the results"
        ) from None


class ReaderGoneError(Exception):
    """The reader of stdout has closed the pipe.

    Not an OSError: click would end the process in its own way.
    """


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        click.echo(f"convdiff {__version__}")
        ctx.exit()


@click.group(
    cls=CommandGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=(
        "Each command has its own --help, with examples.\n\n"
        "Exit codes: 0 all agree, 1 at least one differs, 2 trouble (bad input, or nothing was "
        "compared).\n\n"
        "Environment variables: NO_COLOR turns colors off; GITHUB_STEP_SUMMARY is the file that "
        "--format github appends a summary to.\n\n"
        "Shell completion, for bash in ~/.bashrc (zsh_source and fish_source for the others):\n\n"
        '\b\n  eval "$(_CONVDIFF_COMPLETE=bash_source convdiff)"'
    ),
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_version,
    help="Print the version and exit.",
)
@click.pass_context
def group(ctx: click.Context) -> None:
    """Find out why two convolutions that should be the same are not.

    \b
    Example: what did a port do differently with the same arrays?
      convdiff run input.npy kernel.npy --saved port=output.npy --padding same
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
        return
    config = ctx.obj = load()
    ctx.default_map = dict.fromkeys(COMMANDS, config.defaults)


def main() -> int:
    """Run the command line on sys.argv and return the exit code."""
    try:
        code = group.main(prog_name="convdiff", standalone_mode=False)
    except click.Abort:
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except ReaderGoneError:
        return BROKEN_PIPE
    return code if isinstance(code, int) else 0
