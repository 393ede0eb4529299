"""All benchmarks, each a ratio measured in this one run: `make bench`, or `python benchmarks/run.py
NAME ...`.
"""

from __future__ import annotations

import sys
from pathlib import Path

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
    """Run those named, or all."""
    for name in sys.argv[1:] or BENCHMARKS:
        print(BENCHMARKS[name](), flush=True)


if __name__ == "__main__":
    main()
