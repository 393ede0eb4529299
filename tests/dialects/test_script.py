"""The script builder, and the framework's call that is read from a script."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from convdiff.dialects import Script, Unsupported, framework_call
from convdiff.dialects.script import LINE_WIDTH, ScriptBuilder, require_default_call
from convdiff.execution_paths import ExecutionPath

IMPORTS = {"np": "import numpy as np", "torch": "import torch"}


def test_only_the_imports_that_are_used_are_written() -> None:
    builder = ScriptBuilder(IMPORTS)
    builder.add("output = np.ones(3)")
    assert builder.script().body == "import numpy as np\n\noutput = np.ones(3)\n"


def test_the_prelude_of_a_path_stands_between_imports_and_lines() -> None:
    path = ExecutionPath("torch", "slow", "", setup=("torch.slow = True",), wrapper="torch.f({})")
    builder = ScriptBuilder(IMPORTS, path)
    builder.call("y", builder.wrapped("torch.conv"), "x", None, "w")
    builder.note("kernel flipped")
    builder.note("kernel flipped")
    script = builder.script()
    assert script.body == "import torch\n\ntorch.slow = True\n\ny = torch.f(torch.conv)(x, w)\n"
    assert script.aligned == ("kernel flipped",)


def test_a_long_call_is_folded() -> None:
    builder = ScriptBuilder({})
    arguments = [f"argument_{number}=None" for number in range(12)]
    builder.call("y", "function", *arguments)
    lines = builder.script().body.splitlines()
    assert max(map(len, lines)) <= LINE_WIDTH and lines[-1] == ")"
    assert " ".join(lines).replace(" ", "").count("None,") == 12


@pytest.mark.parametrize(
    ("body", "call"),
    [
        ("x = f(input)\ny = g(x,\n  w)\noutput = y", "g(x, w)"),
        ("Y = graph(X)\ny = run(Y)\noutput = y", "graph(X)"),
        ("output = np.convolve(input, kernel)", "np.convolve(input, kernel)"),
    ],
)
def test_the_frameworks_call_defines_the_graph_or_y_or_the_output(body: str, call: str) -> None:
    assert framework_call(Script(body, ())) == call


def test_a_spurious_error_of_the_parser_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    parse, calls = ast.parse, []

    def fail_once(source: str) -> Any:
        calls.append(source)
        if len(calls) == 1:
            raise SystemError("AST constructor recursion depth mismatch (before=69, after=93)")
        return parse(source)

    monkeypatch.setattr(ast, "parse", fail_once)
    assert framework_call(Script("output = 1", ())) == "1"


def test_a_path_with_a_style_of_its_own_has_no_default_call() -> None:
    path = ExecutionPath("tensorflow", "cpu/keras", "", style="keras")
    require_default_call(path, "keras")
    with pytest.raises(Unsupported, match="the path cpu/keras of tensorflow"):
        require_default_call(path)
