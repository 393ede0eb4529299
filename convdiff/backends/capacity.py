"""What this machine has room for: as many workers at once as there are cores for, and memory; and
whether it has accelerators.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

WORKER = 1 << 30  # bytes that a worker is taken to need: its framework, and arrays of a usual size
# What the drivers of NVIDIA (also under WSL), AMD and Google's TPUs put there.
DEVICES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd", "/dev/accel0")
CGROUP = Path("/sys/fs/cgroup")  # version 2: the limits of a container


def cores() -> int:
    """Processors that this process may use, in whole: its affinity, and its container's share."""
    count = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    quota, _, period = _words(CGROUP / "cpu.max").partition(" ")
    if quota.isdigit() and period.isdigit():
        count = min(count, -(-int(quota) // int(period)))
    return max(1, count)


def workers() -> int:
    """Workers that memory has room for, at least one."""
    lines = _words(Path("/proc/meminfo")).splitlines()
    left = [int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")]
    limit, used = _words(CGROUP / "memory.max"), _words(CGROUP / "memory.current")
    if limit.isdigit() and used.isdigit():
        left.append(int(limit) - int(used))
    return max(1, min(left) // WORKER) if left else 1 << 10


def accelerator() -> bool:
    """Whether this machine looks as if a framework might find more than processors on it."""
    return any(Path(device).exists() for device in DEVICES) or (
        platform.system() == "Darwin" and platform.machine() == "arm64"
    )


def _words(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
