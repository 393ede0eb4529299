"""For pytest: the fixture `convdiff_case`, and of a test that fails the arrays in a folder with the
command that looks at them again.

    def test_port(convdiff_case):
        convdiff_case(x, w, port(x, w), stride=2, padding="same")

Nothing of convdiff, nor numpy, is imported before a test asks for the fixture.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

FOLDER = "convdiff-cases"


class KeptArrays(NamedTuple):
    """One call of the fixture."""

    input: Any
    kernel: Any
    obtained: Any
    bias: Any
    options: dict[str, Any]


CASES = pytest.StashKey[list[KeptArrays]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the setting `convdiff_folder`."""
    parser.addini(
        "convdiff_folder",
        "where the arrays of failing tests go, a folder for each test",
        default=FOLDER,
    )


@pytest.fixture
def convdiff_case(request: pytest.FixtureRequest) -> Any:
    """Assert that an array agrees with a convolution: takes what `convdiff.assert_agrees` takes;
    may be called several times.

    If the test fails, by this or anything else, the arrays of all its calls are saved and the
    report says how to look at them.
    """
    held = request.node.stash.setdefault(CASES, [])

    def check(input: Any, kernel: Any, obtained: Any, *, bias: Any = None, **options: Any) -> None:
        __tracebackhide__ = True
        import convdiff
        from convdiff.api import DEFAULT_FAIL_ON

        options = {"fail_on": DEFAULT_FAIL_ON, **options}
        held.append(KeptArrays(input, kernel, obtained, bias, options))
        convdiff.assert_agrees(input, kernel, obtained, bias=bias, **options)

    return check


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Save the arrays of a test that fails, and say so in its report."""
    report = yield
    held = item.stash.get(CASES, [])
    if report.when == "call" and held and report.failed:
        # Arrays that are none are what the test fails for: its own report tells that.
        try:
            folder = _save(item, held)
        except Exception as error:
            report.sections.append(("convdiff", f"the arrays could not be saved: {error}"))
        else:
            report.sections.append(
                (
                    "convdiff",
                    f"the arrays are saved; look at them again with\n  convdiff check {folder}",
                )
            )
    if report.when == "teardown":
        item.stash[CASES] = []
    return report


def _save(item: pytest.Item, held: list[KeptArrays]) -> str:
    """Write the folder of a test; its path, short where it can be."""
    import numpy as np

    from convdiff.arrays import from_memory
    from convdiff.manifest import FILE, text

    root = Path(item.config.getini("convdiff_folder"))
    folder = (root if root.is_absolute() else item.config.rootpath / root) / re.sub(
        r"[^\w.+-]+", "_", item.nodeid
    )[-150:]
    folder.mkdir(parents=True, exist_ok=True)
    cases = []
    for number, one in enumerate(held, 1):
        case: dict[str, Any] = {"name": f"call-{number}"}
        for role, value in (
            ("input", one.input),
            ("kernel", one.kernel),
            ("bias", one.bias),
            ("obtained", one.obtained),
        ):
            if value is not None:
                np.save(
                    folder / f"{number}.{role}.npy", from_memory(value, role, any_shape=True).array
                )
                case |= (
                    {role: f"{number}.{role}.npy"}
                    if role != "obtained"
                    else {"saved": {"obtained": f"{number}.obtained.npy"}}
                )
        cases.append(
            case
            | {
                ("as" if key == "as_" else key): _plain(value)
                for key, value in one.options.items()
                if key != "name"
            }
        )
    (folder / FILE).write_text(
        text(cases, defaults={"backends": []}, heading=f"Of the failing test {item.nodeid}."),
        encoding="utf-8",
    )
    return str(folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder)


def _plain(value: Any) -> Any:
    value = value.tolist() if hasattr(value, "tolist") else value
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
