"""ONNX's own tests of one operator, each captured into a folder of its own."""

import sys
import warnings

import convdiff

with warnings.catch_warnings(action="ignore"):
    import onnx.backend.test.case.node as node_tests

    operator = sys.argv[1]
    cases = [
        case
        for case in node_tests.collect_testcases(operator)
        if case.model.graph.node[0].op_type == operator
    ]
assert len(cases) >= 5, len(cases)
for case in cases:
    with convdiff.capture(case.model, f"dump/{case.name}") as session:
        for inputs, _ in case.data_sets:
            session(*inputs)
