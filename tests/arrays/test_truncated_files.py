"""A mapped file that is truncated while it is read ends the process with a message."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.backends.support import PATIENCE
from tests.cli.conftest import environment

READS = [
    "nonfinite_notes(stored, 'input')",
    "stored.array[-1, 5]",
    "stored.array @ stored.array.T",
    "stored.array[[900], [3]]",
]


@pytest.mark.parametrize("statement", READS)
def test_a_file_that_shrinks_while_it_is_read_ends_with_one_line(
    statement: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", np.ones((1024, 1024), np.float32))
    script = (
        "import os\nfrom convdiff.arrays import nonfinite_notes, read\n"
        "from convdiff.arrays.truncated_files import exit_on_truncation\nexit_on_truncation()\n"
        f"stored = read('x.npy', 'input')\nos.truncate('x.npy', 4096)\n{statement}\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=environment(),
        timeout=PATIENCE,
        text=True,
        capture_output=True,
    )
    assert process.returncode == 2
    assert process.stderr.startswith(
        "convdiff: an array's file was cut short or written again while it was read"
    )
    assert process.stderr.count("\n") == 1
