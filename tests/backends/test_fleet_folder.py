"""Folders of hosts that were killed are deleted by the next fleet, those of living hosts never."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from convdiff.backends.fleet_folder import FleetFolder
from tests.backends.support import PATIENCE, start_host

HANG = "import time\ntime.sleep(10_000)"


def test_only_folders_of_dead_hosts_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, _, abandoned = start_host(HANG, folder=tmp_path)
    living, _, used = start_host(HANG, folder=tmp_path)
    dead.kill()
    dead.communicate(timeout=PATIENCE)
    for folder in (abandoned, used):
        os.utime(folder, (0, 0))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    FleetFolder().close()
    assert not abandoned.exists() and used.exists()
    living.kill()
    living.communicate(timeout=PATIENCE)
