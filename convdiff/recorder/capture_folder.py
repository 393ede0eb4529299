"""The folder of a capture: arrays written as they come, so that a large model's are never all in
memory, the manifest at the end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from convdiff.errors import ConvdiffError
from convdiff.manifest import MANIFEST_FILE, manifest_text

_UNSAFE = re.compile(r"[^\w.+-]+")
ROLES = {"input": "x", "kernel": "w", "bias": "b", "output": "y"}
# The file, or the first of them, of what the model itself gave.  No layer's has such a name.
GAVE = "output"


class NoValues(Exception):
    """Why something that was to be recorded is no array: it stands for values that are not there
    (yet).
    """


@dataclass(frozen=True)
class RecordedLayer:
    """One convolution that ran: arrays (anything numpy takes; bfloat16 as float32), and the
    manifest's keys that say what was asked.

    `name` is where the layer stands in its model ("encoder.0.conv"), `framework` the name of its
    saved output.
    """

    name: str
    framework: str
    input: Any
    kernel: Any
    output: Any
    bias: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)


class CaptureFolder:
    """See above.  Raises ConvdiffError for a folder that has a manifest already."""

    def __init__(self, folder: Path) -> None:
        if (folder / MANIFEST_FILE).exists():
            raise ConvdiffError(
                f"{folder / MANIFEST_FILE}: found a manifest already, expected none to overwrite; "
                "give another folder"
            )
        self._made = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.heading = ""
        self.notes: list[str] = []
        self._cases: list[dict[str, Any]] = []
        self._gave: list[str] = []
        self._files: set[str] = set()
        self._closed = False

    def add(self, layer: RecordedLayer) -> None:
        """Write the layer's arrays; nothing once it is closed."""
        if self._closed:
            return
        names = {case["name"] for case in self._cases}
        name = _unique(layer.name or "conv", names, "#")
        # File systems may not tell cases apart.
        stem = _unique(_UNSAFE.sub("_", name)[:120], self._files, "-", key=str.lower)
        self._files.add(stem.lower())
        files = {}
        for role, letter in ROLES.items():
            array = getattr(layer, role)
            if array is not None:
                files[role] = f"{stem}.{letter}.npy"
                np.save(self.folder / files[role], np.asarray(array))
        output = files.pop("output")
        self._cases.append(
            {"name": name, **files, "saved": {layer.framework: output}, **layer.options}
        )

    def gave(self, value: Any, as_array: Callable[[Any], Any]) -> None:
        """Write what the model itself gave: an array, or arrays in tuples, lists and mappings; what
        has no values is left out.
        """
        if isinstance(value, Mapping):
            value = list(value.values())
        if isinstance(value, list | tuple):
            for part in value:
                self.gave(part, as_array)
        elif hasattr(value, "shape") and not self._closed:
            with suppress(NoValues):
                array = np.asarray(as_array(value))
                file = (
                    f"{_unique(GAVE, {name.removesuffix('.npy') for name in self._gave}, '-')}.npy"
                )
                np.save(self.folder / file, array)
                self._gave.append(file)

    def skip(self, name: str, why: str) -> None:
        """Note a convolution that is not recorded, and why; once, however often it runs."""
        note = f"{name}: not recorded, {why}"
        if note not in self.notes:
            self.notes.append(note)

    @contextmanager
    def skipping(self, name: str) -> Iterator[None]:
        """Note a convolution whose arrays have no values: that is no reason to stop what the model
        does.
        """
        try:
            yield
        except NoValues as error:
            self.skip(name, str(error))

    def close(self) -> None:
        """Take no more, from what keeps a hold on the recording."""
        self._closed = True

    def finish(self) -> None:
        """Write the manifest.  ConvdiffError where nothing was recorded."""
        if not self._cases:
            if self.notes:
                more = f"; and {len(self.notes) - 3} more" if len(self.notes) > 3 else ""
                raise ConvdiffError(
                    "capture: no convolution was recorded, expected at least one "
                    f"({'; '.join(self.notes[:3])}{more})"
                )
            raise ConvdiffError(
                "capture: no convolution ran inside the `with`, expected at least one; call the "
                "model in it, eagerly"
            )
        heading = "\n".join(
            [
                self.heading or "Captured by convdiff.",
                *self.notes,
                f"Check it: convdiff check {MANIFEST_FILE}",
            ]
        )
        (self.folder / MANIFEST_FILE).write_text(
            manifest_text(
                self._cases, defaults={"backends": []}, heading=heading, outputs=self._gave
            ),
            encoding="utf-8",
        )

    def discard(self) -> None:
        """Delete what was written: arrays without a manifest are no use."""
        self.close()
        written = [
            file
            for case in self._cases
            for file in (*(case[role] for role in ROLES if role in case), *case["saved"].values())
        ]
        for file in (*written, *self._gave):
            (self.folder / file).unlink(missing_ok=True)
        if self._made:
            with suppress(OSError):  # there is something else in it
                self.folder.rmdir()

    def __len__(self) -> int:
        return len(self._cases)


def _unique(name: str, taken: set[str], sign: str, key: Callable[[str], str] = str) -> str:
    """The name, or with the first number from 2 on whose key is not taken."""
    number, made = 1, name
    while key(made) in taken:
        number += 1
        made = f"{name}{sign}{number}"
    return made
