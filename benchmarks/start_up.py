"""Commands that start no backend: --help, and a saved output judged by the reference alone."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.measuring import command, paired
from convdiff.numerics.reference import correlate
from convdiff.spec.conv_spec import Correlation


def measure(runs: int = 9) -> str:
    """Two lines: seconds, beside those of an interpreter that does nothing (--help at most 0.15 s,
    saved at most 0.5 s).
    """
    bare = [sys.executable, "-c", "pass"]
    with tempfile.TemporaryDirectory() as folder:
        generator = np.random.default_rng(0)
        x = generator.standard_normal((1, 4, 16, 16), dtype=np.float32)
        w = generator.standard_normal((8, 4, 3, 3), dtype=np.float32)
        y = correlate(
            x, w, Correlation((1, 1), ((1, 1), (1, 1)), (1, 1), (1, 1), "constant"), 1, (16, 16)
        )
        for name, array in (("x", x), ("w", w), ("y", y.astype(np.float32))):
            np.save(Path(folder, f"{name}.npy"), array)
        lines = []
        for words in (
            ["--help"],
            ["run", "x.npy", "w.npy", "--padding", "1", "--backend", "none", "--saved", "y.npy"],
        ):
            ours = [sys.executable, "-m", "convdiff", *words]
            seconds, empty, ratio = paired(
                lambda c=ours: command(c, cwd=folder), lambda: command(bare, cwd=folder), runs
            )  # type: ignore[misc]
            lines.append(
                f"convdiff {words[0]:<28} {seconds:6.3f} s   bare python {empty:6.3f} s   ratio "
                f"{ratio:.1f}"
            )
    return "\n".join(lines)
