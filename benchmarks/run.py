"""All benchmarks, or those named: `make bench`, or `python benchmarks/run.py NAME ...`."""

from __future__ import annotations

import sys
from pathlib import Path

# Run by path, Python looks for modules in this file's folder only.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import cold_run, diagnosis, memory, port, reference, start_up, suite

BENCHMARKS = {
    "start_up": start_up.measure,
    "cold_run": cold_run.measure,
    "reference": reference.measure,
    "memory": memory.measure,
    "diagnosis": diagnosis.measure,
    "suite": suite.measure,
    "port": port.measure,
}


def main() -> None:
    """Run the benchmarks that are named on the command line, or all."""
    names = sys.argv[1:] or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        sys.exit(f"found {unknown[0]!r}, expected one of {', '.join(BENCHMARKS)}")
    for name in names:
        print(BENCHMARKS[name](), flush=True)


if __name__ == "__main__":
    main()
