"""How many workers this machine can run at once, and whether it has an accelerator."""

from __future__ import annotations

import os
import platform
from pathlib import Path

# An estimate of what one worker needs: its framework, and arrays of a usual size.
WORKER_BYTES = 1 << 30
# Device files of the drivers of NVIDIA (also under WSL), AMD and Google's TPUs.
ACCELERATOR_DEVICES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd", "/dev/accel0")
CGROUP = Path("/sys/fs/cgroup")  # version 2: the limits of a container
UNLIMITED_WORKERS = 1 << 10  # where the operating system does not report its memory


def cores() -> int:
    """The processors that this process may use, by its affinity and its container's share."""
    count = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    quota, _, period = _read_text(CGROUP / "cpu.max").partition(" ")
    if quota.isdigit() and period.isdigit():
        count = min(count, -(-int(quota) // int(period)))
    return max(1, count)


def workers_in_memory() -> int:
    """How many workers the free memory can hold, at least one."""
    lines = _read_text(Path("/proc/meminfo")).splitlines()
    free = [int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")]
    limit, used = _read_text(CGROUP / "memory.max"), _read_text(CGROUP / "memory.current")
    if limit.isdigit() and used.isdigit():
        free.append(int(limit) - int(used))
    return max(1, min(free) // WORKER_BYTES) if free else UNLIMITED_WORKERS


def has_accelerator() -> bool:
    """Whether a framework might find a GPU or TPU here, judged by device files alone."""
    return any(Path(device).exists() for device in ACCELERATOR_DEVICES) or (
        platform.system() == "Darwin" and platform.machine() == "arm64"
    )


def _read_text(file: Path) -> str:
    """The file's text, "" where it cannot be read."""
    try:
        return file.read_text().strip()
    except OSError:
        return ""
