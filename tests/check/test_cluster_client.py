"""`--scheduler` on a real local cluster of two machines, each a process; one or both are lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from convdiff.check import CheckRequest, check, cluster_client
from convdiff.suite_result import CaseResult
from tests.check.conftest import GOOD, UNREADABLE, WRONG, Manifest
from tests.check.suites import SilentWatcher, check_manifests
from tests.cli.conftest import Invoke

distributed = pytest.importorskip("distributed")

pytestmark = [
    pytest.mark.xdist_group("cluster"),
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture
def cluster(folder: Path) -> Iterator[Any]:
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        local_directory=str(folder / "dask"),
        silence_logs=50,
    ) as local_cluster:
        yield local_cluster


class KillingWatcher(SilentWatcher):
    """Kills one process of the cluster once a few cases are done."""

    def __init__(self, address: str) -> None:
        self._address, self.killed = address, 0
        self.done: list[str] = []

    def add(self, checked: CaseResult) -> None:
        self.done.append(checked.name)
        if len(self.done) == 3:
            with distributed.Client(self._address, set_as_default=False) as client:
                self.killed = min(client.run(os.getpid).values())
            os.kill(self.killed, signal.SIGKILL)


def test_a_lost_machine_loses_no_case(cluster: Any, manifest: Manifest) -> None:
    cases = [
        {
            **(WRONG if n % 4 == 1 else GOOD),
            "name": f"c{n}",
            "saved": {"port": "flipped.npy" if n % 4 == 1 else "all.npz:y"},
        }
        for n in range(40)
    ]
    path = manifest(*cases, UNREADABLE)
    watcher = KillingWatcher(cluster.scheduler_address)
    suite = check(
        CheckRequest(manifests=(str(path),), scheduler=cluster.scheduler_address), watcher
    )
    assert watcher.killed
    assert [case.name for case in suite.cases] == [*(f"c{n}" for n in range(40)), "unreadable"]
    assert [case.exit_code for case in suite.cases] == [*(int(n % 4 == 1) for n in range(40)), 2], [
        c.trouble for c in suite.cases
    ]
    assert {row.findings[0].codes for case in suite.cases for row in case.failing} == {
        ("kernel-flipped",)
    }
    assert "input" in str(suite.cases[-1].trouble)
    assert "none.npy: cannot be read (No such file or directory)" in str(suite.cases[-1].trouble)


class DrainingWatcher(SilentWatcher):
    """Takes every machine away, for good, once a case is done."""

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster

    def add(self, checked: CaseResult) -> None:
        self._cluster.scale(0)


def test_a_cluster_without_machines_is_not_waited_for(
    cluster: Any, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_client, "MACHINE_TIMEOUT", 2)
    path = manifest(*({**GOOD, "name": f"c{n}"} for n in range(60)))
    suite = check(
        CheckRequest(manifests=(str(path),), scheduler=cluster.scheduler_address),
        DrainingWatcher(cluster),
    )
    assert len(suite.cases) == 60
    troubles = [str(case.trouble) for case in suite.cases if case.exit_code == 2]
    assert troubles
    assert all("no machine is left" in trouble for trouble in troubles), troubles


def test_backends_run_there_and_start_once_in_each_process(
    cluster: Any, manifest: Manifest
) -> None:
    Path("deep/package").mkdir(parents=True)
    Path("deep/port.py").write_text(
        "import os\nfrom filling import full\n\n\ndef pid(input, kernel):\n    return "
        "full(os.getpid())\n"
    )
    Path("deep/filling.py").write_text(
        "from package.sub import SIZE\nimport numpy as np\n\n\ndef full(value):\n    return "
        "np.full(SIZE, value, 'f4')\n"
    )
    Path("deep/package/__init__.py").write_text("")
    Path("deep/package/sub.py").write_text("from . import own\nSIZE = own.SIZE\n")
    Path("deep/package/own.py").write_text("SIZE = (2, 4, 6, 7)\n")
    case = {**GOOD, "call": {"numpy": "deep/port.py:pid"}}
    path = manifest(*({**case, "name": f"c{n}"} for n in range(12)), backends=["numpy"])
    suite = check_manifests(path, scheduler=cluster.scheduler_address)
    rows = [row for case in suite.cases for row in case.rows]
    assert {row.answer.status for row in rows} == {"ok"}, [c.trouble for c in suite.cases]
    pids = {row.error.obtained for row in rows if row.answer.kind == "call" and row.error}
    assert 1 <= len(pids) <= 2
    assert {row.verdict for row in rows if row.answer.kind == "backend"} <= {
        "rounding",
        "identical",
    }


def test_a_scheduler_that_cannot_be_reached_is_one_line(
    manifest: Manifest, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_client, "MACHINE_TIMEOUT", 1)
    result = invoke("check", str(manifest(GOOD)), "--scheduler", "tcp://127.0.0.1:9")
    assert result.exit_code == 2
    assert result.stderr.startswith("convdiff: --scheduler tcp://127.0.0.1:9: cannot be reached")
