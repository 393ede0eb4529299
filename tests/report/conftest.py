"""Golden files: the expected text of every format.

`CONVDIFF_REFRESH=1 pytest tests/report` rewrites them; otherwise a missing or outdated one fails.
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
    """Compares a text with the golden file of this name."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        if os.environ.get("CONVDIFF_REFRESH") == "1":
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"{path} is missing; write it with CONVDIFF_REFRESH=1"
        assert text == path.read_text(encoding="utf-8"), (
            f"{path.name} is outdated; check the difference, then rewrite it with "
            "CONVDIFF_REFRESH=1"
        )

    return check


@pytest.fixture
def run_python() -> Callable[[str], str]:
    """Runs code in a new interpreter and returns what it prints."""

    def run(code: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
        ).stdout.strip()

    return run
