"""The pytest plugin: the fixture `convdiff_case`, which asserts that an array is a convolution.

    def test_port(convdiff_case):
        convdiff_case(x, w, port(x, w), stride=2, padding="same")

When a test that used it fails, its arrays are saved as a manifest, and the test's report says which
command compares them again.  Neither numpy nor the rest of convdiff is imported before a test uses
the fixture: pytest loads this module in every project where convdiff is installed.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

DEFAULT_FOLDER = "convdiff-cases"
# Folders are named after tests; file systems limit the length of a name.
MAX_FOLDER_NAME = 150


class KeptArrays(NamedTuple):
    """The arguments of one call of the fixture."""

    input: Any
    kernel: Any
    obtained: Any
    bias: Any
    options: dict[str, Any]


KEPT = pytest.StashKey[list[KeptArrays]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the setting `convdiff_folder`."""
    parser.addini(
        "convdiff_folder",
        "folder for the arrays of failing tests that use convdiff_case, with one folder per test",
        default=DEFAULT_FOLDER,
    )


@pytest.fixture
def convdiff_case(request: pytest.FixtureRequest) -> Any:
    """Asserts that an array agrees with a convolution; takes what `convdiff.assert_agrees` takes.

    It may be called several times in a test.  If the test fails, for whatever reason, the arrays of
    all its calls are saved, and the test's report names the command that compares them again.
    """
    kept = request.node.stash.setdefault(KEPT, [])

    def check(input: Any, kernel: Any, obtained: Any, *, bias: Any = None, **options: Any) -> None:
        __tracebackhide__ = True
        import convdiff
        from convdiff.api import DEFAULT_FAIL_ON

        options = {"fail_on": DEFAULT_FAIL_ON, **options}
        kept.append(KeptArrays(input, kernel, obtained, bias, options))
        convdiff.assert_agrees(input, kernel, obtained, bias=bias, **options)

    return check


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Save the arrays of a failing test, and add the command that compares them to its report."""
    report = yield
    kept = item.stash.get(KEPT, [])
    if report.when == "call" and kept and report.failed:
        # What was given may not be an array at all.  The test then fails for that, and its own
        # report says so; a second traceback would only hide it.
        try:
            folder = _save(item, kept)
        except Exception as error:
            report.sections.append(("convdiff", f"the arrays could not be saved: {error}"))
        else:
            command = f"convdiff check {folder}"
            report.sections.append(
                ("convdiff", f"the arrays are saved; to compare them again, run\n  {command}")
            )
    if report.when == "teardown":
        item.stash[KEPT] = []
    return report


def _save(item: pytest.Item, kept: list[KeptArrays]) -> str:
    """Write the arrays of a test and their manifest; returns the folder, relative if possible."""
    from convdiff.manifest import MANIFEST_FILE, manifest_text

    root = Path(item.config.getini("convdiff_folder"))
    name = re.sub(r"[^\w.+-]+", "_", item.nodeid)[-MAX_FOLDER_NAME:]
    folder = (root if root.is_absolute() else item.config.rootpath / root) / name
    folder.mkdir(parents=True, exist_ok=True)
    cases = [_save_case(folder, number, call) for number, call in enumerate(kept, 1)]
    heading = f"Arrays of the failing test {item.nodeid}."
    (folder / MANIFEST_FILE).write_text(
        manifest_text(cases, defaults={"backends": []}, heading=heading), encoding="utf-8"
    )
    return str(folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder)


def _save_case(folder: Path, number: int, call: KeptArrays) -> dict[str, Any]:
    """Write the arrays of one call; returns its case for the manifest."""
    import numpy as np

    from convdiff.arrays import from_memory
    from convdiff.spec.settings import Settings

    files = {}
    for role in ("input", "kernel", "bias", "obtained"):
        value = getattr(call, role)
        if value is not None:
            files[role] = f"{number}.{role}.npy"
            np.save(folder / files[role], from_memory(value, role, any_shape=True).array)
    saved = {"obtained": files.pop("obtained")} if "obtained" in files else None
    options = {
        Settings.option_name(name): _plain(value)
        for name, value in call.options.items()
        if name != "name"
    }
    return {"name": f"call-{number}", **files, "saved": saved, **options}


def _plain(value: Any) -> Any:
    """`value` with numpy's scalars, arrays and tuples as Python numbers and lists."""
    value = value.tolist() if hasattr(value, "tolist") else value
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
