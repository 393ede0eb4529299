"""The settings of a Flax convolution, linen's or nnx's, as the keys of a manifest.

Sources: flax.linen.linear, flax.nnx.nn.linear.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from convdiff.errors import ConvdiffError
from convdiff.recorder.capture_folder import CaptureFolder, RecordedLayer, ValuesUnavailable

# Padding that Flax does itself before a valid convolution: `same` in another mode, with the larger
# half at the end.
PAD_MODE_OF_PADDING = {"CIRCULAR": "wrap", "REFLECT": "reflect"}


@contextmanager
def without_compilation(capture_folder: CaptureFolder) -> Iterator[None]:
    """Disables jax.jit inside the block.

    What is traced all the same (by remat, vmap or grad) reports its values through callbacks. All
    of them have run when the block ends; later ones are ignored.
    """
    jax = importlib.import_module("jax")
    try:
        with jax.disable_jit():
            yield
    finally:
        jax.effects_barrier()
        capture_folder.close()


def record_layer(
    name: str,
    module: Any,
    transposed: bool,
    x: Any,
    kernel: Any,
    bias: Any,
    output: Any,
    capture_folder: CaptureFolder,
) -> None:
    """Add one call of a layer to the folder, or the reason why it cannot be recorded."""
    jax = importlib.import_module("jax")
    functions = [
        getattr(module, attribute, None)
        for attribute in ("conv_general_dilated", "conv_general_dilated_cls")
    ]
    if any(
        function is not None and function is not jax.lax.conv_general_dilated
        for function in functions
    ):
        capture_folder.skip(name, "its conv_general_dilated is not JAX's own")
        return
    rank = len(_as_tuple(module.kernel_size))
    options = _options(module, transposed, kernel.shape[:rank], rank)
    if options is None:
        capture_folder.skip(
            name,
            f"its padding is {module.padding}, which no setting expresses for a transposed "
            "convolution",
        )
        return
    by_role = {
        "x": x,
        "kernel": kernel,
        "output": output,
        "bias": bias,
        "mask": getattr(module, "mask", None),
    }
    arrays = {role: array for role, array in by_role.items() if array is not None}

    def add(arrays: dict[str, Any]) -> None:
        concrete = {role: as_array(array) for role, array in arrays.items()}
        _add(name, rank, options, concrete, capture_folder)

    # A traced array has its values when the traced code runs: once for each example of a vmap, and
    # for each step of a scan.
    if any(isinstance(array, jax.core.Tracer) for array in arrays.values()):
        jax.debug.callback(add, arrays)
    else:
        add(arrays)


def _add(
    name: str,
    rank: int,
    options: dict[str, Any],
    arrays: dict[str, Any],
    capture_folder: CaptureFolder,
) -> None:
    x, kernel, output, bias = arrays["x"], arrays["kernel"], arrays["output"], arrays.get("bias")
    if "mask" in arrays:
        kernel = kernel * arrays["mask"]
    # Flax accepts any number of batch axes, and none.
    batch_axes = x.ndim - rank - 1
    if batch_axes > 1:
        x, output = (array.reshape(-1, *array.shape[batch_axes:]) for array in (x, output))
    layout = f"{'N' if batch_axes else ''}{'DHW'[3 - rank :]}C"
    capture_folder.add(
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
    module: Any, transposed: bool, kernel_size: Sequence[int], rank: int
) -> dict[str, Any] | None:
    """The settings of a module; None for padding that no setting expresses."""
    space = "DHW"[3 - rank :]
    options: dict[str, Any] = {"kernel_layout": f"{space}IO"}
    dilation = _per_axis(getattr(module, "kernel_dilation", 1), rank)
    numbers = {
        "stride": _per_axis(module.strides, rank),
        "dilation": dilation,
        "input_dilation": _per_axis(getattr(module, "input_dilation", 1), rank),
    }
    options |= {key: list(values) for key, values in numbers.items() if max(values) > 1}
    groups = getattr(module, "feature_group_count", 1)
    options |= {"groups": groups} if groups > 1 else {}
    if transposed:
        options |= {"transposed": True}
        # lax.conv_transpose does not flip the kernel, unless `transpose_kernel` is set.
        options |= {"kernel_layout": f"{space}OI"} if module.transpose_kernel else {"flip": True}
    spans = [d * (k - 1) + 1 for k, d in zip(kernel_size, dilation, strict=True)]
    padding = _padding_options(module.padding, spans, transposed)
    return None if padding is None else options | padding


def _padding_options(padding: Any, spans: list[int], transposed: bool) -> dict[str, Any] | None:
    """The padding of a module; `spans` are the effective kernel sizes."""
    if isinstance(padding, str):
        word = padding.upper()
        if word in PAD_MODE_OF_PADDING:
            if transposed:
                return None
            pairs = [[(span - 1) // 2, span // 2] for span in spans]
            return {"padding": pairs, "pad_mode": PAD_MODE_OF_PADDING[word]}
        if word not in ("SAME", "VALID", "CAUSAL", "SAME_LOWER"):
            raise ConvdiffError(
                f"capture: found padding {padding!r}, expected SAME, VALID, CAUSAL, CIRCULAR, "
                "REFLECT or numbers"
            )
        return {"padding": word.lower()}
    sides = [padding] * len(spans) if isinstance(padding, int) else padding
    pairs = [
        [int(side), int(side)]
        if isinstance(side, int | np.integer)
        else [int(part) for part in side]
        for side in sides
    ]
    if transposed:
        # Flax pads the dilated input; convdiff's padding crops the full output.
        pairs = [
            [span - 1 - lo, span - 1 - hi] for span, (lo, hi) in zip(spans, pairs, strict=True)
        ]
    return {"padding": pairs}


def _as_tuple(value: Any) -> tuple[int, ...]:
    return (int(value),) if isinstance(value, int) else tuple(int(part) for part in value)


def _per_axis(value: Any, rank: int) -> tuple[int, ...]:
    parts = _as_tuple(1 if value is None else value)
    return parts * rank if len(parts) == 1 else parts


def as_array(array: Any) -> Any:
    """A JAX array as numpy's, bfloat16 as raw 2-byte items.

    Raises ValuesUnavailable for one that is being traced.
    """
    if isinstance(array, importlib.import_module("jax").core.Tracer):
        raise ValuesUnavailable("it is traced")
    concrete = np.asarray(array)
    return concrete.view(np.dtype("V2")) if concrete.dtype.name == "bfloat16" else concrete
