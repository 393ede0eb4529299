"""The one exception a user can cause.

Everything that a user's files, options or code can get wrong is raised as `ConvdiffError`; the
command line prints its message on one line and exits with 2.  Any other exception is a bug of ours
and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ConvdiffError(Exception):
    """What is wrong, where, found against expected, and what to do: one line, made for the user."""


class SpecError(ConvdiffError):
    """Numbers that do not make a convolution.

    `invariant` is the number of the broken one in `convdiff.spec.conv_spec.ConvSpec`'s docstring,
    so that a test can name it.
    """

    def __init__(self, invariant: int, message: str) -> None:
        super().__init__(message)
        self.invariant = invariant


def one_of(what: str, found: object, choices: Iterable[str]) -> ConvdiffError:
    """An error for a word that is not among the sorted `choices`, with the nearest one if one is
    near.
    """
    known = sorted(choices)
    lower = {word.lower(): word for word in reversed(known)}
    near = difflib.get_close_matches(str(found).lower(), lower, n=1)
    hint = f"; did you mean {lower[near[0]]}?" if near else ""
    return ConvdiffError(f"{what}: found {found!r}, expected one of {', '.join(known)}{hint}")
