"""Checks run in this process, and their results by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from convdiff.check import CheckRequest, check
from convdiff.suite_result import CaseResult, Suite


class SilentWatcher:
    """Follows a check and shows nothing."""

    def begin(self, total: int) -> None: ...

    def add(self, checked: CaseResult) -> None: ...


def check_manifests(*manifests: Path, **options: Any) -> Suite:
    return check(CheckRequest(manifests=tuple(map(str, manifests)), **options), SilentWatcher())


def cases_by_name(stdout: str) -> dict[str, dict[str, Any]]:
    """The cases of a JSON report."""
    return {case["name"]: case for case in json.loads(stdout)["cases"]}
