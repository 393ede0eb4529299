"""`convdiff check` as a user has it: outcomes, exit codes, what is allowed, and what dies."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convdiff.check import CheckRequest, check
from convdiff.check.compare_pool import ComparePool
from convdiff.suite_result import CaseResult, Suite
from tests.check.conftest import GOOD, LOST, WRONG, Manifest
from tests.cli.conftest import Invoke, environment


def cases(stdout: str) -> dict[str, dict[str, Any]]:
    return {case["name"]: case for case in json.loads(stdout)["cases"]}


class Nobody:
    """Watches nothing."""

    def begin(self, total: int) -> None: ...

    def add(self, checked: CaseResult) -> None: ...


def suite(*manifests: Path, **options: Any) -> Suite:
    return check(CheckRequest(manifests=tuple(map(str, manifests)), **options), Nobody())


def test_each_case_has_its_outcome_and_the_order_is_the_manifests(
    manifest: Manifest, invoke: Invoke
) -> None:
    path = manifest(WRONG, LOST, GOOD)
    result = invoke("check", str(path), "--format", "json")
    assert result.exit_code == 2
    found = cases(result.stdout)
    assert [(name, case["exit_code"]) for name, case in found.items()] == [
        ("wrong", 1),
        ("lost", 2),
        ("good", 0),
    ]
    assert found["wrong"]["rows"][0]["findings"][0]["edits"] == [
        {"code": "kernel-flipped", "axes": ["H", "W"]}
    ]
    assert found["wrong"]["command"] == f"convdiff check {path} --case wrong"
    assert "found no such file" in found["lost"]["message"]


@pytest.mark.parametrize(("kept", "code"), [((GOOD,), 0), ((GOOD, WRONG), 1), ((WRONG, LOST), 2)])
def test_the_exit_code_is_that_of_the_worst(
    kept: tuple[dict[str, Any], ...], code: int, manifest: Manifest, invoke: Invoke
) -> None:
    assert invoke("check", str(manifest(*kept))).exit_code == code


# allow of the case; its exit code, the codes that occurred, those that did not.
ALLOWED: dict[str, tuple[dict[str, Any], list[str], int, list[str], list[str]]] = {
    "a finding": (WRONG, ["kernel-flipped"], 0, ["kernel-flipped"], []),
    "another": (WRONG, ["scaled"], 1, [], ["scaled"]),
    "one that is gone": (GOOD, ["kernel-flipped"], 0, [], ["kernel-flipped"]),
    "both": (WRONG, ["kernel-flipped", "scaled"], 0, ["kernel-flipped"], ["scaled"]),
    "half of a pair": (
        {**WRONG, "saved": {"port": "two.npy"}},
        ["kernel-flipped"],
        1,
        ["kernel-flipped"],
        [],
    ),
    "a pair": (
        {**WRONG, "saved": {"port": "two.npy"}},
        ["kernel-flipped", "scaled"],
        0,
        ["kernel-flipped", "scaled"],
        [],
    ),
    "one of two outputs": (
        {**WRONG, "saved": {"a": "flipped.npy", "b": "noise.npy"}},
        ["kernel-flipped"],
        1,
        ["kernel-flipped"],
        [],
    ),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_an_allowed_code_fails_no_case_and_one_that_is_gone_is_told(
    name: str, manifest: Manifest, invoke: Invoke
) -> None:
    case, allow, code, allowed, stale = ALLOWED[name]
    np.save("two.npy", np.load("flipped.npy") * np.float32(3))
    np.save(
        "noise.npy",
        np.random.default_rng(0).standard_normal(np.load("y.npy").shape).astype(np.float32),
    )
    path = manifest({**case, "allow": allow})
    found = cases(invoke("check", str(path), "--format", "json").stdout)[case["name"]]
    assert (found["exit_code"], found["allowed"], found["stale"]) == (code, allowed, stale)
    table = " ".join(invoke("check", str(path)).stdout.split())
    for gone in stale:
        assert f"{case['name']} allows {gone}, which no longer occurs" in table


def test_what_the_defaults_allow_is_stale_only_where_no_case_has_it(manifest: Manifest) -> None:
    one = suite(manifest(GOOD, WRONG, allow=["kernel-flipped", "scaled"]))
    assert one.exit_code == 0
    assert [note for note in one.notes if "allows" in note] == [
        f"{Path.cwd()}/manifest.toml: [defaults] allows scaled, which no longer occurs; take it out"
    ]
    assert not any(case.stale for case in one.cases)


def test_patterns_pick_cases(manifest: Manifest, invoke: Invoke) -> None:
    path = str(manifest(GOOD, WRONG, {**GOOD, "name": "encoder.1"}, {**GOOD, "name": "encoder.2"}))
    assert list(
        cases(
            invoke(
                "check", path, "--case", "encoder.*", "--case", "good", "--format", "json"
            ).stdout
        )
    ) == ["good", "encoder.1", "encoder.2"]
    path = str(manifest({**GOOD, "name": "layers[0].conv"}))
    assert list(
        cases(invoke("check", path, "--case", "layers[0].conv", "--format", "json").stdout)
    ) == ["layers[0].conv"]
    path = str(manifest(GOOD, {**GOOD, "name": "encoder.1"}))
    none = invoke("check", path, "--case", "encodr.1")
    assert none.exit_code == 2
    assert "--case: found 'encodr.1'" in none.stderr
    assert "did you mean encoder.1?" in none.stderr


def test_fail_fast_stops_after_the_first(manifest: Manifest, invoke: Invoke) -> None:
    path = str(manifest(GOOD, WRONG, *({**GOOD, "name": f"later-{n}"} for n in range(40))))
    result = invoke("check", path, "--fail-fast", "--format", "json")
    assert result.exit_code == 1
    assert list(cases(result.stdout)) == ["good", "wrong"]
    assert json.loads(result.stdout)["notes"] == ["40 cases were not run (--fail-fast)"]


def test_several_manifests_and_a_folder(manifest: Manifest, invoke: Invoke, folder: Path) -> None:
    manifest(
        {**GOOD, "input": "../x.npy", "kernel": "../w.npy", "saved": {"port": "../y.npy"}},
        file="sub/manifest.toml",
    )
    manifest(WRONG, file="other.toml")
    found = json.loads(invoke("check", "sub", "other.toml", "--format", "json").stdout)["cases"]
    assert [case["place"] for case in found] == ["sub/manifest.toml:5", "other.toml:5"]


def test_backends_serve_every_case_and_one_worker_serves_all(
    manifest: Manifest, invoke: Invoke
) -> None:
    path = manifest(
        *(
            {
                **GOOD,
                "name": f"c{n}",
                "call": {"numpy": "np.full((2, 4, 6, 7), __import__('os').getpid(), 'f4')"},
            }
            for n in range(12)
        ),
        backends=["numpy"],
    )
    found = cases(invoke("check", str(path), "--format", "json").stdout)
    assert {row["status"] for case in found.values() for row in case["rows"]} == {"ok"}
    assert {
        row["verdict"] for case in found.values() for row in case["rows"] if row["kind"] != "call"
    } <= {"rounding", "identical"}
    pids = {
        row["error"]["obtained"]
        for case in found.values()
        for row in case["rows"]
        if row["kind"] == "call"
    }
    assert len(pids) == 1


def test_a_call_that_kills_its_worker_costs_its_case_alone(
    manifest: Manifest, invoke: Invoke
) -> None:
    path = manifest(
        GOOD,
        {
            **GOOD,
            "name": "deadly",
            "call": {"numpy": "__import__('os').kill(__import__('os').getpid(), 9)"},
        },
        {**GOOD, "name": "after"},
        backends=["numpy"],
    )
    found = cases(invoke("check", str(path), "--format", "json").stdout)
    assert {name: case["exit_code"] for name, case in found.items()} == {
        "good": 0,
        "deadly": 2,
        "after": 0,
    }
    assert [row["status"] for row in found["deadly"]["rows"] if row["kind"] == "call"] == [
        "crashed"
    ]


def test_a_required_backend_that_cannot_run_is_trouble(
    manifest: Manifest, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    from convdiff.backends import environments

    monkeypatch.setattr(environments, "has_module", lambda module: False)
    path = str(manifest(GOOD))
    assert invoke("check", path).exit_code == 0
    result = invoke("check", path, "--require", "jax")
    assert result.exit_code == 2
    assert re.search(r"jax: unavailable, .*not installed", " ".join(result.stdout.split()))


@pytest.mark.parametrize(("fail_on", "code"), [("different", 0), ("rounding", 1)])
def test_fail_on_overrules_the_manifest(
    fail_on: str, code: int, manifest: Manifest, invoke: Invoke
) -> None:
    np.save("near.npy", np.nextafter(np.load("y.npy"), np.inf, dtype=np.float32))
    path = manifest({**GOOD, "saved": "near.npy"}, fail_on="rounding" if code == 0 else "different")
    assert invoke("check", str(path), "--fail-on", fail_on).exit_code == code


def test_a_comparing_process_that_dies_costs_one_case(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first to get the second case is killed while it has it."""
    taken: list[int] = []
    submit = ComparePool.submit

    def deadly(self: ComparePool, task: Any) -> Any:
        taken.append(1)
        if len(taken) == 2:
            pids = [process.pid for process in self._processes.values()]
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            future = submit(self, task)
            time.sleep(0.2)
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            return future
        return submit(self, task)

    monkeypatch.setattr(ComparePool, "submit", deadly)
    found = suite(manifest(*({**GOOD, "name": f"c{n}"} for n in range(8))), jobs=1)
    codes = [case.exit_code for case in found.cases]
    assert codes.count(2) in (1, 2)
    assert codes[2:] == [0] * 6
    assert "was killed by SIGKILL (out of memory?)" in str(
        next(case.trouble for case in found.cases if case.exit_code == 2)
    )


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
    deadline = time.monotonic() + 60
    while not Path("begun").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    from tests.cli.test_commands import children, until

    theirs = children(host.pid)
    assert len(theirs) >= 2, "a worker and a comparing process"
    host.send_signal(signal.SIGINT)
    _, err = host.communicate(timeout=60)
    assert host.returncode == 130
    assert "Traceback" not in err
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in theirs))


def test_a_host_that_is_killed_outright_leaves_no_process(manifest: Manifest, folder: Path) -> None:
    path = manifest(
        {**GOOD, "call": {"numpy": "(open('begun', 'w').close(), __import__('time').sleep(600))"}}
    )
    host = subprocess.Popen(
        [sys.executable, "-m", "convdiff", "check", str(path)], env=environment()
    )
    from tests.cli.test_commands import children, until

    until(Path("begun").exists)
    theirs = children(host.pid)
    host.kill()
    host.wait()

    def gone(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            return True

    until(lambda: all(gone(pid) for pid in theirs))


def test_memory_does_not_grow_with_the_cases(manifest: Manifest, folder: Path) -> None:
    """Each case maps 8 MB; the host may hold a few of them, never all 60."""
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


def test_progress_goes_to_stderr_and_the_table_to_stdout(
    manifest: Manifest, invoke: Invoke
) -> None:
    result = invoke("check", str(manifest(GOOD, WRONG, LOST)))
    assert result.stderr == ""
    assert "1 of 3 cases agrees; 1 differs; 1 could not be checked" in result.stdout
    assert "the kernel was flipped along H and W" in result.stdout
    assert "exit code 2: a case could not be checked" in result.stdout


def test_rounding_that_was_asked_to_fail_is_told_as_such(
    manifest: Manifest, invoke: Invoke
) -> None:
    np.save("near.npy", np.nextafter(np.load("y.npy"), np.inf, dtype=np.float32))
    result = invoke(
        "check", str(manifest({**GOOD, "saved": {"near": "near.npy"}})), "--fail-on", "rounding"
    )
    assert result.exit_code == 1
    assert "near: rounding" in result.stdout


def test_cases_with_other_timeouts_run_side_by_side(manifest: Manifest, invoke: Invoke) -> None:
    slow = {"numpy": "(__import__('time').sleep(3), np.zeros((2, 4, 6, 7), 'f4'))[1]"}
    patient = {**GOOD, "name": "patient", "timeout": 30, "call": slow}
    path = manifest({**GOOD, "timeout": 1.0, "call": slow}, patient, {**GOOD, "name": "plain"})
    found = cases(invoke("check", str(path), "--format", "json").stdout)
    status = {
        name: [row["status"] for row in case["rows"] if row["kind"] == "call"]
        for name, case in found.items()
    }
    assert status == {"good": ["timeout"], "patient": ["ok"], "plain": []}
    assert [case["exit_code"] for case in found.values()] == [2, 1, 0]


def test_an_interrupted_check_leaves_its_line_and_no_process(manifest: Manifest) -> None:
    class Interrupting(Nobody):
        def add(self, checked: CaseResult) -> None:
            raise KeyboardInterrupt

    from tests.cli.test_commands import children, until

    before = set(children(os.getpid()))
    with pytest.raises(KeyboardInterrupt):
        check(
            CheckRequest(
                manifests=(str(manifest(*({**GOOD, "name": f"c{n}"} for n in range(30)))),)
            ),
            Interrupting(),
        )
    until(lambda: set(children(os.getpid())) <= before)
