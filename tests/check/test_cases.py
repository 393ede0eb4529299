"""Manifest entries as cases: which are selected, and which options win."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.check.conftest import GOOD, WRONG, Manifest
from tests.check.suites import cases_by_name
from tests.cli.conftest import Invoke


def test_patterns_select_cases(manifest: Manifest, invoke: Invoke) -> None:
    path = str(manifest(GOOD, WRONG, *({**GOOD, "name": f"encoder.{n}"} for n in (1, 2))))
    result = invoke("check", path, "--case", "encoder.*", "--case", "good", "--format", "json")
    assert list(cases_by_name(result.stdout)) == ["good", "encoder.1", "encoder.2"]


def test_a_name_with_brackets_selects_itself(manifest: Manifest, invoke: Invoke) -> None:
    path = str(manifest({**GOOD, "name": "layers[0].conv"}))
    result = invoke("check", path, "--case", "layers[0].conv", "--format", "json")
    assert list(cases_by_name(result.stdout)) == ["layers[0].conv"]


def test_a_pattern_that_selects_nothing_is_an_error(manifest: Manifest, invoke: Invoke) -> None:
    path = str(manifest(GOOD, {**GOOD, "name": "encoder.1"}))
    result = invoke("check", path, "--case", "encodr.1")
    assert result.exit_code == 2
    assert "--case: found 'encodr.1'" in result.stderr
    assert "did you mean encoder.1?" in result.stderr


def test_several_manifests_and_a_folder_are_checked_together(
    manifest: Manifest, invoke: Invoke, folder: Path
) -> None:
    manifest(
        {**GOOD, "input": "../x.npy", "kernel": "../w.npy", "saved": {"port": "../y.npy"}},
        file="sub/manifest.toml",
    )
    manifest(WRONG, file="other.toml")
    report = json.loads(invoke("check", "sub", "other.toml", "--format", "json").stdout)
    assert [case["place"] for case in report["cases"]] == ["sub/manifest.toml:5", "other.toml:5"]


@pytest.mark.parametrize(("fail_on", "code"), [("different", 0), ("rounding", 1)])
def test_fail_on_replaces_the_manifests_value(
    fail_on: str, code: int, manifest: Manifest, invoke: Invoke
) -> None:
    np.save("near.npy", np.nextafter(np.load("y.npy"), np.inf, dtype=np.float32))
    path = manifest({**GOOD, "saved": "near.npy"}, fail_on="rounding" if code == 0 else "different")
    assert invoke("check", str(path), "--fail-on", fail_on).exit_code == code
