"""What this machine can carry, by what the operating system reports."""

from __future__ import annotations

from pathlib import Path

import pytest

from convdiff.backends import capacity


def test_at_least_one_core_and_one_worker() -> None:
    assert capacity.cores() >= 1 and capacity.workers_in_memory() >= 1


def test_the_limits_of_a_container_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "CGROUP", tmp_path)
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    (tmp_path / "memory.max").write_text(f"{capacity.WORKER_BYTES * 5}\n")
    (tmp_path / "memory.current").write_text(f"{capacity.WORKER_BYTES * 4}\n")
    assert (capacity.cores(), capacity.workers_in_memory()) == (1, 1)


def test_an_accelerator_is_recognized_by_its_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = tmp_path / "nvidiactl"
    monkeypatch.setattr(capacity, "ACCELERATOR_DEVICES", (str(device),))
    monkeypatch.setattr("platform.system", lambda: "Linux")
    assert not capacity.has_accelerator()
    device.touch()
    assert capacity.has_accelerator()
