"""The folder of a capture: arrays written as they come, and the manifest at the end."""

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

_UNSAFE_IN_FILE_NAMES = re.compile(r"[^\w.+-]+")
# The letter that the file of each array has in its name.
FILE_LETTERS = {"input": "x", "kernel": "w", "bias": "b", "output": "y"}
# The name of the file with the model's own output, or the first of several; no layer's is such.
OUTPUT_STEM = "output"


class ValuesUnavailable(Exception):
    """A tensor to be recorded has no values, because it is traced, symbolic or on a meta device.

    The message is a clause that says why.
    """


@dataclass(frozen=True)
class RecordedLayer:
    """One convolution that ran: its arrays, and its settings as the keys of a manifest.

    The arrays are anything that numpy accepts; bfloat16 is passed as raw 2-byte items ("V2") or as
    float32. `name` is the layer's place in its model ("encoder.0.conv"), `framework` the name of
    its saved output.
    """

    name: str
    framework: str
    input: Any
    kernel: Any
    output: Any
    bias: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)


class CaptureFolder:
    """Writes the layers of one capture, the model's outputs, and their manifest.

    `heading` and `notes` become comments at the top of the manifest. The constructor raises
    ConvdiffError for a folder that already has a manifest.
    """

    def __init__(self, folder: Path) -> None:
        if (folder / MANIFEST_FILE).exists():
            raise ConvdiffError(
                f"{folder / MANIFEST_FILE}: found a manifest already, expected none to overwrite; "
                "give another folder"
            )
        self._is_new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.heading = ""
        self.notes: list[str] = []
        self._cases: list[dict[str, Any]] = []
        self._output_files: list[str] = []
        self._file_stems: set[str] = set()
        self._closed = False

    def add(self, layer: RecordedLayer) -> None:
        """Write the layer's arrays; does nothing once the folder is closed."""
        if self._closed:
            return
        name = _unique(layer.name or "conv", {case["name"] for case in self._cases}, "#")
        # Compared in lower case, as file systems may not tell upper case from it.
        stem = _UNSAFE_IN_FILE_NAMES.sub("_", name)[:120]
        stem = _unique(stem, self._file_stems, "-", key=str.lower)
        self._file_stems.add(stem.lower())
        files = {}
        for role, letter in FILE_LETTERS.items():
            array = getattr(layer, role)
            if array is not None:
                files[role] = f"{stem}.{letter}.npy"
                np.save(self.folder / files[role], np.asarray(array))
        output = files.pop("output")
        self._cases.append(
            {"name": name, **files, "saved": {layer.framework: output}, **layer.options}
        )

    def add_outputs(self, outputs: Any, as_array: Callable[[Any], Any]) -> None:
        """Write the model's own outputs: an array, or arrays in tuples, lists and mappings.

        Leaves out tensors without values and everything that is no array.
        """
        if isinstance(outputs, Mapping):
            outputs = list(outputs.values())
        if isinstance(outputs, list | tuple):
            for output in outputs:
                self.add_outputs(output, as_array)
        elif hasattr(outputs, "shape") and not self._closed:
            with suppress(ValuesUnavailable):
                array = np.asarray(as_array(outputs))
                stems = {name.removesuffix(".npy") for name in self._output_files}
                file = f"{_unique(OUTPUT_STEM, stems, '-')}.npy"
                np.save(self.folder / file, array)
                self._output_files.append(file)

    def skip(self, name: str, reason: str) -> None:
        """Notes that a convolution is not recorded; once, however often it runs."""
        note = f"{name}: not recorded, {reason}"
        if note not in self.notes:
            self.notes.append(note)

    @contextmanager
    def skip_without_values(self, name: str) -> Iterator[None]:
        """Note a convolution whose tensors have no values, so that the model can go on."""
        try:
            yield
        except ValuesUnavailable as error:
            self.skip(name, str(error))

    def close(self) -> None:
        """Ignore what is added from now on, by callbacks that outlive the capture."""
        self._closed = True

    def finish(self) -> None:
        """Write the manifest. Raises ConvdiffError where nothing was recorded."""
        if not self._cases:
            raise ConvdiffError(self._nothing_recorded())
        heading = "\n".join(
            [
                self.heading or "Captured by convdiff.",
                *self.notes,
                f"Check it: convdiff check {MANIFEST_FILE}",
            ]
        )
        manifest = manifest_text(
            self._cases, defaults={"backends": []}, heading=heading, outputs=self._output_files
        )
        (self.folder / MANIFEST_FILE).write_text(manifest, encoding="utf-8")

    def _nothing_recorded(self) -> str:
        if not self.notes:
            return (
                "capture: no convolution ran inside the `with` block, expected at least one; call "
                "the model in it, eagerly"
            )
        more = f"; and {len(self.notes) - 3} more" if len(self.notes) > 3 else ""
        return (
            "capture: no convolution was recorded, expected at least one "
            f"({'; '.join(self.notes[:3])}{more})"
        )

    def discard(self) -> None:
        """Deletes all files written so far, since arrays are of no use without a manifest."""
        self.close()
        files = list(self._output_files)
        for case in self._cases:
            files += [case[role] for role in FILE_LETTERS if role in case]
            files += case["saved"].values()
        for file in files:
            (self.folder / file).unlink(missing_ok=True)
        if self._is_new:
            with suppress(OSError):  # others have put something into it
                self.folder.rmdir()

    def __len__(self) -> int:
        return len(self._cases)


def _unique(name: str, taken: set[str], sign: str, key: Callable[[str], str] = str) -> str:
    """`name`, or if its key is taken, `name` with the first number from 2 on whose key is free."""
    number, unique = 1, name
    while key(unique) in taken:
        number += 1
        unique = f"{name}{sign}{number}"
    return unique
