"""`--scheduler` on a real local cluster of two worker processes, one of which is killed on the way."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from convdiff.check import CheckRequest, check
from convdiff.suite_result import CaseResult
from tests.check.conftest import GOOD, LOST, WRONG, Manifest
from tests.cli.conftest import Invoke

distributed = pytest.importorskip("distributed")

pytestmark = [
    pytest.mark.xdist_group("cluster"),
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture
def cluster_client(folder: Path) -> Iterator[Any]:
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        local_directory=str(folder / "dask"),
        silence_logs=50,
    ) as made:
        yield made


class Deadly:
    """Kills one worker process of the cluster once a few cases are done."""

    def __init__(self, address: str) -> None:
        self._address, self.done, self.killed = address, [], 0
        self.done: list[str] = []

    def begin(self, total: int) -> None: ...

    def add(self, checked: CaseResult) -> None:
        self.done.append(checked.name)
        if len(self.done) == 3:
            with distributed.Client(self._address, set_as_default=False) as client:
                self.killed = min(client.run(os.getpid).values())
            os.kill(self.killed, signal.SIGKILL)


def test_a_worker_that_is_lost_loses_nothing(cluster_client: Any, manifest: Manifest) -> None:
    several = [
        {
            **(WRONG if n % 4 == 1 else GOOD),
            "name": f"c{n}",
            "saved": {"port": "flipped.npy" if n % 4 == 1 else "all.npz:y"},
        }
        for n in range(40)
    ]
    path = manifest(*several, LOST)
    watch = Deadly(cluster_client.scheduler_address)
    suite = check(
        CheckRequest(manifests=(str(path),), scheduler=cluster_client.scheduler_address), watch
    )
    assert watch.killed
    assert [case.name for case in suite.cases] == [*(f"c{n}" for n in range(40)), "lost"]
    assert [case.exit_code for case in suite.cases] == [*(int(n % 4 == 1) for n in range(40)), 2], [
        c.trouble for c in suite.cases
    ]
    assert {row.findings[0].codes for case in suite.cases for row in case.failing} == {
        ("kernel-flipped",)
    }
    assert "input" in str(suite.cases[-1].trouble)
    assert "none.npy: cannot be read (No such file or directory)" in str(suite.cases[-1].trouble)


class Last:
    """Takes all machines away, once a case is done, for good."""

    def __init__(self, cluster_client: Any) -> None:
        self._cluster = cluster_client

    def begin(self, total: int) -> None: ...

    def add(self, checked: CaseResult) -> None:
        self._cluster.scale(0)


def test_a_cluster_without_machines_is_not_waited_for(
    cluster_client: Any, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    from convdiff.check import cluster_client as module

    monkeypatch.setattr(module, "MACHINE_TIMEOUT", 2)
    path = manifest(*({**GOOD, "name": f"c{n}"} for n in range(60)))
    suite = check(
        CheckRequest(manifests=(str(path),), scheduler=cluster_client.scheduler_address),
        Last(cluster_client),
    )
    lost = [case for case in suite.cases if case.exit_code == 2]
    assert (
        len(suite.cases) == 60
        and lost
        and all("no machine is left" in str(case.trouble) for case in lost)
    ), lost


def test_backends_run_there_and_start_once_in_a_process(
    cluster_client: Any, manifest: Manifest
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
    suite = check(
        CheckRequest(manifests=(str(path),), scheduler=cluster_client.scheduler_address), Nobody()
    )
    rows = [row for case in suite.cases for row in case.rows]
    assert {row.answer.status for row in rows} == {"ok"}, [c.trouble for c in suite.cases]
    pids = {row.error.obtained for row in rows if row.answer.kind == "call" and row.error}
    assert 1 <= len(pids) <= 2
    assert {row.verdict for row in rows if row.answer.kind == "backend"} <= {
        "rounding",
        "identical",
    }


class Nobody:
    """Watches nothing."""

    def begin(self, total: int) -> None: ...

    def add(self, checked: CaseResult) -> None: ...


def test_a_scheduler_that_is_none_is_one_line(
    manifest: Manifest, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    from convdiff.check import cluster_client

    monkeypatch.setattr(cluster_client, "MACHINE_TIMEOUT", 1)
    result = invoke("check", str(manifest(GOOD)), "--scheduler", "tcp://127.0.0.1:9")
    assert result.exit_code == 2
    assert result.stderr.startswith("convdiff: --scheduler tcp://127.0.0.1:9: cannot be reached")
