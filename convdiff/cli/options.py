"""The options that several commands share, in the sections of their help."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from convdiff.errors import ConvdiffError, one_of
from convdiff.spec.settings import FRAMEWORKS, Settings

Decorator = Callable[[Any], Any]


class Word(click.Choice[str]):
    """A word among several; an unknown one is an error in convdiff's own form, with the nearest."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The word itself."""
        if value not in self.choices:
            raise one_of(
                param.opts[0] if param else "option",
                value,
                [str(choice) for choice in self.choices],
            )
        return str(value)


class Seconds(click.FloatRange):
    """A finite number above 0."""

    name = "seconds"

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number itself."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"found {value}, expected a finite number", param, ctx)
        return number


class Option(click.Option):
    """An option that stands under a heading in the help."""

    def __init__(self, *args: Any, section: str = "Options", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.section = section

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Files and folders where the help says so, else what the option's type knows."""
        kind = {"FILE": "file", "FOLDER": "dir"}.get((self.metavar or "").rpartition("]")[2])
        return (
            [CompletionItem(incomplete, type=kind)]
            if kind
            else super().shell_complete(ctx, incomplete)
        )


def backends(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """For a shell: backends, and the paths of one whose name is there."""
    from convdiff.backends import NAMES
    from convdiff.execution_paths import PATHS

    known = [
        *NAMES,
        *(
            f"{path.backend}:{path.name}"
            for path in PATHS
            if incomplete.startswith(f"{path.backend}:")
        ),
    ]
    return [CompletionItem(name) for name in known if name.startswith(incomplete)]


class File(click.Argument):
    """An argument that a shell completes to a file."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Whatever the shell knows of files."""
        return [CompletionItem(incomplete, type="file")]


@contextmanager
def _blamed(ctx: click.Context) -> Iterator[None]:
    """What is wrong with an option that the project's file sets is told of the file, under the name
    that it has there.
    """
    try:
        yield
    except (ConvdiffError, click.BadParameter) as error:
        for param in ctx.command.params:
            if ctx.get_parameter_source(param.name or "") is not ParameterSource.DEFAULT_MAP:
                continue
            said = re.sub(rf"^({'|'.join(map(re.escape, param.opts))})[: ]+", "", str(error))
            if said != str(error) or (
                isinstance(error, click.BadParameter) and error.param is param
            ):
                raise ConvdiffError(
                    f"{ctx.obj.file}: {(param.name or '').rstrip('_')}: {said}"
                ) from None
        raise


class Command(click.Command):
    """A command whose help has its options under their headings, and whose errors name the
    project's file where that is to blame.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does."""
        with _blamed(ctx):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """As click does."""
        with _blamed(ctx):
            return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, section by section."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is not None:
                sections.setdefault(getattr(param, "section", "Other"), []).append(record)
        for section, records in sections.items():
            with formatter.section(section):
                formatter.write_dl(records)


def all_of(options: Sequence[Decorator]) -> Decorator:
    """One decorator for several options, which stand in the help in this order."""

    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def option(section: str, *names: str, **kwargs: Any) -> Decorator:
    """An option under a heading."""
    return click.option(*names, cls=Option, section=section, **kwargs)


_OPERATION, _LAYOUT = "Convolution", "Layouts"

CONVOLUTION = all_of(
    [
        option(_OPERATION, "--bias", metavar="FILE", help="One value per output channel."),
        option(_OPERATION, "--stride", metavar="N|N,N", help="2, or one per axis: 2,1."),
        option(
            _OPERATION,
            "--padding",
            metavar="PAD",
            help=(
                "valid, same (odd one at the end), same_lower, half, full, causal; 1; 1,2; or "
                "lo:hi per axis: 0:1,0:1. Negative crops."
            ),
        ),
        option(
            _OPERATION,
            "--pad-mode",
            metavar="MODE",
            help="constant, reflect, symmetric, edge or wrap (numpy.pad's words).",
        ),
        option(_OPERATION, "--dilation", metavar="N|N,N", help="Of the kernel; 1 is dense."),
        option(
            _OPERATION,
            "--input-dilation",
            metavar="N|N,N",
            help="Of the input (XLA's lhs_dilation); 1 is none.",
        ),
        option(_OPERATION, "--groups", type=int, metavar="N", help="Groups of channels."),
        option(_OPERATION, "--depthwise", is_flag=True, help="One group per input channel."),
        option(
            _OPERATION,
            "--transposed",
            is_flag=True,
            help="Transposed convolution, the adjoint of the direct one.",
        ),
        option(
            _OPERATION,
            "--output-padding",
            metavar="N|N,N",
            help="Transposed: added at the output's end.",
        ),
        option(
            _OPERATION,
            "--output-size",
            metavar="N|N,N",
            help="Transposed: the output's size, which settles its padding.",
        ),
        option(
            _OPERATION,
            "--flip/--no-flip",
            default=None,
            help=(
                "Flip the kernel: convolution in the mathematical sense. Default: no, "
                "cross-correlation."
            ),
        ),
        option(
            _OPERATION,
            "--dtype",
            metavar="TYPE",
            help="Compute in float32, float64, float16 or bfloat16. Default: the arrays'.",
        ),
        option(
            _LAYOUT,
            "--input-layout",
            metavar="AXES",
            help="NCHW, NHWC, NCW, HW, ... Default: what fits the shapes.",
        ),
        option(
            _LAYOUT, "--kernel-layout", metavar="AXES", help="OIHW, HWIO, IOHW, HWOI, HWIM, HW, ..."
        ),
        option(_LAYOUT, "--output-layout", metavar="AXES", help="Default: the input's."),
        option(
            _LAYOUT,
            "--as",
            "as_",
            type=Word(FRAMEWORKS),
            metavar="FRAMEWORK",
            help=f"Read everything unsaid as it would: {', '.join(FRAMEWORKS)}.",
        ),
    ]
)


def _set_color(ctx: click.Context, _: click.Parameter, value: str) -> None:
    ctx.color = ctx.find_root().color = {"always": True, "never": False}.get(value)


COLOR = option(
    "Output",
    "--color",
    type=Word(("auto", "always", "never")),
    default="auto",
    metavar="WHEN",
    expose_value=False,
    is_eager=True,
    callback=_set_color,
    help="auto (on a terminal, unless NO_COLOR is set), always or never.",
)


def settings(options: dict[str, Any]) -> Settings:
    """Takes what belongs to the convolution out of a command's options."""
    return Settings(**{name: options.pop(name) for name in Settings.names() if name in options})
