"""The fixtures of the command line's tests."""

from __future__ import annotations

from tests.cli.conftest import folder, invoke

__all__ = ["folder", "invoke"]
