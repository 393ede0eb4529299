"""The group of commands, each imported when it is called, and what errors look like."""

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

# In the order of the help, with their line in it.  Each is the variable `command` of the module
# convdiff.cli.NAME.
COMMANDS = {
    "run": "One convolution through every backend, compared and explained.",
    "check": "Many cases from manifests, for CI.",
    "capture": "Record a model's convolution layers as a manifest.",
    "code": "The code that does it in one framework.",
    "probe": "Question a function with arrays made to reveal.",
    "backends": "What is installed; install, add, remove.",
    "explain": "What a finding means and how to fix it.",
}
INTERRUPTED = 130
BROKEN_PIPE = 141


class Trouble(click.ClickException):
    """A `ConvdiffError` as it is shown: one line, in red on a terminal."""

    exit_code = 2

    def __init__(self, message: str, color: bool | None) -> None:
        message = " ".join(message.split("\n"))
        if not message.isprintable():
            from convdiff.report.words import literal

            message = literal(message)
        super().__init__(message)
        self._color = color

    def show(self, file: Any = None) -> None:
        """Write it to stderr."""
        color = (
            self._color
            if self._color is not None
            else False
            if os.environ.get("NO_COLOR")
            else None
        )
        with suppress(OSError):  # a full disk: the exit code is left to tell
            click.echo(click.style(f"convdiff: {self.message}", fg="red"), err=True, color=color)


class Commands(click.Group):
    """Knows the commands by name only; turns every ConvdiffError into `Trouble`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the help's order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"convdiff.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of them in the help, without importing one."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does; an unknown command is told the known ones."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            ctx.fail(f"No such command {args[0]!r}; expected one of {', '.join(sorted(COMMANDS))}.")
        return super().resolve_command(ctx, args)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """As click does; --help writes here."""
        try:
            with _unwritable():
                return super().make_context(*args, **kwargs)
        except ConvdiffError as error:
            raise Trouble(str(error), None) from None
        except click.UsageError as error:
            raise Trouble(_one_line(error), None) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            with _unwritable():
                return super().invoke(ctx)
        except ConvdiffError as error:
            raise Trouble(str(error), ctx.find_root().color) from None
        except MemoryError as error:
            what = (
                f"{ctx.invoked_subcommand}: found more to compute than this machine's memory "
                f"holds ({error or 'no room'})"
            )
            raise Trouble(
                f"{what}, expected smaller arrays or less padding", ctx.find_root().color
            ) from None
        except click.UsageError as error:
            raise Trouble(_one_line(error), ctx.find_root().color) from None


def _one_line(error: click.UsageError) -> str:
    """click's message, and where to read on."""
    path = error.ctx.command_path if error.ctx else "convdiff"
    return f"{error.format_message().rstrip('.')}; see {path} --help"


@contextmanager
def _unwritable() -> Iterator[None]:
    """Where stdout takes no more: quiet for a pipe whose reader has gone, a word for a full disk."""
    try:
        yield
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
        # The interpreter flushes stdout once more at its end: let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if error.errno == errno.EPIPE:
            raise ReaderGoneError from None
        raise ConvdiffError(
            f"stdout: cannot be written ({error.strerror}), expected room for the results"
        ) from None


class ReaderGoneError(Exception):
    """No OSError, or click would end the process in its own way."""


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        click.echo(f"convdiff {__version__}")
        ctx.exit()


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=(
        "Exit codes: 0 all agree, 1 at least one differs, 2 trouble.\n\nEach command has its own "
        "--help, with examples.\n\n"
        "Environment: NO_COLOR turns colours off, GITHUB_STEP_SUMMARY is where --format github "
        "appends its summary. Shell completion:\n\n"
        '\b\n  eval "$(_CONVDIFF_COMPLETE=bash_source convdiff)"     in ~/.bashrc; zsh_source, '
        "fish_source for those"
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
    """Tells why two convolutions that should be the same are not.

    \b
    Example: what did the port do with the same arrays?
      convdiff run input.npy kernel.npy --saved port=output.npy --padding same
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
        return
    config = ctx.obj = load()
    defaults = {
        {"as": "as_", "format": "format_"}.get(name, name): value
        for name, value in config.defaults.items()
    }
    ctx.default_map = dict.fromkeys(COMMANDS, defaults)


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
