"""The options that say where a report goes, and the files it goes to."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convdiff.cli.options import Word, all_of, option
from convdiff.errors import ConvdiffError

if TYPE_CHECKING:
    from convdiff.records import Report
    from convdiff.suite_result import Suite

FORMATS = ("table", "json", "github")
FILES = ("json", "junit", "html")

REPORTS = all_of(
    [
        option(
            "Output",
            "--format",
            "format_",
            type=Word(FORMATS),
            default="table",
            show_default=True,
            metavar="FORMAT",
            help="table, json, or github (annotations, and the job's summary).",
        ),
        option(
            "Output",
            "--json",
            "json_",
            metavar="FILE",
            help="Write the JSON too; - is stdout, the table then goes to stderr.",
        ),
        option(
            "Output",
            "--junit",
            metavar="FILE",
            help="Write JUnit XML too, as GitHub, GitLab and Jenkins read it.",
        ),
        option(
            "Output",
            "--html",
            metavar="FILE",
            help="Write one page with the table, the findings and pictures of them.",
        ),
    ]
)


class ReportFiles:
    """The files that were asked for; whether they can be written is known before any work is done."""

    def __init__(self, options: dict[str, Any]) -> None:
        """Takes what belongs here out of a command's options.  ConvdiffError for a file that cannot
        be written.
        """
        self.format: str = options.pop("format_")
        names = {
            "json": options.pop("json_"),
            "junit": options.pop("junit"),
            "html": options.pop("html"),
        }
        self._files = {
            kind: ReportFile(f"--{kind}", name) for kind, name in names.items() if name is not None
        }
        self._check()

    def _check(self) -> None:
        """ConvdiffError where two of the reports would be written over each other."""
        taken: dict[Path | None, str] = (
            {None: f"--format {self.format}"} if self.format != "table" else {}
        )
        for file in self._files.values():
            device = file.path is not None and file.path.exists() and not file.path.is_file()
            if file.path in taken and not device:
                raise ConvdiffError(
                    f"{file.said}: found {taken[file.path]} going there too, expected a file for "
                    "each; name another"
                )
            taken[file.path] = file.said

    @property
    def to_stderr(self) -> bool:
        """Whether stdout is wanted for a file's text."""
        return any(file.stdout for file in self._files.values())

    @property
    def pictures(self) -> bool:
        """Whether somebody will look at more than figures."""
        return "html" in self._files

    def show(self, suite: Suite, *, color: bool | None) -> None:
        """Write the files, then show a suite in the format asked for."""
        self.write(suite)
        if self.format == "table":
            from convdiff.cli.run_view import console
            from convdiff.report.suite_table import show

            show(suite, console(to_stderr=self.to_stderr, color=color))
        else:
            click.echo(_rendered(self.format, suite), nl=False)
            self.summarise(suite)

    def write(self, suite: Suite) -> None:
        """Each file, whole or not at all."""
        for kind, file in self._files.items():
            file.write(_rendered(kind, suite))

    def write_report(self, report: Report) -> None:
        """The same for one run: its JSON is that of a report, all else that of a suite of one case."""
        from convdiff.suite_result import single_case_suite

        suite = single_case_suite(report)
        for kind, file in self._files.items():
            if kind == "json":
                from convdiff.report.json_report import render

                file.write(render(report))
            else:
                file.write(_rendered(kind, suite))
        self.summarise(suite)

    def summarise(self, suite: Suite) -> None:
        """The job's summary, where GitHub asks for one."""
        path = os.environ.get("GITHUB_STEP_SUMMARY")
        if self.format == "github" and path:
            from convdiff.report.github import summary_text

            try:
                with Path(path).open("a", encoding="utf-8") as file:
                    file.write(summary_text(suite))
            except OSError as error:
                raise ConvdiffError(
                    f"GITHUB_STEP_SUMMARY {path}: cannot be written ({error.strerror}), expected "
                    "a writable file"
                ) from None


def _rendered(kind: str, suite: Suite) -> str:
    if kind == "json":
        from convdiff.report.json_report import render_suite

        return render_suite(suite)
    if kind == "junit":
        import socket
        import time

        from convdiff.report.junit import render as junit

        return junit(suite, time.time() - (suite.seconds or 0), socket.gethostname() or "localhost")
    if kind == "github":
        from convdiff.report.github import commands

        return commands(suite)
    from convdiff.report.page_html import render as page

    return page(suite)


class ReportFile:
    """A file that an option names; - is stdout."""

    def __init__(self, option: str, name: str) -> None:
        """ConvdiffError for a folder that is missing or may not be written to, and for what is an
        array's name.
        """
        self.said = f"{option} {name or repr(name)}"
        self.stdout = name == "-"
        if self.stdout:
            return
        if not name or Path(name).suffix.lower() in (".npy", ".npz"):
            found = "the name of an array" if name else "no name"
            raise ConvdiffError(
                f"{self.said}: found {found}, expected that of a report; name another file"
            )
        try:
            # Through a link to its target, so that the link stays.
            self._path = Path(name).resolve()
        except (
            OSError,
            RuntimeError,
            ValueError,
        ) as error:  # a deleted current folder, a loop of links, a NUL
            raise ConvdiffError(
                f"{self.said}: found no place for a file ({error}), expected a path that can be "
                "written"
            ) from None
        if self._path.is_dir():
            raise ConvdiffError(
                f"{self.said}: found a directory, expected a file to write; name a file in it"
            )
        if not self._path.parent.is_dir():
            raise ConvdiffError(
                f"{self.said}: found no directory {self._path.parent}, expected one to write in; "
                "make it first"
            )
        if not os.access(self._path.parent, os.W_OK) and not os.access(self._path, os.W_OK):
            raise ConvdiffError(
                f"{self.said}: found a directory that may not be written to, expected write "
                "permission"
            )

    @property
    def path(self) -> Path | None:
        """Where it goes, through links; None is stdout."""
        return None if self.stdout else self._path

    def write(self, text: str) -> None:
        """Write it whole or not at all: beside it first, then into its place."""
        if self.stdout:
            click.echo(text, nl=False)
            return
        try:
            if self._path.exists() and not self._path.is_file():
                self._path.write_text(text, encoding="utf-8")  # a pipe or a device
                return
            beside = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")
            try:
                beside.write_text(text, encoding="utf-8")
                beside.replace(self._path)
            finally:
                with suppress(FileNotFoundError):
                    beside.unlink()
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            raise ConvdiffError(
                f"{self.said}: cannot be written ({error.strerror or error}), expected a writable "
                "file"
            ) from None
