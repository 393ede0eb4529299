"""`python -m convdiff`, and the console script."""

from __future__ import annotations

import os
import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command line; ends the process."""
    try:
        from convdiff.cli.main import main as run

        code = run()
    except KeyboardInterrupt:
        code = INTERRUPTED
    if code == INTERRUPTED:
        # All is cleaned up, and an interpreter that met Ctrl-C in a C extension would end itself by signal instead.
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
