"""pyproject.toml, the wheel and .ci/constraints.txt agree with the code and with each other."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

import convdiff
from convdiff.backends import BACKENDS
from tests.packaging.lowest_versions import lowest, normalized, pinned

ROOT = Path(__file__).parent.parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = pinned((ROOT / ".ci/constraints.txt").read_text())
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
DECLARED = [*PROJECT["dependencies"], *(text for extra in EXTRAS.values() for text in extra)]
# Installed by no `make`: tensorflow-cpu is.
NOT_PINNED = {"tensorflow"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (file,) = folder.glob("*.whl")
    return zipfile.ZipFile(file)


def metadata(wheel: zipfile.ZipFile) -> Message:
    name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return message_from_bytes(wheel.read(name))


@pytest.mark.parametrize(
    "name",
    [
        "py.typed",
        "report/schema.json",
        "report/html_report.css",
        "backends/worker.py",
        "backends/adapters/torch_adapter.py",
    ],
)
def test_the_wheel_holds_what_is_not_imported(name: str, wheel: zipfile.ZipFile) -> None:
    assert f"convdiff/{name}" in wheel.namelist()


def test_the_wheel_holds_the_package_alone(wheel: zipfile.ZipFile) -> None:
    assert {name.partition("/")[0].partition("-")[0] for name in wheel.namelist()} == {"convdiff"}


def test_the_version_is_that_of_the_code(wheel: zipfile.ZipFile) -> None:
    assert metadata(wheel)["Version"] == convdiff.__version__


def test_the_version_stands_in_no_other_file() -> None:
    assert "version" not in PROJECT
    assert PROJECT["dynamic"] == ["version"]


def test_the_changelog_has_the_version() -> None:
    lines = (ROOT / "CHANGELOG.md").read_text().splitlines()
    headings = [line for line in lines if line.startswith("## ")]
    assert headings[0] == "## [Unreleased]"
    assert any(line.startswith(f"## [{convdiff.__version__}]") for line in headings)


def test_the_urls_are_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    urls = dict(url.split(", ") for url in metadata(wheel).get_all("Project-URL", []))
    assert set(urls) == {"Homepage", "Documentation", "Changelog", "Issues"}


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_is_a_range(extra: str) -> None:
    """An exact version would replace the framework that somebody came to examine."""
    for text in EXTRAS[extra]:
        operators = {specifier.operator for specifier in Requirement(text).specifier}
        assert operators == {">="}, f"[{extra}] asks for {text}"


def test_every_dependency_declares_a_lower_bound() -> None:
    assert set(lowest(PROJECT["dependencies"])) == {"numpy", "click", "rich", "platformdirs"}
    with pytest.raises(ValueError, match="expected NAME>=VERSION"):
        lowest(["numpy==1.26"])


@pytest.mark.parametrize("text", DECLARED)
def test_the_constraints_pin_what_is_declared(text: str) -> None:
    wanted = Requirement(text)
    if wanted.name not in NOT_PINNED:
        assert wanted.specifier.contains(PINS[normalized(wanted.name)]), text


def test_the_constraints_are_the_versions_that_backends_install_builds() -> None:
    """Theano and cuDNN have no place in the common environment."""
    rows = [row for row in BACKENDS if row.name not in ("theano", "cudnn")]
    for step in (step for row in rows for step in row.steps):
        for wanted in map(Requirement, step):
            assert wanted.specifier.contains(PINS[normalized(wanted.name)]), wanted
