"""A module imports only from rows below its own, as the table says."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "convdiff"

# From the top; a row may import from those below it, and modules of one row do not import each
# other.
ROWS: list[list[str]] = [
    ["__main__"],
    ["cli", "pytest_plugin"],
    ["port"],
    ["check"],
    ["pipeline", "api", "probe", "recorder"],
    ["report", "fixes", "make_picture"],
    ["verdict"],
    ["diagnose"],
    ["dialects", "backends"],
    ["plugins", "config"],
    ["execution_paths"],
    ["arrays", "manifest"],
    ["suite_result", "exit_codes"],
    ["numerics"],
    ["records"],
    ["spec", "picture"],
    ["errors"],
]
LEVEL = {name: number for number, row in enumerate(ROWS) for name in row}


def top(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
        if isinstance(node, ast.ImportFrom) and node.module == "convdiff":
            names = [f"convdiff.{alias.name}" for alias in node.names]
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("convdiff.")}
    return found - {"__version__"}


# The rooms of the diagnosis, likewise; modules of its own that stand on top see all of them.
DIAGNOSE_ROWS = ["explain", "fit", "search", "hypotheses", "core"]

MODULES = sorted(
    path
    for path in PACKAGE.rglob("*.py")
    if path.name != "worker.py" and "adapters" not in path.parts
)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    here = top(path)
    if here == "__init__":
        assert imported(path) <= {"api", "recorder"}
        return
    for name in imported(path) - {here}:
        assert LEVEL[name] > LEVEL[here], f"{here} imports {name}, which stands no lower"


@pytest.mark.parametrize("room", DIAGNOSE_ROWS)
def test_the_rooms_of_the_diagnosis_stand_on_each_other(room: str) -> None:
    allowed = {room, *DIAGNOSE_ROWS[DIAGNOSE_ROWS.index(room) + 1 :]}
    for path in (PACKAGE / "diagnose" / room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
            if module.startswith("convdiff.diagnose."):
                assert module.split(".")[2] in allowed, f"{path.name} imports {module}"


def test_every_module_has_a_row() -> None:
    assert {top(path) for path in MODULES} - {"__init__"} == set(LEVEL)


@pytest.mark.parametrize("folder", ["backends/worker.py", "backends/adapters"])
def test_what_runs_in_other_interpreters_imports_nothing_of_ours(folder: str) -> None:
    base = PACKAGE / folder
    for path in [base] if base.is_file() else base.rglob("*.py"):
        assert not imported(path), path
        ast.parse(path.read_text(), feature_version=(3, 7))


@pytest.mark.parametrize(
    "word", ["torch", "tensorflow", "jax", "theano", "scipy", "onnxruntime", "onnx"]
)
def test_no_framework_is_imported_by_the_host(word: str) -> None:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert word not in [name.split(".")[0] for name in names], path
