"""Calls of keras.ops' convolutions, and what they and Keras' layers ask for as a manifest's keys.
Source: keras.ops, keras.src.ops.nn.

A call inside a layer that is recorded as a whole is that layer's; any other is recorded by itself,
under the name of the layer that made it.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from convdiff.recorder.capture_folder import CaptureFolder, NoValues, RecordedLayer

KINDS = {
    "conv": "Conv",
    "depthwise_conv": "DepthwiseConv",
    "separable_conv": "SeparableConv",
    "conv_transpose": "ConvTranspose",
}


@contextmanager
def watched(
    keras: Any, running: Sequence[tuple[str, bool]], recording: CaptureFolder
) -> Iterator[None]:
    """Record the calls that no layer of `running` is recorded with (see keras_layers).  Keras 2 has
    none.
    """
    ops = getattr(keras, "ops", None)
    with ExitStack() as stack:
        for module in (ops, importlib.import_module(f"{keras.__name__}.src.ops")) if ops else ():
            for name in KINDS:
                made = _recording(getattr(module, name), name, running, recording, keras)
                stack.enter_context(replaced(module, name, made))
        yield


def _recording(
    function: Callable[..., Any],
    name: str,
    running: Sequence[tuple[str, bool]],
    recording: CaptureFolder,
    keras: Any,
) -> Callable[..., Any]:
    signature = inspect.signature(function)

    def call(*args: Any, **kwargs: Any) -> Any:
        outputs = function(*args, **kwargs)
        symbolic = isinstance(outputs, keras.KerasTensor) or only_shapes(keras)
        if not symbolic and not any(whole for _, whole in running):
            given = signature.bind(*args, **kwargs)
            given.apply_defaults()
            path = "/".join([*(path for path, _ in running[-1:]), name])
            with recording.skipping(path):
                _record(path, KINDS[name], given.arguments, outputs, recording, keras)
        return outputs

    return call


def _record(
    path: str,
    kind: str,
    given: Mapping[str, Any],
    outputs: Any,
    recording: CaptureFolder,
    keras: Any,
) -> None:
    inputs = given["inputs"]
    first = (given["data_format"] or keras.config.image_data_format()) == "channels_first"
    options = options_of(
        len(inputs.shape) - 2,
        "channels_first" if first else "channels_last",
        given["padding"],
        given["strides"],
        given["dilation_rate"],
    )
    if kind == "SeparableConv":
        separable(
            path,
            inputs,
            given["depthwise_kernel"],
            given["pointwise_kernel"],
            None,
            outputs,
            options,
            recording,
            keras,
        )
        return
    groups = inputs.shape[1 if first else -1] // given["kernel"].shape[-2] if kind == "Conv" else 1
    size = None
    if given.get("output_padding") is not None:
        size = outputs.shape[2:] if first else outputs.shape[1:-1]
    record(
        path,
        kind,
        inputs,
        given["kernel"],
        None,
        outputs,
        options,
        recording,
        keras,
        groups=groups,
        output_size=size,
    )


def framework(keras: Any) -> str:
    """What Keras runs on, by its name as a backend: the saved output is that framework's."""
    return str(keras.backend.backend())


def only_shapes(keras: Any) -> bool:
    """Whether Keras is finding out shapes, to build layers, with arrays of its own that stand for
    the inputs.
    """
    return bool(
        getattr(getattr(getattr(keras, "src", None), "backend", None), "in_symbolic_scope", bool)()
    )


def options_of(
    rank: int, data_format: str, padding: str, strides: Any, dilation: Any
) -> dict[str, Any]:
    """The keys that every kind has."""
    space = "DHW"[3 - rank :]
    options: dict[str, Any] = {
        "input_layout": f"NC{space}" if data_format == "channels_first" else f"N{space}C",
        "padding": padding.lower(),
    }
    for key, given in (("stride", strides), ("dilation", dilation)):
        values = [
            int(value) for value in (given if isinstance(given, tuple | list) else [given] * rank)
        ]
        options |= {key: values} if max(values) > 1 else {}
    return options


def record(
    path: str,
    kind: str,
    inputs: Any,
    kernel: Any,
    bias: Any,
    outputs: Any,
    options: Mapping[str, Any],
    recording: CaptureFolder,
    keras: Any,
    *,
    groups: int = 1,
    output_size: Sequence[Any] | None = None,
) -> None:
    """Give the recording a convolution of one step; `output_size` where the settings do not say it
    all.
    """
    space = options["input_layout"].replace("N", "").replace("C", "")
    if kind == "DepthwiseConv":
        own: dict[str, Any] = {"kernel_layout": f"{space}IM"}
    elif kind == "ConvTranspose":
        own = {"kernel_layout": f"{space}OI", "transposed": True}
        own |= (
            {"output_size": [int(size) for size in output_size]} if output_size is not None else {}
        )
    else:
        own = {"kernel_layout": f"{space}IO", **({"groups": groups} if groups > 1 else {})}
    x, w, y = (as_array(array) for array in (inputs, kernel, outputs))
    recording.add(RecordedLayer(path, framework(keras), x, w, y, bias, {**options, **own}))


def separable(
    path: str,
    inputs: Any,
    depthwise: Any,
    pointwise: Any,
    bias: Any,
    outputs: Any,
    options: Mapping[str, Any],
    recording: CaptureFolder,
    keras: Any,
) -> None:
    """Give the recording the two steps: each channel by itself, then a 1x1 convolution."""
    space = options["input_layout"].replace("N", "").replace("C", "")
    if options["padding"] == "causal":
        recording.skip(path, "it is a SeparableConv with causal padding")
        return
    x, y, first, second = (as_array(array) for array in (inputs, outputs, depthwise, pointwise))
    stride, dilation = (tuple(options.get(key, [1] * len(space))) for key in ("stride", "dilation"))
    middle = as_array(
        keras.src.backend.nn.depthwise_conv(
            inputs,
            depthwise,
            strides=stride,
            padding=options["padding"],
            dilation_rate=dilation,
            data_format="channels_first"
            if options["input_layout"].startswith("NC")
            else "channels_last",
        )
    )
    name, layout = framework(keras), options["input_layout"]
    recording.add(
        RecordedLayer(
            f"{path}/depthwise",
            name,
            x,
            first,
            middle,
            None,
            {**options, "kernel_layout": f"{space}IM"},
        )
    )
    recording.add(
        RecordedLayer(
            f"{path}/pointwise",
            name,
            middle,
            second,
            y,
            bias,
            {"input_layout": layout, "kernel_layout": f"{space}IO"},
        )
    )


@contextmanager
def replaced(holder: Any, name: str, made: Callable[..., Any]) -> Iterator[None]:
    """An attribute of an instance or a module, past Keras' own bookkeeping of attributes."""
    own = name in vars(holder)
    old = vars(holder).get(name)
    vars(holder)[name] = made
    try:
        yield
    finally:
        if own:
            vars(holder)[name] = old
        else:
            del vars(holder)[name]


def as_array(tensor: Any) -> Any:
    """As numpy; NoValues for one without values, of a graph that is only being built."""
    tensor = (
        getattr(tensor, "value", tensor)
        if type(tensor).__name__ in ("Variable", "KerasVariable")
        else tensor
    )
    try:
        tensor = tensor.detach().cpu() if hasattr(tensor, "detach") else tensor
        array = np.asarray(
            tensor.float() if str(getattr(tensor, "dtype", "")) == "torch.bfloat16" else tensor
        )
    except (TypeError, ValueError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        if re.search("symbolic|graph|eager|traced", str(error).lower()):
            reason = (
                "it runs in a graph being traced, where nothing has values; call model(x), "
                "or compile with run_eagerly=True"
            )
        raise NoValues(reason) from None
    return array.view(np.dtype("V2")) if array.dtype.name == "bfloat16" else array
