"""Entry point of `python -m convdiff` and of the console script."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from convdiff.exit_codes import INTERRUPTED, TROUBLE

ISSUES = "https://github.com/convdiff/convdiff/issues"


def main() -> None:
    """Run the command line, then end the process with its exit code."""
    try:
        from convdiff.cli.main import main as run

        code = run()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception:
        # Python's own exit code for this, 1, means here that outputs differ.
        import traceback

        code = TROUBLE
        with suppress(OSError, ValueError):  # stderr may be closed, or its disk full
            traceback.print_exc()
            print(
                "convdiff: this is a bug in convdiff; please report it with the traceback above: "
                f"{ISSUES}",
                file=sys.stderr,
            )
    _flush_stderr()
    if code == INTERRUPTED:
        # Everything is cleaned up by now.  After a Ctrl-C inside a C extension the interpreter may
        # end itself by the signal instead of with this exit code, so it gets no chance to.
        os._exit(code)
    sys.exit(code)


def _flush_stderr() -> None:
    """Flush stderr, or redirect it to nowhere where it takes no more.

    Otherwise the interpreter tries again at exit, fails, and replaces the exit code by its own.
    """
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


if __name__ == "__main__":
    main()
