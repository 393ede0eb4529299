"""`convdiff check`."""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource

from convdiff.cli.options import COLOR, Command, File, Seconds, Word, all_of, backends, option
from convdiff.cli.reports import REPORTS
from convdiff.errors import ConvdiffError
from convdiff.exit_codes import FAIL_ON

_CASES, _COMPARED = "Cases", "What is compared"

CASES = all_of(
    [
        option(
            _CASES,
            "--case",
            "patterns",
            multiple=True,
            metavar="PATTERN",
            help="Only cases of such a name (conv*); repeatable.",
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
            help="A capture of the model as it should be; with --port.",
        ),
        option(
            _CASES,
            "--port",
            metavar="FOLDER",
            help="A capture of its port: which layer diverges first, and why.",
        ),
        option(
            _CASES,
            "--write-manifest",
            metavar="FOLDER",
            help="Draft FOLDER/manifest.toml from the arrays there, and stop.",
        ),
    ]
)
COMPARED = all_of(
    [
        option(
            _COMPARED,
            "--backend",
            "backends",
            multiple=True,
            metavar="NAME",
            shell_complete=backends,
            help="Instead of the manifest's; none: saved outputs alone.",
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
            "--timeout",
            type=Seconds(),
            metavar="SECONDS",
            help="For one backend and case. Default: the manifest's, else 60.",
        ),
        option(
            _COMPARED,
            "--jobs",
            type=click.IntRange(min=1),
            metavar="N",
            help="Processes that compare. Default: one a core.",
        ),
        option(
            _COMPARED,
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
                "The mildest verdict to exit 1 for: different, reduced-precision or rounding. "
                "Default: the manifest's, else different."
            ),
        ),
    ]
)
# What a comparison of two captures has no use for.
UNPORTED = ("backends", "require", "timeout", "scheduler")


@click.command("check", cls=Command)
@click.argument("manifests", cls=File, nargs=-1, metavar="[MANIFEST]...")
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

    MANIFEST is a file, or a folder with a manifest.toml; files in it are relative to it. A case has
    the options of `convdiff run` as keys, and `allow`, the codes of findings that do not fail it. A
    case that cannot be checked is a row of trouble, and the others go on. Exit code 0: all agree;
    1: at least one differs; 2: trouble.

    \b
    Manifest:
      [defaults]
      backends = ["torch", "tensorflow"]     # [] is saved outputs alone; unsaid, all that are installed
    \b
      [[case]]
      name = "conv1"
      input = "dump/conv1.x.npy"
      kernel = "dump/conv1.w.npy"
      saved = { port = "port/conv1.y.npy" }
      padding = [[0, 1], [0, 1]]
      allow = ["reduced-precision"]          # one that no longer occurs is reported

    With --source and --port, two folders of `convdiff capture`: their layers are paired by name, by
    kernel or by order, and each layer of the port is held against the source's convolution on the
    input that it really got.

    \b
    Examples:
      convdiff check manifest.toml --junit report.xml --html report.html
      convdiff check dump/ port/ --case 'encoder.*' --fail-fast
      convdiff check --write-manifest dump/
      convdiff check --source torch-dump/ --port keras-dump/
    """
    from convdiff.cli import run_view

    # What a project sets for `run` is not said for cases that say it themselves.
    unsaid: dict[str, Any] = {"backends": (), "timeout": None, "fail_on": None}
    options |= {
        name: none
        for name, none in unsaid.items()
        if ctx.get_parameter_source(name) is ParameterSource.DEFAULT_MAP
    }
    if write_manifest is not None:
        if manifests:
            raise ConvdiffError(
                f"--write-manifest {write_manifest}: found {manifests[0]} beside it, expected no "
                "manifest to check"
            )
        from convdiff.check.draft_manifest import draft

        click.echo(draft(write_manifest))
        return
    ported = source is not None and port is not None
    if (source is None) != (port is None):
        raise ConvdiffError(
            f"{'--source' if port is None else '--port'}: found it alone, expected --source "
            "FOLDER and --port FOLDER"
        )
    if ported and manifests:
        raise ConvdiffError(
            f"--source {source}: found {manifests[0]} beside it, expected no manifest; the "
            "captures have theirs"
        )
    given = [
        name
        for name in UNPORTED
        if options[name] and ctx.get_parameter_source(name) is not ParameterSource.DEFAULT_MAP
    ]
    if ported and given:
        option = f"--{given[0].removesuffix('s')}"
        raise ConvdiffError(
            f"{option}: found it beside --source and --port, expected it with manifests alone; "
            "captures run no backend"
        )
    if not manifests and not ported:
        raise ConvdiffError(
            "MANIFEST: found none, expected a TOML file or a folder with a manifest.toml; "
            "--write-manifest drafts one"
        )
    from convdiff.check import CheckRequest, check
    from convdiff.cli.check_progress import watch
    from convdiff.cli.reports import ReportFiles

    outputs = ReportFiles(options)
    request = CheckRequest(
        manifests=manifests, command=run_view.command_line(), pictures=outputs.pictures, **options
    )
    with watch() as watcher:
        if source is not None and port is not None:
            from convdiff.port.check_port import check_port

            suite = check_port(source, port, request, watcher)
        else:
            suite = check(request, watcher)
    outputs.show(suite, color=ctx.color)
    ctx.exit(suite.exit_code)
