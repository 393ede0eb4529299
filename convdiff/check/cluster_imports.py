"""A Python file with the modules that it imports from its own folder.

A function in it can then run on another machine.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path


def file_with_local_imports(file: Path) -> dict[str, bytes]:
    """The contents of the file and of the modules beside it that it imports, directly or not.

    Keys are paths relative to the file's folder.  Of a package, every module is included.  OSError
    where a file cannot be read.
    """
    folder = file.parent
    contents: dict[str, bytes] = {}
    waiting = [file]
    while waiting:
        path = waiting.pop()
        name = str(path.relative_to(folder))
        if name in contents:
            continue
        contents[name] = path.read_bytes()
        for module in _imported_names(contents[name]):
            if (folder / f"{module}.py").is_file():
                waiting.append(folder / f"{module}.py")
            if (folder / module / "__init__.py").is_file():
                waiting += sorted((folder / module).rglob("*.py"))
    return contents


def _imported_names(source: bytes) -> Iterator[str]:
    """The first parts of the names of imported modules.

    None where the source does not parse, since running it will report that.
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
