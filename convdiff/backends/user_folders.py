"""Folders of the user's account in which convdiff keeps files between runs."""

from __future__ import annotations

from pathlib import Path


def data_folder() -> Path:
    """The folder of registrations (`registry`) and built environments (`install`)."""
    # Imported here because most commands never ask for it.
    from platformdirs import user_data_path

    return user_data_path("convdiff", appauthor=False)


def cache_folder() -> Path:
    """The folder of what can be computed again: Theano's compiled modules."""
    from platformdirs import user_cache_path  # here for the same reason

    return user_cache_path("convdiff", appauthor=False)
