"""convdiff.toml and [tool.convdiff]: the defaults and environments of a project."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convdiff.config import load
from convdiff.errors import ConvdiffError
from tests.cli.conftest import Invoke

RUN = ("run", "x.npy", "w.npy", "--padding", "1", "--format", "json")


def report(invoke: Invoke, *options: str) -> tuple[int, dict[str, Any]]:
    result = invoke(*RUN, *options)
    return result.exit_code, json.loads(result.stdout)


def names(report: dict[str, Any]) -> list[str]:
    return [row["name"] for row in report["rows"]]


def test_defaults_apply_unless_the_command_line_overrides_them(invoke: Invoke) -> None:
    y = np.load("y.npy")
    np.save("near.npy", np.nextafter(y, np.inf, dtype=np.float32))
    Path("convdiff.toml").write_text('backends = ["numpy"]\nfail_on = "rounding"\nrepeat = 2\n')
    code, written = report(invoke, "--saved", "near.npy")
    assert (code, names(written)) == (1, ["near", "numpy"])
    assert any(
        "convdiff.toml: backends = ['numpy'], fail_on = 'rounding', repeat = 2" in note
        for note in written["notes"]
    )
    code, written = report(
        invoke, "--saved", "near.npy", "--backend", "none", "--fail-on", "different"
    )
    assert (code, names(written)) == (0, ["near"])


def test_pyproject_in_a_parent_folder_is_used(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = f'environments = {{"numpy@own" = "{sys.executable}"}}\n'
    Path("pyproject.toml").write_text(f'[tool.convdiff]\nbackends = ["numpy", "numpy@own"]\n{own}')
    Path("deep/er").mkdir(parents=True)
    (Path("deep") / "pyproject.toml").write_text("[tool.other]\n")
    monkeypatch.chdir("deep/er")
    result = invoke("run", "../../x.npy", "../../w.npy", "--format", "json")
    assert result.exit_code == 0 and names(json.loads(result.stdout)) == ["numpy", "numpy@own"]


def test_a_broken_environment_is_a_row_with_the_reason(invoke: Invoke) -> None:
    Path("convdiff.toml").write_text('[environments]\n"numpy@gone" = "no/python"\n')
    result = invoke(*RUN, "--backend", "numpy", "--backend", "numpy@gone")
    gone = json.loads(result.stdout)["rows"][1]
    assert result.exit_code == 0 and (gone["name"], gone["status"]) == ("numpy@gone", "unavailable")
    here = Path.cwd()
    assert gone["message"].startswith(
        f"{here}/convdiff.toml names the interpreter {here}/no/python, which cannot be run"
    )


BAD = {
    "unknown option": (
        "bakends = []",
        "convdiff.toml: option: found 'bakends', expected one of as, backends, environments, "
        "fail_on,",
    ),
    "wrong type": ("repeat = true", "convdiff.toml: repeat: found True, expected a whole number"),
    "wrong type of an item": (
        "backends = [1]",
        "convdiff.toml: backends: found [1], expected a list of strings",
    ),
    "invalid TOML": ("repeat =", "convdiff.toml: cannot be read ("),
    "environments that are not a table": ("environments = 3", "environments: expected a table"),
    "unknown word": (
        'paths = "most"',
        "convdiff.toml: paths: found 'most', expected one of all, default",
    ),
    "unknown backend": (
        'backends = ["numpi"]',
        "convdiff.toml: backends: found 'numpi', expected one of ",
    ),
    "unknown path": (
        'backends = ["numpy:gpu"]',
        "convdiff.toml: backends: path of numpy: found 'gpu', expected one of cpu",
    ),
    "none and a backend": (
        'backends = ["none", "numpy"]',
        "convdiff.toml: backends: found none together with numpy, expected either none or names",
    ),
    "unknown required backend": (
        'require = ["numpi"]',
        "convdiff.toml: require: found 'numpi', expected one of ",
    ),
    "unknown framework": (
        'as = "tensorflaw"',
        "convdiff.toml: as: found 'tensorflaw', expected one of ",
    ),
    "number out of range": ("repeat = 0", "convdiff.toml: repeat: 0 is not in the range"),
    "negative seconds": ("timeout = -1", "convdiff.toml: timeout: -1.0 is not in the range"),
    "environment of an unknown backend": (
        '[environments]\n"spam" = "python"',
        "environments: found 'spam'",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_value_is_a_one_line_error_that_names_the_file(name: str, invoke: Invoke) -> None:
    text, message = BAD[name]
    Path("convdiff.toml").write_text(text + "\n")
    result = invoke(
        "run",
        "x.npy",
        "w.npy",
        *(["--backend", "spam"] if name.startswith("environment of") else []),
    )
    assert result.exit_code == 2 and message in result.stderr, result.stderr
    assert result.stderr.count("\n") == 1


def test_a_bad_value_on_the_command_line_is_not_blamed_on_the_file(invoke: Invoke) -> None:
    Path("convdiff.toml").write_text('paths = "all"\nbackends = ["numpy"]\n')
    result = invoke("run", "x.npy", "w.npy", "--backend", "numpi", "--paths", "default")
    assert result.exit_code == 2 and result.stderr.startswith("convdiff: --backend: found 'numpi'")


def test_a_pyproject_without_our_table_is_ignored_however_broken(folder: Path) -> None:
    for text in ("= not toml", "tool = 3", "tool = [1]", "[tool.other]"):
        Path("pyproject.toml").write_text(text)
        assert load().file is None
    Path("pyproject.toml").write_text("[tool.convdiff]\nbackends = [")
    with pytest.raises(ConvdiffError, match=r"pyproject\.toml: cannot be read .*, expected TOML"):
        load()
    Path("pyproject.toml").write_text("[tool]\nconvdiff = 3")
    with pytest.raises(ConvdiffError, match=r"tool\.convdiff: found 3, expected a table"):
        load()
    Path("convdiff.toml").write_text("x = [")
    with pytest.raises(ConvdiffError):
        load()
