"""`python -m convdiff`, and the console script."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

TROUBLE = 2
INTERRUPTED = 130


def main() -> None:
    """Run the command line; ends the process."""
    try:
        from convdiff.cli.main import main as run

        code = run()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception:
        # Exit code 1 would say that outputs differ.
        import traceback

        code = TROUBLE
        with suppress(OSError, ValueError):  # stderr may be what takes no more
            traceback.print_exc()
            print(
                "convdiff: a bug of convdiff's; please report it with what stands above",
                file=sys.stderr,
            )
    _let_go()
    if code == INTERRUPTED:
        # All is cleaned up, and an interpreter that met Ctrl-C in a C extension would end itself by
        # signal instead.
        os._exit(code)
    sys.exit(code)


def _let_go() -> None:
    """Flush stderr where it takes what is left; the interpreter, at its end, would take a failure
    for its own exit code.
    """
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


if __name__ == "__main__":
    main()
