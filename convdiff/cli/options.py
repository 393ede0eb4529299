"""The options that several commands share, and the sections of the help that they stand in."""

from __future__ import annotations

import math
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
    """One of several words; the error for another word suggests the closest one."""

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
    """A finite number of seconds above 0."""

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


class SectionOption(click.Option):
    """An option that stands under a heading of its own in the help."""

    def __init__(self, *args: Any, section: str = "Options", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.section = section

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Files or folders where the help says FILE or FOLDER, else what the type completes to."""
        kind = {"FILE": "file", "FOLDER": "dir"}.get((self.metavar or "").rpartition("]")[2])
        return (
            [CompletionItem(incomplete, type=kind)]
            if kind
            else super().shell_complete(ctx, incomplete)
        )


class FileArgument(click.Argument):
    """An argument that a shell completes to a file."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The files that the shell finds."""
        return [CompletionItem(incomplete, type="file")]


def complete_backend(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Completes to a backend; once its name and a colon are typed, to one of its paths."""
    from convdiff.backends import NAMES
    from convdiff.execution_paths import PATHS

    names = [
        *NAMES,
        *(
            f"{path.backend}:{path.name}"
            for path in PATHS
            if incomplete.startswith(f"{path.backend}:")
        ),
    ]
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


class Command(click.Command):
    """A command whose help shows the options in sections.

    The error about a value that comes from the project's configuration file names that file.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does."""
        with _blaming_config(ctx):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """As click does."""
        with _blaming_config(ctx):
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


@contextmanager
def _blaming_config(ctx: click.Context) -> Iterator[None]:
    """Rewords an error about a value from the configuration file: file and key, not the option."""
    try:
        yield
    except (ConvdiffError, click.BadParameter) as error:
        for param in ctx.command.params:
            from_config = ctx.get_parameter_source(param.name or "") is ParameterSource.DEFAULT_MAP
            if from_config and _is_about(error, param):
                raise ConvdiffError(
                    error.message, subject=f"{ctx.obj.file}: {param.name}"
                ) from None
        raise


def _is_about(error: ConvdiffError | click.BadParameter, param: click.Parameter) -> bool:
    if isinstance(error, ConvdiffError):
        return error.subject in param.opts
    return error.param is param


def all_of(options: Sequence[Decorator]) -> Decorator:
    """One decorator for several options; the help lists them in this order."""

    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def option(section: str, *names: str, **kwargs: Any) -> Decorator:
    """An option in a section of the help."""
    return click.option(*names, cls=SectionOption, section=section, **kwargs)


_CONVOLUTION, _LAYOUTS, _OUTPUT = "Convolution", "Layouts", "Output"

CONVOLUTION = all_of(
    [
        option(_CONVOLUTION, "--bias", metavar="FILE", help="One value per output channel."),
        option(_CONVOLUTION, "--stride", metavar="N|N,N", help="One number, or one per axis: 2,1."),
        option(
            _CONVOLUTION,
            "--padding",
            metavar="PAD",
            help=(
                "valid, same (the end gets one more if the total is odd), same_lower, half, full "
                "or causal; one number, or one per axis: 1,2; or lo:hi per axis: 0:1,0:1. Negative "
                "numbers crop. Not given: none, or what a saved output's size tells."
            ),
        ),
        option(
            _CONVOLUTION,
            "--pad-mode",
            metavar="MODE|MODE,MODE",
            help=(
                "constant, reflect, symmetric, edge or wrap, as in numpy.pad; one, or one per "
                "axis: wrap,constant."
            ),
        ),
        option(
            _CONVOLUTION,
            "--pad-value",
            metavar="X|X,X",
            help=(
                "What constant padding holds: a number, or one per input channel: "
                "-2.1,-2.0,-1.8. Default: 0."
            ),
        ),
        option(
            _CONVOLUTION,
            "--dilation",
            metavar="N|N,N",
            help="Distance between the kernel's taps; 1 is dense.",
        ),
        option(
            _CONVOLUTION,
            "--input-dilation",
            metavar="N|N,N",
            help="The same for the input (lhs_dilation in XLA); 1 is none.",
        ),
        option(
            _CONVOLUTION, "--groups", type=int, metavar="N", help="Number of groups of channels."
        ),
        option(_CONVOLUTION, "--depthwise", is_flag=True, help="One group per input channel."),
        option(
            _CONVOLUTION,
            "--transposed",
            is_flag=True,
            help="Transposed convolution: the adjoint of the direct one.",
        ),
        option(
            _CONVOLUTION,
            "--output-padding",
            metavar="N|N,N",
            help="Transposed only: positions added at the end of the output.",
        ),
        option(
            _CONVOLUTION,
            "--output-size",
            metavar="N|N,N",
            help="Transposed only: the size of the output, which determines the padding.",
        ),
        option(
            _CONVOLUTION,
            "--flip/--no-flip",
            default=None,
            help=(
                "Flip the kernel: a convolution in the mathematical sense. Default: "
                "cross-correlation."
            ),
        ),
        option(
            _CONVOLUTION,
            "--dtype",
            metavar="TYPE",
            help=(
                "Compute in float32, float64, float16, bfloat16, complex64 or complex128. Default: "
                "the arrays' type."
            ),
        ),
        option(
            _LAYOUTS,
            "--input-layout",
            metavar="AXES",
            help="NCHW, NHWC, NCW, HW, ... Default: what fits the shapes.",
        ),
        option(
            _LAYOUTS,
            "--kernel-layout",
            metavar="AXES",
            help="OIHW, HWIO, IOHW, HWOI, HWIM, HW, ... Default: what fits the shapes.",
        ),
        option(_LAYOUTS, "--output-layout", metavar="AXES", help="Default: the input's."),
        option(
            _LAYOUTS,
            "--as",
            type=Word(FRAMEWORKS),
            metavar="FRAMEWORK",
            help=f"Read what is left out as this framework does: {', '.join(FRAMEWORKS)}.",
        ),
    ]
)


def _set_color(ctx: click.Context, _: click.Parameter, value: str) -> None:
    ctx.color = ctx.find_root().color = {"always": True, "never": False}.get(value)


COMPARED_SECTION = "What is compared"
REQUIRE = option(
    COMPARED_SECTION,
    "--require",
    multiple=True,
    metavar="NAME",
    shell_complete=complete_backend,
    help="Exit with 2 if this backend cannot run; repeatable.",
)
COLOR = option(
    _OUTPUT,
    "--color",
    type=Word(("auto", "always", "never")),
    default="auto",
    metavar="WHEN",
    expose_value=False,
    is_eager=True,
    callback=_set_color,
    help="auto (on a terminal, unless NO_COLOR is set), always or never.",
)


def take_settings(options: dict[str, Any]) -> Settings:
    """The settings of the convolution, which are removed from a command's `options`."""
    fields = Settings.fields_in(options)
    for name in fields:
        del options[Settings.option_name(name)]
    return Settings(**fields)
