"""convdiff finds out why two convolutions that should be the same are not.

>>> import convdiff
>>> result = convdiff.diff(input, kernel, obtained, stride=2, padding="same")  # doctest: +SKIP
>>> result.verdict, result.findings  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convdiff.api import Result, assert_agrees, diff
    from convdiff.recorder import capture

__version__ = "0.1.0"
__all__ = ["Result", "__version__", "assert_agrees", "capture", "diff"]


def __getattr__(name: str) -> Any:
    # Imported on first use: `convdiff --help` imports this package but needs no numpy.
    if name in ("Result", "assert_agrees", "diff"):
        from convdiff import api

        return getattr(api, name)
    if name == "capture":
        from convdiff.recorder import capture

        return capture
    raise AttributeError(f"module 'convdiff' has no attribute {name!r}")
