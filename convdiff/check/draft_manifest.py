"""A manifest drafted from a folder of arrays: roles from the names, settings from the outputs.

Names: NAME.x, NAME.w, NAME.b, NAME.y (or input, kernel, bias, output and a few more), each a .npy
or a key of an .npz.  A suffix marks a further output: NAME.y.port.  Settings that give the saved
output are written without comment; where the arrays leave doubt, a comment says so.
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from convdiff.arrays import read
from convdiff.check.infer_settings import infer_settings
from convdiff.errors import ConvdiffError
from convdiff.manifest import MANIFEST_FILE, manifest_text

# Names of incomplete cases that the closing sentence lists.
MAX_LISTED_NAMES = 5
ROLE_NAMES = {
    "input": ("x", "input", "in", "inputs"),
    "kernel": ("w", "kernel", "weight", "weights", "filter", "filters"),
    "bias": ("b", "bias"),
    "saved": ("y", "output", "out", "outputs"),
}
ROLE_OF_NAME = {name: role for role, names in ROLE_NAMES.items() for name in names}


@dataclass
class FolderCase:
    """The arrays of one case in the folder: input, kernel and bias by role, outputs by name."""

    files: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether there is an input and a kernel."""
        return {"input", "kernel"} <= set(self.files)


def draft(folder: str) -> str:
    """Write FOLDER/manifest.toml; a sentence for the user on what is in it.

    ConvdiffError where the folder has no arrays of such names, or has a manifest already.
    """
    root = Path(folder)
    if not root.is_dir():
        raise ConvdiffError(
            f"--write-manifest {folder}: found no such folder, expected one with NAME.x.npy, "
            "NAME.w.npy, NAME.y.npy"
        )
    path = root / MANIFEST_FILE
    if path.exists():
        raise ConvdiffError(
            f"{path}: found a manifest already, expected none to overwrite; move it away first"
        )
    folder_cases = dict(sorted(_folder_cases(root).items(), key=_numeric_order))
    manifest_cases = [
        _manifest_case(name, case, root) for name, case in folder_cases.items() if case.complete
    ]
    if not manifest_cases:
        raise ConvdiffError(
            f"--write-manifest {folder}: found no pair of NAME.x.npy and NAME.w.npy (or .npz with "
            "keys x and w), expected arrays so named"
        )
    heading = (
        "Drafted by convdiff check --write-manifest; look through it, then: convdiff check "
        + MANIFEST_FILE
    )
    path.write_text(
        manifest_text(manifest_cases, defaults={"backends": []}, heading=heading), encoding="utf-8"
    )
    incomplete = [name for name, case in folder_cases.items() if not case.complete]
    return f"{path}: {_summary(manifest_cases, incomplete)}"


def _summary(manifest_cases: list[dict[str, Any]], incomplete: list[str]) -> str:
    count, commented = len(manifest_cases), sum("#" in case for case in manifest_cases)
    doubt = f", {commented} with a comment to look at" if commented else ""
    left_out = ""
    if incomplete:
        more = ", ..." if len(incomplete) > MAX_LISTED_NAMES else ""
        names = ", ".join(incomplete[:MAX_LISTED_NAMES]) + more
        left_out = f"; left out, as they lack an input or a kernel: {names}"
    return f"{count} case{'s' if count > 1 else ''}{doubt}{left_out}"


def _numeric_order(item: tuple[str, FolderCase]) -> list[Any]:
    """A sort key that puts conv9 before conv10."""
    return [
        (0, int(part), "") if part.isdigit() else (1, 0, part)
        for part in re.split(r"(\d+)", item[0])
    ]


def _folder_cases(folder: Path) -> dict[str, FolderCase]:
    """The folder's cases by name, complete or not."""
    cases: dict[str, FolderCase] = {}
    for file in sorted(folder.iterdir()):
        if file.suffix == ".npy":
            _add_array(cases, file.stem, file.name, "")
        elif file.suffix == ".npz":
            for key in _npz_keys(file):
                _add_array(cases, key, f"{file.name}:{key}", file.stem)
    return cases


def _npz_keys(file: Path) -> list[str]:
    try:
        with np.load(file, allow_pickle=False) as archive:
            return list(archive.files)
    except (OSError, ValueError, zipfile.BadZipFile):
        return []


def _add_array(cases: dict[str, FolderCase], stem: str, file: str, default_name: str) -> None:
    """Add an array to its case in `cases`; one whose name has no role is left out.

    The last part of `stem` that names a role ends the case's name; `default_name` is the case's
    name where nothing stands before the role.
    """
    parts = stem.split(".")
    for at in reversed(range(len(parts))):
        role = ROLE_OF_NAME.get(parts[at].lower())
        name = ".".join(parts[:at]) or default_name
        if role is None or not name or (role != "saved" and at != len(parts) - 1):
            continue
        case = cases.setdefault(name, FolderCase())
        if role == "saved":
            case.outputs[".".join(parts[at + 1 :]) or "saved"] = file
        else:
            case.files.setdefault(role, file)
        return


def _manifest_case(name: str, case: FolderCase, folder: Path) -> dict[str, Any]:
    """The case as a manifest's table; its key "#" is the comment."""
    table: dict[str, Any] = {
        "name": name,
        **{role: case.files[role] for role in ("input", "kernel", "bias") if role in case.files},
    }
    if case.outputs:
        table["saved"] = case.outputs
    try:
        arrays = {role: read(str(folder / file), role) for role, file in case.files.items()}
        outputs = [
            read(str(folder / file), "saved", any_shape=True) for file in case.outputs.values()
        ]
        settings, doubt = infer_settings(arrays, outputs)
    except ConvdiffError as error:
        settings, doubt = {}, str(error)
    if settings.get("flip"):
        doubt = (
            "these values have the kernel flipped: if that is the fault that you look for, "
            "take `flip` out"
        )
    return {**table, **settings, **({"#": doubt} if doubt else {})}
