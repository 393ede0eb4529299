"""A file of Python with what it imports from beside it: all that a function in it needs of the
folder that it lies in.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path


def together(file: Path) -> dict[str, bytes]:
    """The file and its neighbours, by their names from its folder; of a package all modules.
    OSError where one cannot be read.
    """
    folder = file.parent
    found: dict[str, bytes] = {}
    waiting = [file]
    while waiting:
        path = waiting.pop()
        name = str(path.relative_to(folder))
        if name in found:
            continue
        found[name] = path.read_bytes()
        for module in _imported(found[name]):
            package = folder / module
            waiting += [folder / f"{module}.py"] if (folder / f"{module}.py").is_file() else []
            waiting += sorted(package.rglob("*.py")) if (package / "__init__.py").is_file() else []
    return found


def _imported(source: bytes) -> Iterator[str]:
    """The first parts of the names of modules that it imports; none where it is no Python: whoever
    runs it will tell.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]
