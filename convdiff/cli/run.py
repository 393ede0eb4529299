"""`convdiff run`."""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource

from convdiff.cli.options import (
    COLOR,
    CONVOLUTION,
    Command,
    File,
    Seconds,
    Word,
    all_of,
    backends,
    option,
    settings,
)
from convdiff.cli.reports import REPORTS
from convdiff.exit_codes import FAIL_ON
from convdiff.pipeline.request import PATHS, Request

_COMPARED, _OUTPUT = "What is compared", "Output"

UNALIGNED = (
    "nothing is aligned: each framework's own default call on the same arrays, and what that does "
    "in place of what was asked; "
    "convdiff code --for NAME writes it as it should be"
)

COMPARED = all_of(
    [
        option(
            _COMPARED,
            "--saved",
            multiple=True,
            metavar="[NAME=]FILE",
            help="An output saved elsewhere; repeatable.",
        ),
        option(
            _COMPARED,
            "--call",
            "calls",
            multiple=True,
            metavar="NAME=CODE",
            help=(
                "Code of yours, run where NAME runs, on input, kernel, bias: an expression or "
                "path.py:function; repeatable."
            ),
        ),
        option(
            _COMPARED,
            "--backend",
            "backends",
            multiple=True,
            metavar="NAME",
            shell_complete=backends,
            help=(
                "NAME or NAME:PATH; repeatable. Default: all that are installed; none: the "
                "reference alone."
            ),
        ),
        option(
            _COMPARED,
            "--paths",
            type=Word(PATHS),
            default="default",
            show_default=True,
            metavar="WHICH",
            help=(
                "default: what a user would hit without asking; all: every path that this "
                "machine has."
            ),
        ),
        option(
            _COMPARED,
            "--repeat",
            type=click.IntRange(min=1),
            default=1,
            show_default=True,
            metavar="N",
            help="Ask each N times; an answer that changes is not-deterministic.",
        ),
        option(
            _COMPARED,
            "--require",
            multiple=True,
            metavar="NAME",
            shell_complete=backends,
            help="Exit 2 where this backend cannot run; repeatable.",
        ),
        option(
            _COMPARED,
            "--no-align",
            is_flag=True,
            help="Each framework's own default call, nothing aligned, and what it then did.",
        ),
        option(
            _COMPARED,
            "--timeout",
            type=Seconds(),
            default=60.0,
            show_default=True,
            metavar="SECONDS",
            help=(
                "For one backend's answer; importing it may take three times that, and a minute "
                "at least."
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
            help="The mildest verdict to exit 1 for: different, reduced-precision or rounding.",
        ),
        REPORTS,
        COLOR,
    ]
)


@click.command("run", cls=Command)
@click.argument("input", cls=File)
@click.argument("kernel", cls=File)
@CONVOLUTION
@COMPARED
@OUTPUT
@click.pass_context
def command(ctx: click.Context, /, no_align: bool, **options: Any) -> None:
    """Run one convolution through every backend, and compare.

    INPUT and KERNEL are file.npy or file.npz:key, as are all arrays. Every output (the backends',
    those saved elsewhere, those of your own code) is held against a float64 reference; where one
    differs, convdiff says what it did instead.

    \b
    Example:
      convdiff run x.npy w.npy --padding same --saved port=y.npy
    """
    from convdiff.cli import run_view
    from convdiff.cli.reports import ReportFiles

    outputs = ReportFiles(options)
    said = settings(options)
    left = [
        name.rstrip("_")
        for name in ctx.params
        if ctx.get_parameter_source(name) is ParameterSource.DEFAULT_MAP
    ]
    notes = (*ctx.obj.notes(left), *((UNALIGNED,) if no_align else ()))
    request = Request(
        settings=said,
        align=not no_align,
        command=run_view.command_line(),
        notes=notes,
        pictures=outputs.pictures,
        **options,
    )
    from convdiff.pipeline import run

    asking = request.paths == "all"
    report = run(
        request,
        run_view.view(outputs.format, to_stderr=outputs.to_stderr, color=ctx.color, asking=asking),
    )
    outputs.write_report(report)
    ctx.exit(report.exit_code)
