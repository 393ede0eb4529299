"""The options that say where reports go, and the files that reports are written to."""

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
# The formats that have an option for a file; the option and the format have one name.
FILE_FORMATS = ("json", "junit", "html")

REPORTS = all_of(
    [
        option(
            "Output",
            "--format",
            type=Word(FORMATS),
            default="table",
            show_default=True,
            metavar="FORMAT",
            help="table, json, or github (annotations, and a summary of the job).",
        ),
        option(
            "Output",
            "--json",
            metavar="FILE",
            help="Also write JSON; - is stdout (the table then goes to stderr).",
        ),
        option(
            "Output",
            "--junit",
            metavar="FILE",
            help="Also write JUnit XML, for GitHub, GitLab and Jenkins.",
        ),
        option(
            "Output",
            "--html",
            metavar="FILE",
            help="Also write an HTML page: the table, the findings, and pictures of them.",
        ),
    ]
)


class ReportFiles:
    """The format for stdout and the report files that a command's options ask for.

    Whether the files can be written is checked when this is made, before any work is done.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        """Takes the options of this module out of `options`.

        Raises ConvdiffError for a file that cannot be written, or that two reports would go to.
        """
        self.format: str = options.pop("format")
        names = {format: options.pop(format) for format in FILE_FORMATS}
        self._files = {
            format: ReportFile(f"--{format}", name)
            for format, name in names.items()
            if name is not None
        }
        self._check_distinct()

    def _check_distinct(self) -> None:
        """Raises ConvdiffError where one report would overwrite another."""
        taken: dict[Path | None, str] = (
            {None: f"--format {self.format}"} if self.format != "table" else {}
        )
        for file in self._files.values():
            is_device = file.path is not None and file.path.exists() and not file.path.is_file()
            if file.path in taken and not is_device:
                raise ConvdiffError(
                    f"{file.option}: found the destination of {taken[file.path]}, expected a file "
                    "for each report; name another"
                )
            taken[file.path] = file.option

    @property
    def to_stderr(self) -> bool:
        """Whether a report file goes to stdout, so that the table must go to stderr."""
        return any(file.is_stdout for file in self._files.values())

    @property
    def pictures(self) -> bool:
        """Whether a report shows pictures."""
        return "html" in self._files

    def show(self, suite: Suite, *, color: bool | None) -> None:
        """Write the files, then the suite in its format to stdout."""
        self.write(suite)
        if self.format == "table":
            from convdiff.cli.run_view import console
            from convdiff.report.suite_report import show

            show(suite, console(to_stderr=self.to_stderr, color=color))
        else:
            click.echo(_rendered(self.format, suite), nl=False)
            self._write_github_summary(suite)

    def write(self, suite: Suite) -> None:
        """Write the files; each is written as a whole or not at all."""
        for format, file in self._files.items():
            file.write(_rendered(format, suite))

    def write_report(self, report: Report) -> None:
        """The same for a single run: JSON of the report, else of a suite with this one case."""
        from convdiff.suite_result import single_case_suite

        suite = single_case_suite(report)
        for format, file in self._files.items():
            if format == "json":
                from convdiff.report.json_report import render

                file.write(render(report))
            else:
                file.write(_rendered(format, suite))
        self._write_github_summary(suite)

    def _write_github_summary(self, suite: Suite) -> None:
        """Append to the job's summary, if GitHub Actions has one."""
        path = os.environ.get("GITHUB_STEP_SUMMARY")
        if self.format == "github" and path:
            from convdiff.report.github_report import summary_text

            try:
                with Path(path).open("a", encoding="utf-8") as file:
                    file.write(summary_text(suite))
            except OSError as error:
                raise ConvdiffError(
                    f"GITHUB_STEP_SUMMARY {path}: cannot be written ({error.strerror}), expected "
                    "a writable file"
                ) from None


def _rendered(format: str, suite: Suite) -> str:
    """The suite as text; each renderer is imported when it is used."""
    if format == "json":
        from convdiff.report.json_report import render_suite

        return render_suite(suite)
    if format == "junit":
        import socket
        import time

        from convdiff.report.junit_report import render as render_junit

        began = time.time() - (suite.seconds or 0)
        return render_junit(suite, began, socket.gethostname() or "localhost")
    if format == "github":
        from convdiff.report.github_report import commands

        return commands(suite)
    from convdiff.report.html_report import render as render_html

    return render_html(suite)


class ReportFile:
    """A file that an option names; - is stdout.

    `option` is the option with the name, as error messages show it: --json report.json.
    """

    def __init__(self, option: str, name: str) -> None:
        """Raises ConvdiffError for a file that cannot be written, or that has an array's name."""
        self.option = f"{option} {name or repr(name)}"
        self.is_stdout = name == "-"
        if self.is_stdout:
            return
        if not name or Path(name).suffix.lower() in (".npy", ".npz"):
            found = "the name of an array" if name else "an empty name"
            raise ConvdiffError(f"{self.option}: found {found}, expected the name of a report file")
        try:
            # A link stays, and its target is written.
            self._path = Path(name).resolve()
        except (OSError, RuntimeError, ValueError) as error:
            # The current folder has been deleted, links form a loop, or the name contains NUL.
            raise ConvdiffError(
                f"{self.option}: found a path that cannot be resolved ({error}), expected a file "
                "to write"
            ) from None
        if self._path.is_dir():
            raise ConvdiffError(
                f"{self.option}: found a directory, expected a file to write; name a file in it"
            )
        if not self._path.parent.is_dir():
            raise ConvdiffError(
                f"{self.option}: found no directory {self._path.parent}, expected an existing one; "
                "create it first"
            )
        if not os.access(self._path.parent, os.W_OK) and not os.access(self._path, os.W_OK):
            raise ConvdiffError(
                f"{self.option}: found a directory without write permission, expected a writable "
                "one"
            )

    @property
    def path(self) -> Path | None:
        """The file with links resolved; None is stdout."""
        return None if self.is_stdout else self._path

    def write(self, text: str) -> None:
        """Write the text as a whole or not at all: to a temporary file, which is then renamed."""
        if self.is_stdout:
            click.echo(text, nl=False)
            return
        try:
            if self._path.exists() and not self._path.is_file():  # a pipe or a device
                self._path.write_text(text, encoding="utf-8")
                return
            temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")
            try:
                temporary.write_text(text, encoding="utf-8")
                temporary.replace(self._path)
            finally:
                with suppress(FileNotFoundError):
                    temporary.unlink()
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            raise ConvdiffError(
                f"{self.option}: cannot be written ({error.strerror or error}), expected a "
                "writable file"
            ) from None
