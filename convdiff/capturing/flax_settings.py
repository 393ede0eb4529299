"""What a Flax convolution, linen's or nnx's, asks for, as a manifest's keys.  Source: flax.linen.linear, flax.nnx.nn.linear."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from convdiff.capturing.recording import Layer, Recording
from convdiff.errors import ConvdiffError

# Paddings that Flax carries out itself: the larger half at the end, then a valid convolution.
WRAPPED = {"CIRCULAR": "wrap", "REFLECT": "reflect"}


def record(name: str, module: Any, transposed: bool, x: Any, kernel: Any, bias: Any, output: Any, recording: Recording) -> None:
    """Give the recording a layer, or the reason why this one is none."""
    arrays = [_array(array) for array in (x, kernel, output)]
    mask = getattr(module, "mask", None)
    if mask is not None:
        arrays[1] = arrays[1] * _array(mask)
    rank = len(_tuple(module.kernel_size))
    options = _options(module, transposed, arrays[1].shape[:rank], rank)
    if options is None:
        recording.skip(name, f"its padding is {module.padding}, which no setting says of a transposed convolution")
        return
    space = "DHW"[3 - rank :]
    # Flax takes any number of batch axes, and none.
    lead = arrays[0].ndim - rank - 1
    for at in (0, 2) if lead > 1 else ():
        arrays[at] = arrays[at].reshape(-1, *arrays[at].shape[lead:])
    options["input_layout"] = f"{'N' if lead else ''}{space}C"
    flat = None if bias is None else _array(bias).reshape(-1)
    recording.add(Layer(name, "jax", arrays[0], arrays[1], arrays[2], flat, options))


def _options(module: Any, transposed: bool, taps: Sequence[int], rank: int) -> dict[str, Any] | None:
    stride, dilation = _each(module.strides, rank), _each(getattr(module, "kernel_dilation", 1), rank)
    spans = [d * (k - 1) + 1 for k, d in zip(taps, dilation, strict=True)]
    space = "DHW"[3 - rank :]
    options: dict[str, Any] = {"kernel_layout": f"{space}IO"}
    numbers = {"stride": stride, "dilation": dilation, "input_dilation": _each(getattr(module, "input_dilation", 1), rank)}
    options |= {key: list(values) for key, values in numbers.items() if max(values) > 1}
    groups = getattr(module, "feature_group_count", 1)
    options |= {"groups": groups} if groups > 1 else {}
    padding = module.padding
    if transposed:
        options |= {"transposed": True}
        # lax.conv_transpose does not flip the kernel, unless it is told to.
        options |= {"kernel_layout": f"{space}OI"} if module.transpose_kernel else {"flip": True}
    if isinstance(padding, str):
        word = padding.upper()
        if transposed and word in WRAPPED:
            return None
        if word in WRAPPED:
            return options | {"padding": [[(span - 1) // 2, span // 2] for span in spans], "pad_mode": WRAPPED[word]}
        if word not in ("SAME", "VALID", "CAUSAL", "SAME_LOWER"):
            raise ConvdiffError(f"capture: found padding {padding!r}, expected SAME, VALID, CAUSAL, CIRCULAR, REFLECT or numbers")
        return options | {"padding": word.lower()}
    pairs = [[int(part), int(part)] if isinstance(part, int | np.integer) else [int(side) for side in part]
             for part in ([padding] * rank if isinstance(padding, int) else padding)]
    if transposed:
        # These pad the dilated input: what is cropped is what is short of a full padding.
        pairs = [[span - 1 - lo, span - 1 - hi] for span, (lo, hi) in zip(spans, pairs, strict=True)]
    return options | {"padding": pairs}


def _tuple(value: Any) -> tuple[int, ...]:
    return (int(value),) if isinstance(value, int) else tuple(int(part) for part in value)


def _each(value: Any, rank: int) -> tuple[int, ...]:
    parts = _tuple(1 if value is None else value)
    return parts * rank if len(parts) == 1 else parts


def _array(array: Any) -> Any:
    made = np.asarray(array)
    return made.view(np.dtype("V2")) if made.dtype.name == "bfloat16" else made
