"""`convdiff check`."""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource

from convdiff.cli.options import (
    COLOR,
    COMPARED_SECTION,
    REQUIRE,
    Command,
    FileArgument,
    Seconds,
    Word,
    all_of,
    complete_backend,
    option,
)
from convdiff.cli.report_files import REPORTS
from convdiff.errors import ConvdiffError
from convdiff.exit_codes import FAIL_ON

_CASES = "Cases"

CASES = all_of(
    [
        option(
            _CASES,
            "--case",
            "patterns",
            multiple=True,
            metavar="PATTERN",
            help="Check only cases with such a name (conv*); repeatable.",
        ),
        option(
            _CASES,
            "--fail-fast",
            is_flag=True,
            help="Stop after the first case that does not pass.",
        ),
        option(
            _CASES,
            "--source",
            metavar="FOLDER",
            help="A capture of the original model; with --port.",
        ),
        option(
            _CASES,
            "--port",
            metavar="FOLDER",
            help="A capture of its port: find the first layer that diverges, and why.",
        ),
        option(
            _CASES,
            "--write-manifest",
            metavar="FOLDER",
            help="Draft FOLDER/manifest.toml from the arrays in FOLDER, and stop.",
        ),
    ]
)
COMPARED = all_of(
    [
        option(
            COMPARED_SECTION,
            "--backend",
            "backends",
            multiple=True,
            metavar="NAME",
            shell_complete=complete_backend,
            help="Use this backend instead of the manifest's; none for saved outputs alone.",
        ),
        REQUIRE,
        option(
            COMPARED_SECTION,
            "--timeout",
            type=Seconds(),
            metavar="SECONDS",
            help="For one backend and case. Default: the manifest's, else 60.",
        ),
        option(
            COMPARED_SECTION,
            "--jobs",
            type=click.IntRange(min=1),
            metavar="N",
            help="Number of processes that compare. Default: one per core.",
        ),
        option(
            COMPARED_SECTION,
            "--scheduler",
            metavar="ADDRESS",
            help="Run the cases on a Dask cluster: tcp://HOST:8786.",
        ),
        option(
            "Output",
            "--fail-on",
            type=Word(FAIL_ON),
            metavar="VERDICT",
            help=(
                "The mildest verdict to exit with 1 for: different, reduced-precision or rounding. "
                "Default: the manifest's, else different."
            ),
        ),
    ]
)
# Options that make no sense with --source and --port: two captures are compared without backends.
OPTIONS_WITHOUT_PORT = ("backends", "require", "timeout", "scheduler")


@click.command("check", cls=Command)
@click.argument("manifests", cls=FileArgument, nargs=-1, metavar="[MANIFEST]...")
@CASES
@COMPARED
@REPORTS
@COLOR
@click.pass_context
def command(
    ctx: click.Context,
    /,
    manifests: tuple[str, ...],
    write_manifest: str | None,
    source: str | None,
    port: str | None,
    **options: Any,
) -> None:
    """Check many cases from TOML manifests.

    MANIFEST is a file, or a folder with a manifest.toml; the files named in it are relative to it.
    A case takes the options of `convdiff run` as keys, and `allow`: the codes of findings that do
    not fail it. A case that cannot be checked becomes a row of trouble, and the others are checked
    all the same. Exit codes: 0 all agree, 1 at least one differs, 2 trouble.

    \b
    Manifest:
      [defaults]
      backends = ["torch", "tensorflow"]     # default: all installed; []: saved outputs alone
    \b
      [[case]]
      name = "conv1"
      input = "dump/conv1.x.npy"
      kernel = "dump/conv1.w.npy"
      saved = { port = "port/conv1.y.npy" }
      padding = [[0, 1], [0, 1]]
      allow = ["reduced-precision"]          # a code that no longer occurs is reported

    --source and --port take two folders written by `convdiff capture`. Their layers are paired by
    name, by kernel or by order, and each layer of the port is compared with the source's
    convolution on the input that the layer actually got.

    \b
    Examples:
      convdiff check manifest.toml --junit report.xml --html report.html
      convdiff check dump/ port/ --case 'encoder.*' --fail-fast
      convdiff check --write-manifest dump/
      convdiff check --source torch-dump/ --port keras-dump/
    """
    # Values from the project's configuration are for `run`; here they would override the manifest.
    without_config: dict[str, Any] = {"backends": (), "timeout": None, "fail_on": None}
    options |= {
        name: value
        for name, value in without_config.items()
        if ctx.get_parameter_source(name) is ParameterSource.DEFAULT_MAP
    }
    if write_manifest is not None:
        _check_no_manifest("--write-manifest", write_manifest, manifests)
        from convdiff.check.draft_manifest import draft

        click.echo(draft(write_manifest))
        return
    if source is not None or port is not None:
        _check_port_options(ctx, manifests, source, port, options)
    elif not manifests:
        raise ConvdiffError(
            "MANIFEST: found none, expected a TOML file or a folder with a manifest.toml; to draft "
            "one: convdiff check --write-manifest FOLDER"
        )
    from convdiff.check import CheckRequest, check
    from convdiff.cli import run_view
    from convdiff.cli.check_progress import show_progress
    from convdiff.cli.report_files import ReportFiles

    files = ReportFiles(options)
    request = CheckRequest(
        manifests=manifests, command=run_view.command_line(), pictures=files.pictures, **options
    )
    with show_progress() as progress:
        if source is not None and port is not None:
            from convdiff.port.check_port import check_port

            suite = check_port(source, port, request, progress)
        else:
            suite = check(request, progress)
    files.show(suite, color=ctx.color)
    ctx.exit(suite.exit_code)


def _check_no_manifest(option: str, value: str, manifests: tuple[str, ...]) -> None:
    if manifests:
        raise ConvdiffError(
            f"{option} {value}: found the manifest {manifests[0]} as well, expected none"
        )


def _check_port_options(
    ctx: click.Context,
    manifests: tuple[str, ...],
    source: str | None,
    port: str | None,
    options: dict[str, Any],
) -> None:
    """Raises ConvdiffError where --source and --port are given with anything that excludes them."""
    if source is None or port is None:
        raise ConvdiffError(
            f"{'--source' if port is None else '--port'}: found it alone, expected --source "
            "FOLDER and --port FOLDER"
        )
    _check_no_manifest("--source", source, manifests)
    for param in ctx.command.params:
        name = param.name or ""
        given = ctx.get_parameter_source(name) is not ParameterSource.DEFAULT_MAP
        if name in OPTIONS_WITHOUT_PORT and options[name] and given:
            raise ConvdiffError(
                f"{param.opts[0]}: found it together with --source and --port, expected it with "
                "manifests only; two captures are compared without running a backend"
            )
