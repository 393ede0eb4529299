"""Why the answers to one shape guess are not understood as a convolution."""

from __future__ import annotations


class NotUnderstood(Exception):
    """The answers fit no convolution that `Settings` can express.

    The message is one clause that says why. Other shapes may still show one.
    """


class NotUnderstoodInAnyShape(NotUnderstood):
    """As `NotUnderstood`, for a reason that holds whatever the shapes are."""
