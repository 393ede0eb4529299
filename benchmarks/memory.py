"""Peak memory of `convdiff run` on large arrays, against the size of the arrays.

The limit is all arrays plus three times the largest.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

# Runs convdiff and prints its peak memory in KiB.
CHILD = """
import resource, sys
from convdiff.__main__ import main
try:
    sys.argv = ["convdiff", *sys.argv[1:]]
    main()
except SystemExit:
    pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""


def measure() -> str:
    """One line: the peak above that of a batch of 1, and the limit."""
    with tempfile.TemporaryDirectory() as folder:
        small_peak, _, _ = _peak(folder, 1)
        large_peak, arrays, largest = _peak(folder, 96)
    peak = (large_peak - small_peak) / 1024
    limit = (arrays + 3 * largest) / 2**20
    return (
        f"host memory, {largest / 2**20:.0f} MB output           {peak:6.0f} MB  arrays + 3 x "
        f"largest {limit:.0f} MB   ratio {peak / limit:.2f} (at most 1)"
    )


def _peak(folder: str, batch: int) -> tuple[int, int, int]:
    """The peak in KiB for a batch of that size, and the bytes of all arrays and of the largest."""
    import torch

    random = np.random.default_rng(0)
    x = random.standard_normal((batch, 64, 56, 56), dtype=np.float32)
    w = random.standard_normal((64, 64, 3, 3), dtype=np.float32)
    y = torch.conv2d(torch.from_numpy(x), torch.from_numpy(w), padding=1).numpy()
    for name, array in (("x", x), ("w", w), ("y", y)):
        np.save(Path(folder, f"{name}.npy"), array)
    words = ["run", "x.npy", "w.npy", "--padding", "1", "--backend", "none", "--saved", "y.npy"]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stderr.split()[-1]), x.nbytes + w.nbytes + y.nbytes, max(x.nbytes, y.nbytes)
