"""Peak memory of the host process on large arrays, against the arrays plus three times the largest
of them.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

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
    """One line: the peak above that of a tiny case, and the limit."""
    with tempfile.TemporaryDirectory() as folder:
        peaks = [_peak(folder, batch) for batch in (1, 96)]
    peak = (peaks[1][0] - peaks[0][0]) / 1024
    arrays, largest = peaks[1][1], peaks[1][2]
    limit = (arrays + 3 * largest) / 2**20
    return (
        f"host memory, {largest / 2**20:.0f} MB output           {peak:6.0f} MB  arrays + 3 x "
        f"largest {limit:.0f} MB   "
        f"ratio {peak / limit:.2f} (at most 1)"
    )


def _peak(folder: str, batch: int) -> tuple[int, int, int]:
    import torch

    generator = np.random.default_rng(0)
    x = generator.standard_normal((batch, 64, 56, 56), dtype=np.float32)
    w = generator.standard_normal((64, 64, 3, 3), dtype=np.float32)
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
