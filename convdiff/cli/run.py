"""`convdiff run`."""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource

from convdiff.cli.options import (
    COLOR,
    COMPARED_SECTION,
    CONVOLUTION,
    REQUIRE,
    Command,
    FileArgument,
    Seconds,
    Word,
    all_of,
    complete_backend,
    option,
    take_settings,
)
from convdiff.cli.report_files import REPORTS
from convdiff.exit_codes import FAIL_ON
from convdiff.pipeline.request import PATHS, Request

_OUTPUT = "Output"

UNALIGNED_NOTE = (
    "nothing is aligned: each framework runs its own default call on the same arrays, and the "
    "findings say how its output departs from what was asked; convdiff code --for NAME writes the "
    "call that does what was asked"
)

COMPARED = all_of(
    [
        option(
            COMPARED_SECTION,
            "--saved",
            multiple=True,
            metavar="[NAME=]FILE",
            help="An output that was computed elsewhere; repeatable.",
        ),
        option(
            COMPARED_SECTION,
            "--call",
            "calls",
            multiple=True,
            metavar="NAME=CODE",
            help=(
                "Your own code, run in the environment of the backend NAME on the arrays input, "
                "kernel and bias: an expression, or path.py:function; repeatable."
            ),
        ),
        option(
            COMPARED_SECTION,
            "--backend",
            "backends",
            multiple=True,
            metavar="NAME",
            shell_complete=complete_backend,
            help=(
                "A backend, or a path of one: NAME:PATH; repeatable; none runs no backend. "
                "Default: "
                "every installed backend."
            ),
        ),
        option(
            COMPARED_SECTION,
            "--paths",
            type=Word(PATHS),
            default="default",
            show_default=True,
            metavar="WHICH",
            help=(
                "default: what a user of this machine gets without asking; all: every path that "
                "this machine has."
            ),
        ),
        option(
            COMPARED_SECTION,
            "--repeat",
            type=click.IntRange(min=1),
            default=1,
            show_default=True,
            metavar="N",
            help="Run each backend N times; an output that changes is not-deterministic.",
        ),
        REQUIRE,
        option(
            COMPARED_SECTION,
            "--no-align",
            is_flag=True,
            help="Run each framework's own default call, with nothing aligned.",
        ),
        option(
            COMPARED_SECTION,
            "--timeout",
            type=Seconds(),
            default=60.0,
            show_default=True,
            metavar="SECONDS",
            help=(
                "For one backend's output. Importing a framework may take three times as long, and "
                "at least a minute."
            ),
        ),
    ]
)
OUTPUT = all_of(
    [
        option(
            _OUTPUT,
            "--fail-on",
            type=Word(FAIL_ON),
            default="different",
            show_default=True,
            metavar="VERDICT",
            help=(
                "The mildest verdict to exit with 1 for: different, reduced-precision or rounding."
            ),
        ),
        REPORTS,
        COLOR,
    ]
)


@click.command("run", cls=Command)
@click.argument("input", cls=FileArgument)
@click.argument("kernel", cls=FileArgument)
@CONVOLUTION
@COMPARED
@OUTPUT
@click.pass_context
def command(ctx: click.Context, /, no_align: bool, **options: Any) -> None:
    """Run one convolution through every backend, and compare.

    INPUT and KERNEL are file.npy or file.npz:key, like all arrays. Every output (from the backends,
    from your own code, or computed elsewhere) is compared with a float64 reference. Where one
    differs by more than rounding, convdiff says what was computed instead.

    \b
    Example:
      convdiff run x.npy w.npy --padding same --saved port=y.npy
    """
    from convdiff.cli import run_view
    from convdiff.cli.report_files import ReportFiles

    files = ReportFiles(options)
    settings = take_settings(options)
    from_config = [
        name for name in ctx.params if ctx.get_parameter_source(name) is ParameterSource.DEFAULT_MAP
    ]
    notes = (*ctx.obj.notes(from_config), *((UNALIGNED_NOTE,) if no_align else ()))
    request = Request(
        settings=settings,
        infer=True,
        align=not no_align,
        command=run_view.command_line(),
        notes=notes,
        pictures=files.pictures,
        **options,
    )
    from convdiff.pipeline import run

    view = run_view.view(
        files.format,
        to_stderr=files.to_stderr,
        color=ctx.color,
        awaits_paths=request.paths == "all",
    )
    report = run(request, view)
    files.write_report(report)
    ctx.exit(report.exit_code)
