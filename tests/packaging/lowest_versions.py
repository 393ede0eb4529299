"""Prints pip constraints with the lowest version that pyproject.toml declares of each dependency.

python tests/packaging/lowest_versions.py

The tools that the tests need keep the versions of .ci/constraints.txt.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def normalized(name: str) -> str:
    """A package's name as pip compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(constraints: str) -> dict[str, str]:
    """The versions in a constraints file by the package's normalized name."""
    lines = (line.strip() for line in constraints.splitlines())
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {normalized(name): version for name, version in pairs}


def lowest(dependencies: list[str]) -> dict[str, str]:
    """The lower bounds of requirements such as `numpy>=1.26`; ValueError for any other kind."""
    bounds = {}
    for requirement in dependencies:
        match = re.fullmatch(r"([\w.-]+)>=([\d.]+)", requirement)
        if match is None:
            raise ValueError(f"{requirement!r}: expected NAME>=VERSION")
        bounds[normalized(match[1])] = match[2]
    return bounds


def main() -> None:
    """Print the constraints."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    versions = pinned((ROOT / ".ci/constraints.txt").read_text())
    versions |= lowest(project["dependencies"])
    print("\n".join(f"{name}=={version}" for name, version in sorted(versions.items())))


if __name__ == "__main__":
    main()
