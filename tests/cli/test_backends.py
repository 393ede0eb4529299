"""`convdiff backends`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from convdiff.backends.environments import Environment
from convdiff.backends.supervisor import Hello
from convdiff.execution_paths import built_in_paths, unmet_need
from convdiff.pipeline import self_test
from convdiff.pipeline.self_test import BackendDescription, PathDescription, SelfTestResult
from tests.cli.conftest import Invoke


def test_backends_are_listed_with_the_reason_where_one_cannot_run(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = Path("/env/bin/python")
    hello = Hello(
        "2.0", "3.9.1", "1.26.0", 1.25, ("cpu", "cuda:0"), "cpu/onednn", {"mps": "no Mac"}
    )
    paths = [
        PathDescription(path, unmet_need(path, hello.missing))
        for path in built_in_paths("torch")
        if path.name in ("cpu/onednn", "cuda/cudnn", "mps")
    ]
    descriptions = [
        BackendDescription(
            Environment("torch", "torch", python, "registered"),
            hello,
            None,
            SelfTestResult(True, "exact"),
            tuple(paths),
        ),
        BackendDescription(
            Environment("theano", "theano", python, "none", "it is not installed"),
            None,
            "it is not installed",
        ),
    ]
    monkeypatch.setattr(self_test, "describe_backends", lambda **_: descriptions)
    monkeypatch.setenv("COLUMNS", "100")
    result = invoke("backends")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "torch   2.0  cpu, cuda:0  self-test exact",
        "        /env/bin/python (Python 3.9.1, numpy 1.26.0, registered; starts in 1.2 s)",
        "          cpu/onednn  oneDNN's kernels, the default here",
        "          cuda/cudnn  cuDNN with torch's defaults: TF32 on, no benchmark",
        "          not available: mps: no Mac; it needs a Mac with Apple silicon",
        "theano  it is not installed",
    ]
    monkeypatch.setenv("COLUMNS", "50")
    narrow = invoke("backends").stdout
    assert max(map(len, narrow.splitlines())) <= 50
    assert narrow.split() == result.stdout.split()


def test_an_environment_is_added_and_removed(invoke: Invoke) -> None:
    added = invoke("backends", "add", "numpy@own", sys.executable)
    assert added.exit_code == 0
    assert added.stdout.startswith("numpy@own: ")
    ran = invoke(
        "run",
        "x.npy",
        "w.npy",
        "--backend",
        "numpy@own",
        "--call",
        "numpy@own=input",
        "--format",
        "json",
    )
    assert '"name": "numpy@own"' in ran.stdout
    assert "no longer registered" in invoke("backends", "remove", "numpy@own").stdout
    assert invoke("run", "x.npy", "w.npy", "--backend", "numpy@own").exit_code == 2
