"""Which outputs count as identical."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from convdiff.report.identical_rows import identical_rows
from tests.report.reports import REPORTS


def test_outputs_are_compared_bit_for_bit() -> None:
    row = REPORTS["agreeing"].rows[0]
    outputs = {
        "nan": [np.nan, 1],
        "nan again": [np.nan, 1],
        "zero": [0.0, 1],
        "minus zero": [-0.0, 1],
        "end": [np.nan, 2],
        "shape": [[np.nan, 1]],
    }
    rows = [
        replace(row, answer=replace(row.answer, name=name, output=np.array(output, np.float32)))
        for name, output in outputs.items()
    ]
    rows.append(replace(row, answer=replace(row.answer, name="none")))
    rows.append(replace(row, answer=replace(row.answer, name="wide", output=np.array([np.nan, 1]))))
    assert identical_rows(rows) == [["nan", "nan again"]]
