"""`convdiff check` on many cases.

200 cases through three frameworks against a loop by hand, 1,000 saved outputs against their
diagnosis alone, and the memory of the process as the cases go by.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.timing import alternate, command_seconds

BY_HAND = """
import numpy as np
import torch
import tensorflow as tf
from jax import lax
for i in range({count}):
    x, w = np.load(f"{{i}}.x.npy"), np.load(f"{{i}}.w.npy")
    a = torch.conv2d(torch.from_numpy(x), torch.from_numpy(w), padding=1).numpy()
    b = tf.nn.conv2d(tf.transpose(x, (0, 2, 3, 1)), tf.transpose(w, (2, 3, 1, 0)), 1, "SAME")
    b = b.numpy().transpose(0, 3, 1, 2)
    c = np.asarray(lax.conv_general_dilated(x, w, (1, 1), "SAME"))
    assert max(np.abs(a - b).max(), np.abs(a - c).max()) < 1
"""
# Prints the seconds that the diagnosis of all cases takes, without files and processes.
DIAGNOSIS = """
import json, sys, time
import numpy as np
from convdiff.check import CheckRequest
from convdiff.check.cases import check_cases, load_manifests
request = CheckRequest(manifests=("manifest.toml",))
asked = check_cases(load_manifests(request), request)
from convdiff.api import diff
diff(np.ones((1, 1, 4, 4), "f4"), np.ones((1, 1, 3, 3), "f4"), np.ones((1, 1, 2, 2), "f4"))
start = time.perf_counter()
for i in range(len(asked)):
    diff(np.load(f"{i}.x.npy"), np.load(f"{i}.w.npy"), np.load(f"{i}.y.npy"), padding=1)
print(time.perf_counter() - start)
"""
# Prints the memory of the process, in bytes, after 20 and after 200 cases.
MEMORY = """
import os
from pathlib import Path
from convdiff.check import CheckRequest, check
class Watch:
    done = 0
    def begin(self, total): pass
    def add(self, checked):
        self.done += 1
        if self.done in (20, 200):
            print(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
suite = check(CheckRequest(manifests=("manifest.toml",)), Watch())
assert suite.exit_code == 0, [case.trouble for case in suite.cases if case.exit_code]
"""


def measure() -> str:
    """Three lines: frameworks, saved outputs, memory."""
    return "\n".join((_frameworks(), _saved(), _memory()))


def _frameworks(count: int = 200, runs: int = 2) -> str:
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder), count, 16, ["torch", "tensorflow", "jax"])
        check = [sys.executable, "-m", "convdiff", "check", "manifest.toml"]
        script = [sys.executable, "-c", BY_HAND.format(count=count)]
        seconds, by_hand, ratio = alternate(
            lambda: command_seconds(check, cwd=folder),
            lambda: command_seconds(script, cwd=folder),
            runs,
        )
    return (
        f"check, {count} cases, 3 frameworks        {seconds:6.2f} s   by hand {by_hand:6.2f} s   "
        f"ratio {ratio:.2f} (at most 1.5)"
    )


def _saved(count: int = 1000) -> str:
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder), count, 12, [], saved=True)
        check = [sys.executable, "-m", "convdiff", "check", "manifest.toml"]
        seconds = command_seconds(check, cwd=folder)
        done = subprocess.run(
            [sys.executable, "-c", DIAGNOSIS],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
    alone = float(done.stdout)
    milliseconds_per_case = 1000 * (seconds - alone) / count
    return (
        f"check, {count} saved cases             {seconds:6.2f} s   diagnosis alone {alone:.2f} s "
        f"  {milliseconds_per_case:+.1f} ms per case (at most 20)"
    )


def _memory() -> str:
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder), 200, 64, ["torch"], saved=True)
        done = subprocess.run(
            [sys.executable, "-c", MEMORY], cwd=folder, capture_output=True, text=True, check=True
        )
        early, late = (int(line) / 2**20 for line in done.stdout.split()[-2:])
        arrays = sum(path.stat().st_size for path in Path(folder).glob("*.npy")) / 2**20
    return (
        f"check, host memory                     {early:6.0f} MB at case 20, {late:.0f} MB at "
        f"case 200   ({arrays:.0f} MB of arrays)"
    )


def _write(folder: Path, count: int, size: int, backends: list[str], saved: bool = False) -> None:
    """Writes a manifest of random cases with its arrays; with saved outputs if `saved`."""
    from convdiff.numerics.reference import compute_reference
    from convdiff.spec.infer_spec import read_spec
    from convdiff.spec.settings import Settings

    random = np.random.default_rng(0)
    lines = ["[defaults]", f"backends = {json.dumps(backends)}", "padding = 1"]
    for at in range(count):
        x = random.standard_normal((2, 4 + at % 5, size + at % 7, size), dtype=np.float32)
        w = random.standard_normal((8, x.shape[1], 3, 3), dtype=np.float32)
        arrays = {"x": x, "w": w}
        if saved:
            spec, _ = read_spec(x.shape, w.shape, Settings(padding=1), bias=False, dtype="float32")
            # Without backends, every tenth output is wrong and is diagnosed.
            used = w[:, :, ::-1, ::-1] if at % 10 == 7 and not backends else w
            arrays["y"] = compute_reference(spec, x, used).output.astype(np.float32)
        for role, array in arrays.items():
            np.save(folder / f"{at}.{role}.npy", array)
        lines += ["[[case]]", f'name = "c{at}"', f'input = "{at}.x.npy"', f'kernel = "{at}.w.npy"']
        lines += [f'saved = {{ port = "{at}.y.npy" }}'] if saved else []
    (folder / "manifest.toml").write_text("\n".join(lines))
