"""The small convolution of tests/cli, and manifests of cases on its arrays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from convdiff.manifest import manifest_text
from tests.cli.conftest import folder, invoke, spawn

__all__ = ["folder", "invoke", "spawn"]

GOOD = {"name": "good", "input": "x.npy", "kernel": "w.npy", "saved": {"port": "y.npy"}}
WRONG = {**GOOD, "name": "wrong", "saved": {"port": "flipped.npy"}}
UNREADABLE = {**GOOD, "name": "unreadable", "input": "none.npy"}

Manifest = Callable[..., Path]


@pytest.fixture
def manifest(folder: Path) -> Manifest:
    """Writes a manifest of these cases: saved outputs alone, with padding 1."""

    def write(*cases: dict[str, Any], file: str = "manifest.toml", **defaults: Any) -> Path:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(manifest_text(cases, defaults={"backends": [], "padding": 1, **defaults}))
        return path

    return write
