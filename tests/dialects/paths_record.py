"""Runs the table of specs through every execution path of this machine.

Prints the rows of the table of CONTRIBUTING.md:

    python -m tests.dialects.paths_record
"""

from __future__ import annotations

import platform
from collections import Counter
from dataclasses import replace
from pathlib import Path

from convdiff.backends.environments import find_environment
from convdiff.backends.fleet import Fleet
from convdiff.backends.supervisor import Hello
from convdiff.dialects import DIALECTS, Unsupported, write
from convdiff.execution_paths import ExecutionPath, built_in_paths, unmet_need
from tests.backends.support import PATIENCE
from tests.dialects.test_execution_paths import SLOW, fault, full_name
from tests.specs import SPECS


def processor() -> str:
    """The processor's name, as Linux reports it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(": ")[2] for line in lines if line.startswith("model name")),
        platform.machine(),
    )


def counted(path: ExecutionPath) -> tuple[Hello | str, str]:
    """The worker's greeting or why the path cannot be run, and how many specs were exact."""
    found = find_environment(path.backend)
    if not found.usable:
        return str(found.reason), ""
    environment = replace(found, variables=path.variables)
    with Fleet([environment], timeout=PATIENCE) as fleet:
        hello = fleet.wait()[environment.process]
        reason = hello if isinstance(hello, str) else unmet_need(path, hello.missing)
        if isinstance(hello, str) or reason is not None:
            return str(reason), ""
        counts: Counter[str] = Counter()
        for spec in list(SPECS.values())[:: 8 if full_name(path) in SLOW else 1]:
            try:
                write(path.backend, spec, path)
            except Unsupported:
                counts["unsupported"] += 1
                continue
            counts[
                "wrong"
                if fault(fleet, environment.process, path, spec)
                else "exact"
                if path.exact
                else "within rounding"
            ] += 1
    return hello, ", ".join(f"{count} {word}" for word, count in sorted(counts.items()))


def main() -> None:
    print(f"{processor()}, {platform.system()}\n")
    print("| path | version | Python | device | the table's specs |\n|---|---|---|---|---|")
    not_run: dict[str, list[str]] = {}
    for backend in DIALECTS:
        for path in built_in_paths(backend):
            hello, counts = counted(path)
            if isinstance(hello, str):
                not_run.setdefault(hello, []).append(full_name(path))
            else:
                print(
                    f"| {full_name(path)} | {hello.version} | {hello.python} | "
                    f"{hello.devices[0]} | {counts} |",
                    flush=True,
                )
    print("\nNot run:\n")
    for reason, paths in not_run.items():
        print(f"- {', '.join(paths)}: {reason}")


if __name__ == "__main__":
    main()
