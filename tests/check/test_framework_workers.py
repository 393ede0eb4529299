"""The framework workers of a check: started once, and replaced where a case ends one."""

from __future__ import annotations

import re

import pytest

from tests.check.conftest import GOOD, Manifest
from tests.check.suites import cases_by_name
from tests.cli.conftest import Invoke


def test_one_worker_serves_every_case(manifest: Manifest, invoke: Invoke) -> None:
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
    cases = cases_by_name(invoke("check", str(path), "--format", "json").stdout)
    rows = [row for case in cases.values() for row in case["rows"]]
    assert {row["status"] for row in rows} == {"ok"}
    verdicts = {row["verdict"] for row in rows if row["kind"] != "call"}
    assert verdicts <= {"rounding", "identical"}
    pids = {row["error"]["obtained"] for row in rows if row["kind"] == "call"}
    assert len(pids) == 1


def test_a_call_that_kills_its_worker_fails_its_own_case_alone(
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
    cases = cases_by_name(invoke("check", str(path), "--format", "json").stdout)
    assert {name: case["exit_code"] for name, case in cases.items()} == {
        "good": 0,
        "deadly": 2,
        "after": 0,
    }
    calls = [row for row in cases["deadly"]["rows"] if row["kind"] == "call"]
    assert [row["status"] for row in calls] == ["crashed"]


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


def test_each_case_has_its_own_timeout(manifest: Manifest, invoke: Invoke) -> None:
    slow = {"numpy": "(__import__('time').sleep(3), np.zeros((2, 4, 6, 7), 'f4'))[1]"}
    patient = {**GOOD, "name": "patient", "timeout": 30, "call": slow}
    path = manifest({**GOOD, "timeout": 1.0, "call": slow}, patient, {**GOOD, "name": "plain"})
    cases = cases_by_name(invoke("check", str(path), "--format", "json").stdout)
    status = {
        name: [row["status"] for row in case["rows"] if row["kind"] == "call"]
        for name, case in cases.items()
    }
    assert status == {"good": ["timeout"], "patient": ["ok"], "plain": []}
    assert [case["exit_code"] for case in cases.values()] == [2, 1, 0]
