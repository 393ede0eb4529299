"""However the host ends, no worker survives it."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from tests.backends.support import PATIENCE, is_alive, start_host, wait_for, wait_until_dead

PYTHON_HANG = "import time\nwhile True: time.sleep(1)"
LOCK_HANG = "import ctypes\nctypes.PyDLL(None).sleep(10_000)"
IGNORES_SIGNALS = (
    "import signal, time\nfor n in range(1, 32):\n    if n not in (9, 19): signal.signal(n, "
    "signal.SIG_IGN)\n" + PYTHON_HANG
)
STARTS_A_CHILD = (
    "import subprocess\nprint('child', subprocess.Popen(['sleep', '10000']).pid)\n" + PYTHON_HANG
)


@pytest.mark.parametrize(
    "code", [PYTHON_HANG, LOCK_HANG, IGNORES_SIGNALS], ids=["python", "lock", "ignores"]
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_to_the_host_ends_its_worker(
    tmp_path: Path, number: signal.Signals, code: str
) -> None:
    process, worker, folder = start_host(code, folder=tmp_path)
    assert is_alive(worker) and folder.exists()
    process.send_signal(number)
    _, errors = process.communicate(timeout=PATIENCE)
    wait_until_dead([worker])
    if number == signal.SIGKILL:
        return
    assert not folder.exists()
    assert process.returncode == {signal.SIGINT: -signal.SIGINT}.get(number, 128 + number), errors


def test_what_a_job_has_started_ends_too(tmp_path: Path) -> None:
    process, worker, folder = start_host(STARTS_A_CHILD, folder=tmp_path)
    log = folder / "numpy.log"
    wait_for(lambda: re.search(r"child (\d+)\n", log.read_text()), "the start of the job's child")
    match = re.search(r"child (\d+)\n", log.read_text())
    assert match is not None
    child = int(match[1])
    assert is_alive(child)
    process.kill()
    process.communicate(timeout=PATIENCE)
    wait_until_dead([worker, child])


@pytest.mark.parametrize(
    "end",
    [
        "1 / 0",
        "sys.exit(3)",
        "import os; os._exit(0)",
        "import os; os.execv('/bin/true', ['true'])",
    ],
)
def test_any_other_end_of_the_host_ends_its_worker(tmp_path: Path, end: str) -> None:
    process, worker, _ = start_host(PYTHON_HANG, end, folder=tmp_path)
    process.communicate(timeout=PATIENCE)
    wait_until_dead([worker])


def test_ctrl_c_in_a_terminal_reaches_the_host_only(tmp_path: Path) -> None:
    """A terminal sends SIGINT to its foreground process group, which the worker has left."""
    process, worker, _ = start_host(PYTHON_HANG, folder=tmp_path)
    assert os.getpgid(worker) != os.getpgid(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    wait_until_dead([worker])
