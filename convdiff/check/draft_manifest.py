"""A manifest drafted from a folder of arrays, by their names and shapes, and by which settings make
the outputs come out.

Names: NAME.x, NAME.w, NAME.b, NAME.y (or input, kernel, bias, output and a few more), each a .npy
or a key of an .npz; what stands behind NAME.y is an output too: NAME.y.port.  What the arrays
settle is written as settled; what they do not, a comment says.
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from convdiff.arrays import read
from convdiff.check.infer_settings import settled
from convdiff.errors import ConvdiffError
from convdiff.manifest import MANIFEST_FILE, manifest_text

# Names that a sentence has room for.
SHOWN = 5
ROLES = {
    "input": ("x", "input", "in", "inputs"),
    "kernel": ("w", "kernel", "weight", "weights", "filter", "filters"),
    "bias": ("b", "bias"),
    "saved": ("y", "output", "out", "outputs"),
}
ROLE = {word: role for role, words in ROLES.items() for word in words}


@dataclass
class DraftedCase:
    """A case's arrays, by role; outputs by name."""

    files: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)


def draft(folder: str) -> str:
    """Write FOLDER/manifest.toml; a sentence that says what is in it.

    Raises ConvdiffError where there are no arrays of such names, or the file is there already.
    """
    where = Path(folder)
    if not where.is_dir():
        raise ConvdiffError(
            f"--write-manifest {folder}: found no such folder, expected one with NAME.x.npy, "
            "NAME.w.npy, NAME.y.npy"
        )
    path = where / MANIFEST_FILE
    if path.exists():
        raise ConvdiffError(
            f"{path}: found a manifest already, expected none to overwrite; move it away first"
        )
    named = dict(sorted(_found(where).items(), key=_natural))
    cases = {
        name: found for name, found in named.items() if {"input", "kernel"} <= set(found.files)
    }
    if not cases:
        raise ConvdiffError(
            f"--write-manifest {folder}: found no pair of NAME.x.npy and NAME.w.npy (or .npz with "
            "keys x and w), expected arrays so named"
        )
    drafted = [_drafted(name, found, where) for name, found in cases.items()]
    heading = (
        "Drafted by convdiff check --write-manifest; look through it, then: convdiff check "
        + MANIFEST_FILE
    )
    path.write_text(
        manifest_text(drafted, defaults={"backends": []}, heading=heading), encoding="utf-8"
    )
    unsure = sum("#" in case for case in drafted)
    doubt = f", {unsure} with a comment to look at" if unsure else ""
    lone = [name for name in named if name not in cases]
    left = (
        "; left out, as they lack an input or a kernel: "
        f"{', '.join(lone[:SHOWN])}{', ...' if len(lone) > SHOWN else ''}"
        if lone
        else ""
    )
    return f"{path}: {len(drafted)} case{'s' if len(drafted) > 1 else ''}{doubt}{left}"


def _natural(item: tuple[str, DraftedCase]) -> list[Any]:
    return [
        (0, int(part), "") if part.isdigit() else (1, 0, part)
        for part in re.split(r"(\d+)", item[0])
    ]


def _found(folder: Path) -> dict[str, DraftedCase]:
    cases: dict[str, DraftedCase] = {}
    for file in sorted(folder.iterdir()):
        if file.suffix == ".npy":
            _note(cases, file.stem, file.name, "")
        elif file.suffix == ".npz":
            for key in _keys(file):
                _note(cases, key, f"{file.name}:{key}", file.stem)
    return cases


def _keys(file: Path) -> list[str]:
    try:
        with np.load(file, allow_pickle=False) as archive:
            return list(archive.files)
    except (OSError, ValueError, zipfile.BadZipFile):
        return []


def _note(cases: dict[str, DraftedCase], stem: str, file: str, alone: str) -> None:
    """Take an array in, by the last part of its name that is a role's word; `alone` names the case
    of a key that is a bare role.
    """
    parts = stem.split(".")
    for at in range(len(parts) - 1, -1, -1):
        role = ROLE.get(parts[at].lower())
        name = ".".join(parts[:at]) or alone
        if role is None or not name or (role != "saved" and at != len(parts) - 1):
            continue
        found = cases.setdefault(name, DraftedCase())
        if role == "saved":
            found.outputs[".".join(parts[at + 1 :]) or "saved"] = file
        else:
            found.files.setdefault(role, file)
        return


def _drafted(name: str, found: DraftedCase, folder: Path) -> dict[str, Any]:
    case: dict[str, Any] = {
        "name": name,
        **{role: found.files[role] for role in ("input", "kernel", "bias") if role in found.files},
    }
    if found.outputs:
        case["saved"] = found.outputs
    try:
        arrays = {role: read(str(folder / file), role) for role, file in found.files.items()}
        outputs = [
            read(str(folder / file), "saved", any_shape=True) for file in found.outputs.values()
        ]
        settings, doubt = settled(arrays, outputs)
    except ConvdiffError as error:
        settings, doubt = {}, str(error)
    if settings.get("flip"):
        doubt = (
            "these values have the kernel flipped: if that is the fault that you look for, "
            "take `flip` out"
        )
    return {**case, **settings, **({"#": doubt} if doubt else {})}
