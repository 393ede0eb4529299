"""The fixture `convdiff_case` in a pytest of its own: what is saved when a test fails.

The command that the report of the failing test names must reproduce the failure.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import environment

HEAD = """
import numpy as np
random = np.random.default_rng(0)
x = random.standard_normal((1, 3, 8, 9)).astype("f4")
w = random.standard_normal((4, 3, 3, 3)).astype("f4")
def conv(x, w):
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, w)
"""


def run(folder: Path, body: str, *options: str) -> str:
    (folder / "test_it.py").write_text(HEAD + body)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, "test_it.py"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout + done.stderr


def run_named_command(folder: Path, output: str) -> subprocess.CompletedProcess[str]:
    match = re.search(r"^  (convdiff check .*)$", output, re.MULTILINE)
    assert match, output
    command = [sys.executable, "-m", *shlex.split(match[1])]
    return subprocess.run(
        command,
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_an_array_that_agrees_passes_and_nothing_is_saved(tmp_path: Path) -> None:
    assert "1 passed" in run(
        tmp_path, "def test_port(convdiff_case):\n    convdiff_case(x, w, conv(x, w), padding=1)\n"
    )
    assert not (tmp_path / "convdiff-cases").exists()


@pytest.mark.parametrize("options", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_an_array_that_differs_is_saved_and_the_command_reproduces_it(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    body = (
        'import pytest\n@pytest.mark.parametrize("name", ["a/b c"])\ndef test_port(convdiff_case, '
        "name):\n"
        "    convdiff_case(x, w, conv(x, w), padding=1)\n    convdiff_case(x, w, conv(x, w[:, :, "
        "::-1, ::-1]), padding=((1, 1), (1, 1)))\n"
    )
    output = run(tmp_path, body, *options)
    assert "1 failed" in output
    assert "the kernel was flipped along H and W" in output
    done = run_named_command(tmp_path, output)
    assert done.returncode == 1, done.stderr
    assert "1 of 2 cases agrees; 1 differs" in done.stdout
    assert "the kernel was flipped along H and W" in done.stdout


def test_arrays_are_saved_when_the_test_fails_for_another_reason(tmp_path: Path) -> None:
    body = (
        "def test_port(convdiff_case):\n    convdiff_case(x, w, conv(x, w), padding=1, "
        'as_="torch")\n    assert x is None\n'
    )
    output = run(tmp_path, body)
    assert run_named_command(tmp_path, output).returncode == 0


def test_reduced_precision_fails_unless_it_is_allowed(tmp_path: Path) -> None:
    body = "half = conv(x.astype('f2').astype('f4'), w.astype('f2').astype('f4'))\n"
    call = "def test_port(convdiff_case):\n    convdiff_case(x, w, half, padding=1{})\n"
    output = run(tmp_path, body + call.format(""))
    assert "1 failed" in output
    assert run_named_command(tmp_path, output).returncode == 1
    assert "1 passed" in run(tmp_path, body + call.format(', fail_on="different"'))
    assert "1 passed" in run(tmp_path, body + call.format(', allow="reduced-precision"'))


def test_an_argument_that_is_not_an_array_fails_the_test(tmp_path: Path) -> None:
    output = run(
        tmp_path, "def test_port(convdiff_case):\n    convdiff_case(x, w, 'no array', padding=1)\n"
    )
    assert "ConvdiffError: obtained:" in output
    assert "the arrays could not be saved: obtained:" in output


def test_the_folder_can_be_configured(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\nconvdiff_folder = out/kept\n")
    run(
        tmp_path, "def test_port(convdiff_case):\n    convdiff_case(x, w, conv(x, -w), padding=1)\n"
    )
    assert [path.name for path in (tmp_path / "out" / "kept").iterdir()] == ["test_it.py_test_port"]


def test_convdiff_is_not_imported_where_the_fixture_is_not_used(tmp_path: Path) -> None:
    body = (
        "import sys\ndef test_it():\n    assert 'convdiff.api' not in sys.modules and "
        "'convdiff.diagnose' not in sys.modules\n"
    )
    assert "1 passed" in run(tmp_path, body)
