"""What a Flax convolution, linen's or nnx's, asks for, as a manifest's keys.  Source:
flax.linen.linear, flax.nnx.nn.linear.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from convdiff.errors import ConvdiffError
from convdiff.recorder.capture_folder import CaptureFolder, NoValues, RecordedLayer

# Paddings that Flax carries out itself: the larger half at the end, then a valid convolution.
WRAPPED = {"CIRCULAR": "wrap", "REFLECT": "reflect"}


@contextmanager
def eager(recording: CaptureFolder) -> Iterator[None]:
    """Nothing is compiled inside; what is traced all the same (remat, vmap, grad) has told its
    values at the end, and tells no more.
    """
    jax = importlib.import_module("jax")
    try:
        with jax.disable_jit():
            yield
    finally:
        jax.effects_barrier()
        recording.close()


def record(
    name: str,
    module: Any,
    transposed: bool,
    x: Any,
    kernel: Any,
    bias: Any,
    output: Any,
    recording: CaptureFolder,
) -> None:
    """Give the recording a layer, or the reason why this one is none."""
    jax = importlib.import_module("jax")
    calls = [
        getattr(module, attribute, None)
        for attribute in ("conv_general_dilated", "conv_general_dilated_cls")
    ]
    if any(call is not None and call is not jax.lax.conv_general_dilated for call in calls):
        recording.skip(name, "its conv_general_dilated is not JAX's own")
        return
    rank = len(_tuple(module.kernel_size))
    options = _options(module, transposed, kernel.shape[:rank], rank)
    if options is None:
        recording.skip(
            name,
            f"its padding is {module.padding}, which no setting says of a transposed convolution",
        )
        return
    given = {
        "x": x,
        "kernel": kernel,
        "output": output,
        "bias": bias,
        "mask": getattr(module, "mask", None),
    }
    arrays = {key: array for key, array in given.items() if array is not None}

    def add(arrays: dict[str, Any]) -> None:
        _add(
            name, rank, options, {key: as_array(array) for key, array in arrays.items()}, recording
        )

    # What is being traced has its values when it runs: each example of a vmap, each step of a scan
    # by itself.
    if any(isinstance(array, jax.core.Tracer) for array in arrays.values()):
        jax.debug.callback(add, arrays)
    else:
        add(arrays)


def _add(
    name: str, rank: int, options: dict[str, Any], arrays: dict[str, Any], recording: CaptureFolder
) -> None:
    x, kernel, output, bias = arrays["x"], arrays["kernel"], arrays["output"], arrays.get("bias")
    if "mask" in arrays:
        kernel = kernel * arrays["mask"]
    # Flax takes any number of batch axes, and none.
    lead = x.ndim - rank - 1
    if lead > 1:
        x, output = (array.reshape(-1, *array.shape[lead:]) for array in (x, output))
    layout = f"{'N' if lead else ''}{'DHW'[3 - rank :]}C"
    recording.add(
        RecordedLayer(
            name,
            "jax",
            x,
            kernel,
            output,
            None if bias is None else bias.reshape(-1),
            {**options, "input_layout": layout},
        )
    )


def _options(
    module: Any, transposed: bool, taps: Sequence[int], rank: int
) -> dict[str, Any] | None:
    stride, dilation = (
        _each(module.strides, rank),
        _each(getattr(module, "kernel_dilation", 1), rank),
    )
    spans = [d * (k - 1) + 1 for k, d in zip(taps, dilation, strict=True)]
    space = "DHW"[3 - rank :]
    options: dict[str, Any] = {"kernel_layout": f"{space}IO"}
    numbers = {
        "stride": stride,
        "dilation": dilation,
        "input_dilation": _each(getattr(module, "input_dilation", 1), rank),
    }
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
            return options | {
                "padding": [[(span - 1) // 2, span // 2] for span in spans],
                "pad_mode": WRAPPED[word],
            }
        if word not in ("SAME", "VALID", "CAUSAL", "SAME_LOWER"):
            raise ConvdiffError(
                f"capture: found padding {padding!r}, expected SAME, VALID, CAUSAL, CIRCULAR, "
                "REFLECT or numbers"
            )
        return options | {"padding": word.lower()}
    pairs = [
        [int(part), int(part)]
        if isinstance(part, int | np.integer)
        else [int(side) for side in part]
        for part in ([padding] * rank if isinstance(padding, int) else padding)
    ]
    if transposed:
        # These pad the dilated input: what is cropped is what is short of a full padding.
        pairs = [
            [span - 1 - lo, span - 1 - hi] for span, (lo, hi) in zip(spans, pairs, strict=True)
        ]
    return options | {"padding": pairs}


def _tuple(value: Any) -> tuple[int, ...]:
    return (int(value),) if isinstance(value, int) else tuple(int(part) for part in value)


def _each(value: Any, rank: int) -> tuple[int, ...]:
    parts = _tuple(1 if value is None else value)
    return parts * rank if len(parts) == 1 else parts


def as_array(array: Any) -> Any:
    """As numpy, bfloat16 as its two raw bytes; NoValues for what is being traced."""
    if isinstance(array, importlib.import_module("jax").core.Tracer):
        raise NoValues("it is traced")
    made = np.asarray(array)
    return made.view(np.dtype("V2")) if made.dtype.name == "bfloat16" else made
