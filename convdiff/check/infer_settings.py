"""The settings that give a saved output.

Common ones are tried in turn, then those that the diagnosis finds in the output.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from convdiff.api import diff
from convdiff.arrays import compute_dtype
from convdiff.errors import ConvdiffError
from convdiff.numerics.agreement import is_output_of
from convdiff.records import Edit, Stored
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
# Multiplications beyond which a candidate's output is not computed; its shape alone then decides.
MAX_PRODUCTS = 1 << 31

# Codes of the diagnosis that are a setting with another value, and the manifest's keys for it.
_SETTINGS_OF_EDIT: Mapping[str, Callable[[Edit], dict[str, Any]]] = {
    "wrong-padding": lambda edit: {"padding": [list(pair) for pair in edit["obtained"]]},
    "wrong-pad-mode": lambda edit: {"pad_mode": edit["obtained"]},
    "wrong-pad-value": lambda edit: {"pad_value": edit["obtained"]},
    "wrong-stride": lambda edit: {"stride": list(edit["obtained"])},
    "wrong-dilation": lambda edit: {"dilation": list(edit["obtained"])},
}


def infer_settings(
    arrays: Mapping[str, Stored], outputs: list[Stored]
) -> tuple[dict[str, Any], str | None]:
    """The simplest settings that give an output's values, else its shape; and a doubt, or None.

    `arrays` has "input", "kernel" and perhaps "bias".
    """
    if not outputs:
        try:
            _spec(arrays, {})
        except ConvdiffError as error:
            return {}, str(error)
        return {}, "no output is saved: these are the defaults"
    of_right_shape: dict[str, Any] | None = None
    # The first output is the source's, by its name; another may be the port that is wrong.
    for output in (stored.array for stored in outputs):
        for options in _candidates(arrays, output.shape):
            try:
                spec = _spec(arrays, options)
            except ConvdiffError:
                continue
            if output.shape == spec.shape("output"):
                settings = {**options, **_layouts(spec)}
                if _reproduces(spec, arrays, output):
                    return settings, None
                of_right_shape = of_right_shape or settings
    for stored, layouts in itertools.product(outputs, _framework_layouts(arrays)):
        diagnosed = _diagnosed_settings(arrays, stored, layouts)
        if diagnosed is not None:
            return diagnosed, None
    if of_right_shape:
        return of_right_shape, "none of the settings tried gives this output: these fit its shape"
    return {}, "no setting tried gives an output of this shape: say padding, stride and layouts"


def _diagnosed_settings(
    arrays: Mapping[str, Stored], output: Stored, options: dict[str, Any]
) -> dict[str, Any] | None:
    """The settings that the diagnosis finds in the output; None where it finds anything else."""
    array = {role: stored.array for role, stored in arrays.items()}
    try:
        findings = diff(
            array["input"],
            array["kernel"],
            output.array,
            bias=array.get("bias"),
            **{"padding": 0, **options},
        ).findings
        edits = findings[0].edits if findings else ()
        if not edits or any(edit["code"] not in _SETTINGS_OF_EDIT for edit in edits):
            return None
        for edit in edits:
            options = {**options, **_SETTINGS_OF_EDIT[edit["code"]](edit)}
        spec = _spec(arrays, options)
    except ConvdiffError:
        return None
    if spec.shape("output") != output.array.shape or not _reproduces(spec, arrays, output.array):
        return None
    return {**options, **_layouts(spec)}


def _candidates(
    arrays: Mapping[str, Stored], output_shape: tuple[int, ...]
) -> Iterator[dict[str, Any]]:
    """Settings to try, simplest first.

    By dilation, then by direct, flipped and transposed, then by the frameworks' layouts, then by
    stride and padding; grouped where the shapes imply it.
    """
    x, w = arrays["input"].array.shape, arrays["kernel"].array.shape
    for dilation, kind, layouts in itertools.product(
        DILATIONS, ({}, {"flip": True}, {"transposed": True}), _framework_layouts(arrays)
    ):
        transposed = "transposed" in kind
        if transposed and "kernel_layout" in layouts:
            swapped = {"OI": "IO", "IO": "OI"}
            letters = re.sub("[DHW]", "", layouts["kernel_layout"])
            if letters == "IM":
                continue
            layouts = {
                **layouts,
                "kernel_layout": layouts["kernel_layout"].replace(letters, swapped[letters]),
            }
        groups = _groups(layouts, x, w, output_shape if transposed else None)
        for stride, padding in itertools.product(STRIDES, PADDINGS):
            # Of a transposed convolution, a padding in numbers leaves the output padding open.
            open_end = transposed and isinstance(padding, int)
            for output_padding in range(stride if open_end else 1):
                yield {
                    **kind,
                    **({"stride": stride} if stride > 1 else {}),
                    **({"padding": padding} if padding != "valid" else {}),
                    **({"output_padding": output_padding} if output_padding else {}),
                    **({"dilation": dilation} if dilation > 1 else {}),
                    **({"groups": groups} if groups > 1 else {}),
                    **layouts,
                }


def _framework_layouts(arrays: Mapping[str, Stored]) -> list[dict[str, Any]]:
    """The layouts that frameworks use for arrays of so many axes; no layouts for unusual ones."""
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
    layouts: Mapping[str, Any],
    x: tuple[int, ...],
    w: tuple[int, ...],
    output_shape: tuple[int, ...] | None,
) -> int:
    """The number of groups that the channel counts imply; 1 where they imply none.

    `output_shape` is given for a transposed convolution, whose groups divide the output channels.
    """
    if not layouts or "M" in layouts["kernel_layout"]:
        return 1
    at = layouts["input_layout"].index("C")
    if output_shape is None:
        channels, per_group = x[at], w[layouts["kernel_layout"].index("I")]
    else:
        channels = output_shape[at] if len(output_shape) == len(x) else 1
        per_group = w[layouts["kernel_layout"].index("O")]
    return max(1, channels // per_group) if channels % per_group == 0 else 1


def _spec(arrays: Mapping[str, Stored], options: Mapping[str, Any]) -> ConvSpec:
    x, w = arrays["input"], arrays["kernel"]
    return read_spec(
        x.array.shape,
        w.array.shape,
        Settings.from_mapping(options),
        bias="bias" in arrays,
        dtype=compute_dtype(x, w, None, arrays.get("bias")),
    )[0]


def _layouts(spec: ConvSpec) -> dict[str, str]:
    return {"input_layout": spec.input_layout, "kernel_layout": spec.kernel_layout}


def _reproduces(spec: ConvSpec, arrays: Mapping[str, Stored], output: Array) -> bool:
    """Whether the convolution gives the output within rounding.

    False where it is too large to compute.
    """
    products = element_count(spec.shape("output")) * math.prod(spec.kernel_size)
    if products * spec.in_channels // spec.groups > MAX_PRODUCTS:
        return False
    bias = bias_vector(arrays["bias"].array, spec, "bias") if "bias" in arrays else None
    return is_output_of(spec, arrays["input"].array, arrays["kernel"].array, bias, output)
