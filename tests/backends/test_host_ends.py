"""However the host ends, no worker survives it, and a folder of a host that was killed is deleted
by the next.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from backends_support import alive, gone

HOST = """
import sys
import numpy as np
from convdiff.backends.environments import find
from convdiff.backends.fleet import Fleet, Job
from convdiff.records import Stored

array = Stored(np.zeros((2, 2)), "float64")
with Fleet([find("numpy")]) as fleet:
    fleet.start()
    fleet.wait()
    answers = fleet.run([Job("x", "backend", "numpy", sys.argv[1], "body")], {"input": array, "kernel": array})
    print(*fleet.pids, fleet._open(), flush=True)
    if len(sys.argv) > 2:
        exec(sys.argv[2])
    print("unexpected", list(answers), flush=True)
"""
PYTHON_HANG = "import time\nwhile True: time.sleep(1)"
LOCK_HANG = "import ctypes\nctypes.PyDLL(None).sleep(100)"
IGNORES = (
    "import signal, time\nfor n in range(1, 32):\n    if n not in (9, 19): signal.signal(n, "
    "signal.SIG_IGN)\n" + PYTHON_HANG
)
CHILD = "import subprocess\nprint('child', subprocess.Popen(['sleep', '100']).pid)\n" + PYTHON_HANG


def host(*arguments: str, folder: Path) -> tuple[subprocess.Popen[str], int, Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOST, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(Path.cwd())},
    )
    assert process.stdout is not None
    pid, path = process.stdout.readline().split()
    return process, int(pid), Path(path)


@pytest.mark.parametrize(
    "code", [PYTHON_HANG, LOCK_HANG, IGNORES], ids=["python", "lock", "ignores"]
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_signals_to_the_host(tmp_path: Path, number: signal.Signals, code: str) -> None:
    process, worker, folder = host(code, folder=tmp_path)
    assert alive(worker) and folder.exists()
    process.send_signal(number)
    _, errors = process.communicate(timeout=10)
    assert gone([worker])
    if number == signal.SIGKILL:
        return
    assert not folder.exists()
    assert process.returncode == {signal.SIGINT: -signal.SIGINT}.get(number, 128 + number), errors


def test_what_a_job_started_goes_too(tmp_path: Path) -> None:
    process, worker, folder = host(CHILD, folder=tmp_path)
    log = folder / "numpy.log"
    while not (found := re.search(r"child (\d+)\n", log.read_text())):
        time.sleep(0.01)
    child = int(found[1])
    assert alive(child)
    process.kill()
    process.communicate(timeout=10)
    assert gone([worker, child])


@pytest.mark.parametrize(
    "end",
    [
        "1 / 0",
        "sys.exit(3)",
        "import os; os._exit(0)",
        "import os; os.execv('/bin/true', ['true'])",
    ],
)
def test_other_ends(tmp_path: Path, end: str) -> None:
    process, worker, _ = host(PYTHON_HANG, end, folder=tmp_path)
    process.communicate(timeout=10)
    assert gone([worker])


def test_a_terminal_s_ctrl_c_is_the_host_s_alone(tmp_path: Path) -> None:
    """Sent to the whole foreground group, as a terminal does: the worker is not in it."""
    process, worker, _ = host(PYTHON_HANG, folder=tmp_path)
    assert os.getpgid(worker) != os.getpgid(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=10)
    assert gone([worker])


def test_folders_of_killed_hosts_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    from convdiff.backends.fleet_folder import Folder

    dead, _, left = host(PYTHON_HANG, folder=tmp_path)
    live, _, used = host(PYTHON_HANG, folder=tmp_path)
    dead.kill()
    dead.communicate(timeout=10)
    for folder in (left, used):
        os.utime(folder, (0, 0))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    Folder().close()
    assert not left.exists() and used.exists()
    live.kill()
    live.communicate(timeout=10)
