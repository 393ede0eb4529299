"""The exception for everything a user's files, options or code can get wrong.

The command line prints the message of a `ConvdiffError` on one line and exits with 2.  Any other
exception is a bug in convdiff and keeps its traceback.

A message opens with its subject (an option, a manifest key, a file), then says what was found, what
was expected, and what to do about it:

    --padding: found 'smae', expected one of causal, full, half, ...; did you mean same?
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ConvdiffError(Exception):
    """An error that the user can mend: one line that says what is wrong and what to do.

    With `subject` (the option, key or file at fault) the text is "subject: message"; callers that
    know the subject by another name read `subject` and `message` instead of the text.
    """

    def __init__(self, message: str, *, subject: str | None = None) -> None:
        super().__init__(message if subject is None else f"{subject}: {message}")
        self.message, self.subject = message, subject


class SpecError(ConvdiffError):
    """Numbers that do not describe a convolution.

    `invariant` is the number of the violated invariant in the docstring of
    `convdiff.spec.conv_spec.ConvSpec`, for tests to refer to.
    """

    def __init__(self, invariant: int, message: str) -> None:
        super().__init__(message)
        self.invariant = invariant


def one_of(subject: str, found: object, choices: Iterable[str]) -> ConvdiffError:
    """The error for a word that is not among `choices`; suggests the closest choice, if any."""
    known = sorted(choices)
    by_lower_case = {word.lower(): word for word in reversed(known)}
    near = difflib.get_close_matches(str(found).lower(), by_lower_case, n=1)
    hint = f"; did you mean {by_lower_case[near[0]]}?" if near else ""
    return ConvdiffError(
        f"found {found!r}, expected one of {', '.join(known)}{hint}", subject=subject
    )
