"""Manifests: many cases in a TOML file, checked key by key before anything runs, and written by
whoever has the arrays.

`loading` reads one into entries, `keys` is the table of what may stand in it, `lines` finds a key's
line for an error, `writing` makes the text of one.
"""

from convdiff.manifest.reader import FILE, Entry, Manifest, load
from convdiff.manifest.writer import text

__all__ = ["FILE", "Entry", "Manifest", "load", "text"]
