"""A check from its manifests to the suite: results, their order, and what ends it early."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convdiff.check import CheckRequest, check
from convdiff.suite_result import CaseResult
from tests.check.conftest import GOOD, UNREADABLE, WRONG, Manifest
from tests.check.suites import SilentWatcher, cases_by_name, check_manifests
from tests.cli.conftest import Invoke, environment
from tests.cli.processes import child_processes, wait_until


def test_each_case_has_a_result_in_the_order_of_the_manifest(
    manifest: Manifest, invoke: Invoke
) -> None:
    path = manifest(WRONG, UNREADABLE, GOOD)
    result = invoke("check", str(path), "--format", "json")
    assert result.exit_code == 2
    cases = cases_by_name(result.stdout)
    assert [(name, case["exit_code"]) for name, case in cases.items()] == [
        ("wrong", 1),
        ("unreadable", 2),
        ("good", 0),
    ]
    assert cases["wrong"]["rows"][0]["findings"][0]["edits"] == [
        {"code": "kernel-flipped", "axes": ["H", "W"]}
    ]
    assert cases["wrong"]["command"] == f"convdiff check {path} --case wrong"
    assert "found no such file" in cases["unreadable"]["message"]


@pytest.mark.parametrize(
    ("cases", "code"), [((GOOD,), 0), ((GOOD, WRONG), 1), ((WRONG, UNREADABLE), 2)]
)
def test_the_exit_code_is_that_of_the_worst_case(
    cases: tuple[dict[str, Any], ...], code: int, manifest: Manifest, invoke: Invoke
) -> None:
    assert invoke("check", str(manifest(*cases))).exit_code == code


def test_a_code_of_the_defaults_is_stale_only_where_no_case_has_it(manifest: Manifest) -> None:
    suite = check_manifests(manifest(GOOD, WRONG, allow=["kernel-flipped", "scaled"]))
    assert suite.exit_code == 0
    assert [note for note in suite.notes if "allows" in note] == [
        f"{Path.cwd()}/manifest.toml: [defaults] allows scaled, which no longer occurs; take it out"
    ]
    assert not any(case.stale for case in suite.cases)


def test_fail_fast_stops_after_the_first_failure(manifest: Manifest, invoke: Invoke) -> None:
    path = str(manifest(GOOD, WRONG, *({**GOOD, "name": f"later-{n}"} for n in range(40))))
    result = invoke("check", path, "--fail-fast", "--format", "json")
    assert result.exit_code == 1
    assert list(cases_by_name(result.stdout)) == ["good", "wrong"]
    assert json.loads(result.stdout)["notes"] == ["40 cases were not run (--fail-fast)"]


def test_progress_goes_to_stderr_and_the_table_to_stdout(
    manifest: Manifest, invoke: Invoke
) -> None:
    result = invoke("check", str(manifest(GOOD, WRONG, UNREADABLE)))
    assert result.stderr == ""
    assert "1 of 3 cases agrees; 1 differs; 1 could not be checked" in result.stdout
    assert "the kernel was flipped along H and W" in result.stdout
    assert "exit code 2: a case could not be checked" in result.stdout


def test_rounding_that_was_asked_to_fail_is_reported_as_rounding(
    manifest: Manifest, invoke: Invoke
) -> None:
    np.save("near.npy", np.nextafter(np.load("y.npy"), np.inf, dtype=np.float32))
    result = invoke(
        "check", str(manifest({**GOOD, "saved": {"near": "near.npy"}})), "--fail-on", "rounding"
    )
    assert result.exit_code == 1
    assert "near: rounding" in result.stdout


def test_nothing_heavy_is_imported_for_the_help(spawn: Any) -> None:
    done = spawn("-X", "importtime", "-m", "convdiff", "check", "--help")
    assert done.returncode == 0
    modules = {
        line.rpartition("|")[2].strip()
        for line in done.stderr.splitlines()
        if line.startswith("import time:")
    }
    assert not modules & {
        "numpy",
        "rich",
        "tomllib",
        "convdiff.check.suite",
        "convdiff.backends.fleet",
    }


def test_memory_does_not_grow_with_the_cases(manifest: Manifest, folder: Path) -> None:
    """Each case maps 8 MB; the host may hold a few cases, never all 60."""
    x = np.random.default_rng(0).standard_normal((8, 4, 256, 256)).astype(np.float32)
    np.save("x.npy", x)
    np.save("w.npy", np.ones((4, 4, 1, 1), np.float32))
    peaks = []
    for count in (20, 60):
        path = manifest(
            *({"name": f"c{n}", "input": "x.npy", "kernel": "w.npy"} for n in range(count)),
            backends=["numpy"],
            padding=0,
        )
        code = (
            "import resource, sys\nfrom convdiff.cli.main import main\n"
            f"sys.argv = ['convdiff', 'check', {str(path)!r}]\ncode = main()\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, code, file=sys.stderr)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        )
        peak, exit_code = done.stderr.split()[-2:]
        assert exit_code == "0", done.stdout
        peaks.append(int(peak) / 1024)
    assert peaks[1] - peaks[0] < 5 * x.nbytes / 2**20, peaks


def test_ctrl_c_leaves_no_process(manifest: Manifest, folder: Path) -> None:
    path = manifest(
        {**GOOD, "call": {"numpy": "(open('begun', 'w').close(), __import__('time').sleep(600))"}}
    )
    host = subprocess.Popen(
        [sys.executable, "-m", "convdiff", "check", str(path)],
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 300
    while not Path("begun").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    processes = child_processes(host.pid)
    assert len(processes) >= 2, "a worker and a comparing process"
    host.send_signal(signal.SIGINT)
    _, err = host.communicate(timeout=300)
    assert host.returncode == 130
    assert "Traceback" not in err
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in processes))


def test_a_host_that_is_killed_outright_leaves_no_process(manifest: Manifest, folder: Path) -> None:
    path = manifest(
        {**GOOD, "call": {"numpy": "(open('begun', 'w').close(), __import__('time').sleep(600))"}}
    )
    host = subprocess.Popen(
        [sys.executable, "-m", "convdiff", "check", str(path)], env=environment()
    )
    wait_until(Path("begun").exists)
    processes = child_processes(host.pid)
    host.kill()
    host.wait()

    def gone(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            return True

    wait_until(lambda: all(gone(pid) for pid in processes))


def test_an_interrupted_check_leaves_no_process(manifest: Manifest) -> None:
    class Interrupting(SilentWatcher):
        def add(self, checked: CaseResult) -> None:
            raise KeyboardInterrupt

    path = manifest(*({**GOOD, "name": f"c{n}"} for n in range(30)))
    before = set(child_processes(os.getpid()))
    with pytest.raises(KeyboardInterrupt):
        check(CheckRequest(manifests=(str(path),)), Interrupting())
    wait_until(lambda: set(child_processes(os.getpid())) <= before)
