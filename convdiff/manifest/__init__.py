"""Manifests: TOML files that list many cases for `convdiff check`.

    reader         a file to a `Manifest` of `Entry` records, every key checked
    keys           the keys that a case may have, and what each takes
    line_numbers   the line of a key in the file, for error messages
    writer         the text of a manifest, for capture, --write-manifest and the pytest plugin

A key has the name and the meaning of the option of `convdiff run`, with underscores for hyphens.
Files in a manifest are relative to it; in an `Entry` they are relative to the current folder.
Whatever is wrong with one case is kept in its `Entry` and becomes a row of trouble, so that the
other cases are checked all the same.
"""

from convdiff.manifest.reader import MANIFEST_FILE, Entry, Manifest, load
from convdiff.manifest.writer import manifest_text

__all__ = ["MANIFEST_FILE", "Entry", "Manifest", "load", "manifest_text"]
