"""A manifest drafted from a folder of arrays, by their names and shapes, and by which settings make the outputs come out.

Names: NAME.x, NAME.w, NAME.b, NAME.y (or input, kernel, bias, output and a few more), each a .npy or a key of an .npz; what stands
behind NAME.y is an output too: NAME.y.port.  What the arrays settle is written as settled; what they do not, a comment says.
"""

from __future__ import annotations

import itertools
import math
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from convdiff.arrays import compute_dtype, read
from convdiff.case import Stored
from convdiff.compare import Rounding
from convdiff.errors import ConvdiffError
from convdiff.layout import Array, total
from convdiff.manifest import FILE, text
from convdiff.normal import normal_output
from convdiff.reading import bias_vector, read_spec
from convdiff.reference import truth
from convdiff.settings import Settings
from convdiff.spec import ConvSpec

ROLES = {
    "input": ("x", "input", "in", "inputs"), "kernel": ("w", "kernel", "weight", "weights", "filter", "filters"), "bias": ("b", "bias"),
    "saved": ("y", "output", "out", "outputs"),
}
ROLE = {word: role for role, words in ROLES.items() for word in words}
PADDINGS: tuple[Any, ...] = ("same", "valid", 0, 1, 2, 3, "half", "same_lower", "full", "causal", 4, 5)
STRIDES = (1, 2, 3, 4)
DILATIONS = (1, 2, 3, 4)
# Beyond so many products a settings' output is not computed to see whether it fits: the shapes alone decide.
MOST_PRODUCTS = 1 << 31


@dataclass
class Found:
    """A case's arrays, by role; outputs by name."""

    files: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)


def draft(folder: str) -> str:
    """Write FOLDER/manifest.toml; a sentence that says what is in it.

    Raises ConvdiffError where there are no arrays of such names, or the file is there already.
    """
    where = Path(folder)
    if not where.is_dir():
        raise ConvdiffError(f"--write-manifest {folder}: found no such folder, expected one with NAME.x.npy, NAME.w.npy, NAME.y.npy")
    path = where / FILE
    if path.exists():
        raise ConvdiffError(f"{path}: found a manifest already, expected none to overwrite; move it away first")
    cases = {name: found for name, found in sorted(_found(where).items(), key=_natural) if {"input", "kernel"} <= set(found.files)}
    if not cases:
        raise ConvdiffError(
            f"--write-manifest {folder}: found no pair of NAME.x.npy and NAME.w.npy (or .npz with keys x and w), expected arrays so named"
        )
    drafted = [_drafted(name, found, where) for name, found in cases.items()]
    heading = "Drafted by convdiff check --write-manifest; look through it, then: convdiff check " + FILE
    path.write_text(text(drafted, defaults={"backends": []}, heading=heading), encoding="utf-8")
    unsure = sum("#" in case for case in drafted)
    doubt = f", {unsure} with a comment to look at" if unsure else ""
    return f"{path}: {len(drafted)} case{'s' if len(drafted) > 1 else ''}{doubt}"


def _natural(item: tuple[str, Found]) -> list[Any]:
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", item[0])]


def _found(folder: Path) -> dict[str, Found]:
    cases: dict[str, Found] = {}
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


def _note(cases: dict[str, Found], stem: str, file: str, alone: str) -> None:
    """Take an array in, by the last part of its name that is a role's word; `alone` names the case of a key that is a bare role."""
    parts = stem.split(".")
    for at in range(len(parts) - 1, -1, -1):
        role = ROLE.get(parts[at].lower())
        name = ".".join(parts[:at]) or alone
        if role is None or not name or (role != "saved" and at != len(parts) - 1):
            continue
        found = cases.setdefault(name, Found())
        if role == "saved":
            found.outputs[".".join(parts[at + 1 :]) or "saved"] = file
        else:
            found.files.setdefault(role, file)
        return


def _drafted(name: str, found: Found, folder: Path) -> dict[str, Any]:
    case: dict[str, Any] = {"name": name, **{role: found.files[role] for role in ("input", "kernel", "bias") if role in found.files}}
    if found.outputs:
        case["saved"] = found.outputs
    try:
        arrays = {role: read(str(folder / file), role) for role, file in found.files.items()}
        outputs = [read(str(folder / file), "saved", any_shape=True) for file in found.outputs.values()]
        settings, doubt = _settled(arrays, outputs)
    except ConvdiffError as error:
        settings, doubt = {}, str(error)
    return {**case, **settings, **({"#": doubt} if doubt else {})}


def _settled(arrays: Mapping[str, Stored], outputs: list[Stored]) -> tuple[dict[str, Any], str | None]:
    """The simplest settings that give an output's values, else its shape; and what is doubtful about them."""
    if not outputs:
        try:
            _spec(arrays, {})
        except ConvdiffError as error:
            return {}, str(error)
        return {}, "no output is saved: these are the defaults"
    fitting: dict[str, Any] | None = None
    # The first output is the source's, by its name; another may be the port that is wrong.
    for output in (stored.array for stored in outputs):
        for options in _candidates(arrays, output.shape):
            try:
                spec = _spec(arrays, options)
            except ConvdiffError:
                continue
            if output.shape == spec.shape("output"):
                settings = {**options, **_layouts(spec)}
                if _gives(spec, arrays, output):
                    return settings, None
                fitting = fitting or settings
    if fitting:
        return fitting, "none of the settings tried gives this output: these fit its shape"
    return {}, "no setting tried gives an output of this shape: say padding, stride and layouts"


def _candidates(arrays: Mapping[str, Stored], made: tuple[int, ...]) -> Iterator[dict[str, Any]]:
    """Settings, simplest first: frameworks' readings, then strides and paddings, grouped where the shapes say so, then transposed ones,
    dilated ones last.  `made` is the output's shape.
    """
    x, w = arrays["input"].array.shape, arrays["kernel"].array.shape
    readings: list[dict[str, Any]] = [{}]
    if len(x) == len(w) and len(x) in (3, 4, 5):
        space = {3: "W", 4: "HW", 5: "DHW"}[len(x)]
        first, last = f"NC{space}", f"N{space}C"
        readings = [{"input_layout": first, "kernel_layout": f"OI{space}"}, {"input_layout": last, "kernel_layout": f"{space}IO"}]
        readings += [{"input_layout": last, "kernel_layout": f"{space}IM"}]
    for dilation, transposed, reading in itertools.product(DILATIONS, (False, True), readings):
        if transposed and "kernel_layout" in reading:
            swapped = {"OI": "IO", "IO": "OI"}
            letters = re.sub("[DHW]", "", reading["kernel_layout"])
            if letters == "IM":
                continue
            reading = {**reading, "kernel_layout": reading["kernel_layout"].replace(letters, swapped[letters])}
        groups = _groups(reading, x, w, made if transposed else None)
        for stride, padding in itertools.product(STRIDES, PADDINGS):
            # A transposed convolution's size leaves open what was added at its end; words and "valid" settle it.
            for added in range(stride if transposed and isinstance(padding, int) else 1):
                yield {
                    **({"transposed": True} if transposed else {}), **({"stride": stride} if stride > 1 else {}),
                    **({"padding": padding} if padding != "valid" else {}), **({"output_padding": added} if added else {}),
                    **({"dilation": dilation} if dilation > 1 else {}), **({"groups": groups} if groups > 1 else {}), **reading,
                }


def _groups(reading: Mapping[str, Any], x: tuple[int, ...], w: tuple[int, ...], made: tuple[int, ...] | None) -> int:
    """The groups that the channel counts say, of a transposed convolution those of its output's shape `made`; 1 where they say none."""
    if not reading or "M" in reading["kernel_layout"]:
        return 1
    at = reading["input_layout"].index("C")
    if made is None:
        whole, part = x[at], w[reading["kernel_layout"].index("I")]
    else:
        whole, part = made[at] if len(made) == len(x) else 1, w[reading["kernel_layout"].index("O")]
    return max(1, whole // part) if whole % part == 0 else 1


def _spec(arrays: Mapping[str, Stored], options: Mapping[str, Any]) -> ConvSpec:
    x, w = arrays["input"], arrays["kernel"]
    dtype = compute_dtype(x, w, None)
    return read_spec(x.array.shape, w.array.shape, Settings.from_mapping(options), bias="bias" in arrays, dtype=dtype)[0]


def _layouts(spec: ConvSpec) -> dict[str, str]:
    return {"input_layout": spec.input_layout, "kernel_layout": spec.kernel_layout}


def _gives(spec: ConvSpec, arrays: Mapping[str, Stored], output: Array) -> bool:
    """Whether rounding explains the output under these settings, by one batch item."""
    if total(spec.shape("output")) * math.prod(spec.kernel_size) * spec.in_channels // spec.groups > MOST_PRODUCTS:
        return False
    bias = bias_vector(arrays["bias"].array, spec, "bias") if "bias" in arrays else None
    with np.errstate(all="ignore"):
        made = truth(spec, arrays["input"].array, arrays["kernel"].array, bias)
        obtained = normal_output(spec, output)
        rounding = Rounding(spec.dtype, obtained.dtype.name if obtained.dtype.kind == "f" else "float64", spec.terms)
        return rounding.explains(obtained, made.output, made.scale)
