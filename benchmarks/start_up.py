"""Commands that start no backend, against an interpreter that does nothing.

They are --help, and a saved output that is compared with the reference.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.timing import alternate, command_seconds
from convdiff.numerics.reference import correlate
from convdiff.spec.conv_spec import Correlation


def measure(runs: int = 9) -> str:
    """Two lines of seconds: --help should take at most 0.15 s, a saved output at most 0.5 s."""
    bare = [sys.executable, "-c", "pass"]
    with tempfile.TemporaryDirectory() as folder:
        _write_arrays(Path(folder))
        lines = []
        for words in (
            ["--help"],
            ["run", "x.npy", "w.npy", "--padding", "1", "--backend", "none", "--saved", "y.npy"],
        ):
            arguments = [sys.executable, "-m", "convdiff", *words]
            seconds, bare_seconds, ratio = alternate(
                lambda arguments=arguments: command_seconds(arguments, cwd=folder),
                lambda: command_seconds(bare, cwd=folder),
                runs,
            )
            lines.append(
                f"convdiff {words[0]:<28} {seconds:6.3f} s   bare python {bare_seconds:6.3f} s   "
                f"ratio {ratio:.1f}"
            )
    return "\n".join(lines)


def _write_arrays(folder: Path) -> None:
    random = np.random.default_rng(0)
    x = random.standard_normal((1, 4, 16, 16), dtype=np.float32)
    w = random.standard_normal((8, 4, 3, 3), dtype=np.float32)
    geometry = Correlation((1, 1), ((1, 1), (1, 1)), (1, 1), (1, 1), "constant")
    y = correlate(x, w, geometry, 1, (16, 16))
    for name, array in (("x", x), ("w", w), ("y", y.astype(np.float32))):
        np.save(folder / f"{name}.npy", array)
