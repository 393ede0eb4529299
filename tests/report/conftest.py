"""Golden files: `CONVDIFF_REFRESH=1 pytest tests/report` writes them anew; otherwise one that is
stale or missing is red.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Holds a text against the golden file of that name."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        if os.environ.get("CONVDIFF_REFRESH") == "1":
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"{path}: missing; write it with CONVDIFF_REFRESH=1"
        assert text == path.read_text(encoding="utf-8"), (
            f"{path.name} is stale; look at the difference, then CONVDIFF_REFRESH=1"
        )

    return check


@pytest.fixture
def run_python() -> Callable[[str], str]:
    """Runs code in a fresh interpreter and gives what it printed."""

    def run(code: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
        ).stdout.strip()

    return run
