"""The table of backends and the files that belong to its rows."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from convdiff.backends.process import HERE
from convdiff.backends.table import BACKENDS, NAMES


def test_every_backend_has_an_adapter_that_imports_its_module() -> None:
    assert NAMES == (
        "numpy",
        "scipy",
        "torch",
        "tensorflow",
        "jax",
        "onnxruntime",
        "cudnn",
        "theano",
    )
    adapters = HERE / "adapters"
    assert sorted(f"{name}_adapter.py" for name in NAMES) == sorted(
        path.name for path in adapters.glob("*.py")
    )
    for row in BACKENDS:
        assert f'IMPORT = "{row.module}"' in (adapters / f"{row.name}_adapter.py").read_text()


def test_worker_and_adapters_are_python_3_7_and_self_contained() -> None:
    files: list[Path] = [HERE / "worker.py", *HERE.glob("adapters/*.py")]
    for file in files:
        tree = ast.parse(file.read_text(), feature_version=(3, 7))
        for node in ast.walk(tree):
            names = (
                [node.module]
                if isinstance(node, ast.ImportFrom)
                else [alias.name for alias in getattr(node, "names", ())]
            )
            if isinstance(node, ast.Import | ast.ImportFrom):
                assert all(
                    name in {*sys.stdlib_module_names, "numpy", "collections.abc"} for name in names
                ), (file, names)
            assert not isinstance(node, ast.NamedExpr)
