"""Runs the table of specs through every path of this machine and prints what README's table of what
was run where says.

python -m tests.dialects.paths_record
"""

from __future__ import annotations

import platform
from collections import Counter
from dataclasses import replace
from pathlib import Path

from convdiff.backends.environments import find
from convdiff.backends.fleet import Fleet
from convdiff.backends.supervisor import Hello
from convdiff.dialects import DIALECTS, Unsupported, write
from convdiff.execution_paths import ExecutionPath, built_in_paths, unmet_need
from tests.dialects.test_paths import SLOW, fault, named
from tests.specs import SPECS


def processor() -> str:
    """Its name, as Linux has it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(": ")[2] for line in lines if line.startswith("model name")),
        platform.machine(),
    )


def counted(path: ExecutionPath) -> tuple[Hello | str, str]:
    """What the worker said, and how many specs came out exact."""
    found = find(path.backend)
    if not found.usable:
        return str(found.reason), ""
    place = replace(found, variables=path.variables)
    with Fleet([place], timeout=300) as fleet:
        hello = fleet.wait()[place.process]
        lacks = hello if isinstance(hello, str) else missing(path, hello.missing)
        if isinstance(hello, str) or lacks is not None:
            return str(lacks), ""
        counts: Counter[str] = Counter()
        for spec in list(SPECS.values())[:: 8 if named(path) in SLOW else 1]:
            try:
                write(path.backend, spec, path)
            except Unsupported:
                counts["unsupported"] += 1
                continue
            counts[
                "wrong"
                if fault(fleet, place.process, path, spec)
                else "exact"
                if path.exact
                else "within rounding"
            ] += 1
    return hello, ", ".join(f"{count} {word}" for word, count in sorted(counts.items()))


def main() -> None:
    print(f"{processor()}, {platform.system()}\n")
    print("| path | version | Python | device | the table's specs |\n|---|---|---|---|---|")
    gone: dict[str, list[str]] = {}
    for backend in DIALECTS:
        for path in paths_of(backend):
            hello, counts = counted(path)
            if isinstance(hello, str):
                gone.setdefault(hello, []).append(named(path))
            else:
                print(
                    f"| {named(path)} | {hello.version} | {hello.python} | {hello.devices[0]} | "
                    f"{counts} |",
                    flush=True,
                )
    print("\nNot run:\n")
    for reason, paths in gone.items():
        print(f"- {', '.join(paths)}: {reason}")


if __name__ == "__main__":
    main()
