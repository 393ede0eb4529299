"""Which settings make an output from its arrays: the usual ones tried in turn, then what the
diagnosis says of it.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from convdiff.api import diff
from convdiff.arrays import compute_dtype
from convdiff.errors import ConvdiffError
from convdiff.numerics.arithmetic import rounding_as_asked, stored_dtype
from convdiff.numerics.reference import compute_reference
from convdiff.records import Edit, Stored
from convdiff.spec.canonical import normal_output
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.infer_spec import bias_vector, read_spec
from convdiff.spec.layout import Array, element_count
from convdiff.spec.settings import Settings

PADDINGS: tuple[Any, ...] = (
    "same",
    "valid",
    0,
    1,
    2,
    3,
    "half",
    "same_lower",
    "full",
    "causal",
    4,
    5,
)
STRIDES = (1, 2, 3, 4)
DILATIONS = (1, 2, 3, 4)
# Beyond so many products a settings' output is not computed to see whether it fits: the shapes
# alone decide.
MOST_PRODUCTS = 1 << 31


def settled(
    arrays: Mapping[str, Stored], outputs: list[Stored]
) -> tuple[dict[str, Any], str | None]:
    """The simplest settings that give an output's values, else its shape; and what is doubtful
    about them.
    """
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
    for stored, reading in itertools.product(outputs, _readings(arrays)):
        found = _diagnosed(arrays, stored, reading)
        if found is not None:
            return found, None
    if fitting:
        return fitting, "none of the settings tried gives this output: these fit its shape"
    return {}, "no setting tried gives an output of this shape: say padding, stride and layouts"


# Findings that are a setting of another value, as a manifest's key has it.
_SETTINGS: Mapping[str, Callable[[Edit], dict[str, Any]]] = {
    "wrong-padding": lambda edit: {"padding": [list(pair) for pair in edit["obtained"]]},
    "wrong-pad-mode": lambda edit: {"pad_mode": edit["obtained"]},
    "wrong-stride": lambda edit: {"stride": list(edit["obtained"])},
    "wrong-dilation": lambda edit: {"dilation": list(edit["obtained"])},
}


def _diagnosed(
    arrays: Mapping[str, Stored], output: Stored, options: dict[str, Any]
) -> dict[str, Any] | None:
    """The settings that the diagnosis finds in the output, where it finds nothing else; None where
    it does.
    """
    array = {role: stored.array for role, stored in arrays.items()}
    try:
        found = diff(
            array["input"], array["kernel"], output.array, bias=array.get("bias"), **options
        ).findings
        edits = found[0].edits if found else ()
        if not edits or any(edit["code"] not in _SETTINGS for edit in edits):
            return None
        for edit in edits:
            options = {**options, **_SETTINGS[edit["code"]](edit)}
        spec = _spec(arrays, options)
    except ConvdiffError:
        return None
    settings = {**options, **_layouts(spec)}
    return (
        settings
        if spec.shape("output") == output.array.shape and _gives(spec, arrays, output.array)
        else None
    )


def _candidates(arrays: Mapping[str, Stored], made: tuple[int, ...]) -> Iterator[dict[str, Any]]:
    """Settings, simplest first: frameworks' readings, then strides and paddings, grouped where the
    shapes say so, then flipped ones, transposed ones, dilated ones last.  `made` is the output's
    shape.
    """
    x, w = arrays["input"].array.shape, arrays["kernel"].array.shape
    for dilation, kind, reading in itertools.product(
        DILATIONS, ({}, {"flip": True}, {"transposed": True}), _readings(arrays)
    ):
        transposed = "transposed" in kind
        if transposed and "kernel_layout" in reading:
            swapped = {"OI": "IO", "IO": "OI"}
            letters = re.sub("[DHW]", "", reading["kernel_layout"])
            if letters == "IM":
                continue
            reading = {
                **reading,
                "kernel_layout": reading["kernel_layout"].replace(letters, swapped[letters]),
            }
        groups = _groups(reading, x, w, made if transposed else None)
        for stride, padding in itertools.product(STRIDES, PADDINGS):
            # A transposed convolution's size leaves open what was added at its end; words and
            # "valid" settle it.
            for added in range(stride if transposed and isinstance(padding, int) else 1):
                yield {
                    **kind,
                    **({"stride": stride} if stride > 1 else {}),
                    **({"padding": padding} if padding != "valid" else {}),
                    **({"output_padding": added} if added else {}),
                    **({"dilation": dilation} if dilation > 1 else {}),
                    **({"groups": groups} if groups > 1 else {}),
                    **reading,
                }


def _readings(arrays: Mapping[str, Stored]) -> list[dict[str, Any]]:
    """The layouts that frameworks have for arrays of so many axes."""
    x, w = arrays["input"].array.shape, arrays["kernel"].array.shape
    if len(x) != len(w) or len(x) not in (3, 4, 5):
        return [{}]
    space = {3: "W", 4: "HW", 5: "DHW"}[len(x)]
    first, last = f"NC{space}", f"N{space}C"
    return [
        {"input_layout": first, "kernel_layout": f"OI{space}"},
        {"input_layout": last, "kernel_layout": f"{space}IO"},
        {"input_layout": last, "kernel_layout": f"{space}IM"},
    ]


def _groups(
    reading: Mapping[str, Any], x: tuple[int, ...], w: tuple[int, ...], made: tuple[int, ...] | None
) -> int:
    """The groups that the channel counts say, of a transposed convolution those of its output's
    shape `made`; 1 where they say none.
    """
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
    return read_spec(
        x.array.shape,
        w.array.shape,
        Settings.from_mapping(options),
        bias="bias" in arrays,
        dtype=dtype,
    )[0]


def _layouts(spec: ConvSpec) -> dict[str, str]:
    return {"input_layout": spec.input_layout, "kernel_layout": spec.kernel_layout}


def _gives(spec: ConvSpec, arrays: Mapping[str, Stored], output: Array) -> bool:
    """Whether rounding explains the output under these settings, by one batch item."""
    if (
        element_count(spec.shape("output"))
        * math.prod(spec.kernel_size)
        * spec.in_channels
        // spec.groups
        > MOST_PRODUCTS
    ):
        return False
    bias = bias_vector(arrays["bias"].array, spec, "bias") if "bias" in arrays else None
    with np.errstate(all="ignore"):
        made = compute_reference(spec, arrays["input"].array, arrays["kernel"].array, bias)
        obtained = normal_output(spec, output)
        rounding = rounding_as_asked(spec, stored_dtype(obtained))
        return rounding.explains_all(obtained, made.output, made.scale)
