"""`convdiff run` through torch, TensorFlow and JAX from a cold start, against a script by hand.

The script imports the three frameworks and makes the same calls.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.timing import alternate, command_seconds

BY_HAND = """
import numpy as np
x, w = np.load("x.npy"), np.load("w.npy")
import torch
a = torch.conv2d(torch.from_numpy(x), torch.from_numpy(w), padding=1).numpy()
import tensorflow as tf
b = tf.nn.conv2d(tf.transpose(x, (0, 2, 3, 1)), tf.transpose(w, (2, 3, 1, 0)), 1, "SAME")
b = b.numpy().transpose(0, 3, 1, 2)
from jax import lax
c = np.asarray(lax.conv_general_dilated(x, w, (1, 1), "SAME"))
print(np.abs(a - b).max(), np.abs(a - c).max())
"""


def measure(runs: int = 5) -> str:
    """One line: both times and their ratio, which should be at most 0.65."""
    with tempfile.TemporaryDirectory() as folder:
        random = np.random.default_rng(0)
        np.save(Path(folder, "x.npy"), random.standard_normal((1, 4, 16, 16), dtype=np.float32))
        np.save(Path(folder, "w.npy"), random.standard_normal((8, 4, 3, 3), dtype=np.float32))
        run = [sys.executable, "-m", "convdiff", "run", "x.npy", "w.npy", "--padding", "1"]
        for name in ("torch", "tensorflow", "jax"):
            run += ["--backend", name]
        script = [sys.executable, "-c", BY_HAND]
        seconds, by_hand, ratio = alternate(
            lambda: command_seconds(run, cwd=folder),
            lambda: command_seconds(script, cwd=folder),
            runs,
        )
    return (
        f"cold run, torch + tensorflow + jax   {seconds:6.2f} s   by hand {by_hand:6.2f} s   ratio "
        f"{ratio:.2f} (at most 0.65)"
    )
