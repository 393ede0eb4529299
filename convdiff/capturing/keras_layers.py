"""Keras 3 (on any of its backends) and tf.keras: layers' `call`, with what went into their activation as the output.

SeparableConv is recorded as its two steps, the first of them computed by Keras for the record.  Source: keras.layers.convolutional.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from convdiff.capturing.recording import Layer, Recording
from convdiff.errors import ConvdiffError

FRAMEWORK = "tensorflow"


@contextmanager
def recorded(model: Any, recording: Recording) -> Iterator[Any]:
    """Record what `model` (or a layer) runs; gives the model."""
    keras = _keras(model)
    backend = getattr(getattr(keras, "config", keras), "backend", lambda: "tensorflow")()
    recording.heading = f"Captured from a {type(model).__name__} in keras {keras.__version__} on {backend}."
    with ExitStack() as stack:
        for path, layer in _layers(model):
            kind = _kind(layer)
            if kind:
                stack.enter_context(_wrapped(layer, path, kind, recording, keras))
        yield model


def _keras(model: Any) -> Any:
    package = next(kind.__module__.partition(".")[0] for kind in type(model).__mro__ if "keras" in kind.__module__)
    return importlib.import_module(package)


def _layers(model: Any) -> Iterator[tuple[str, Any]]:
    """Every layer once, with its path."""
    for layer in model._flatten_layers(include_self=True, recursive=True):
        yield getattr(layer, "path", None) or layer.name, layer


def _kind(layer: Any) -> str | None:
    """"Conv", "DepthwiseConv", "SeparableConv" or "ConvTranspose", by the layer's class or one that it comes from."""
    for base in type(layer).__mro__:
        name = base.__name__
        if "keras" in base.__module__ and "Conv" in name and "LSTM" not in name:
            for kind in ("SeparableConv", "DepthwiseConv"):
                if kind in name:
                    return kind
            return "ConvTranspose" if "Transpose" in name else "Conv"
    return None


@contextmanager
def _wrapped(layer: Any, path: str, kind: str, recording: Recording, keras: Any) -> Iterator[None]:
    """The layer with a `call` that records; its activation is watched for what goes into it."""
    call, activation = layer.call, layer.activation
    before: list[Any] = []

    def watched(outputs: Any, *args: Any, **kwargs: Any) -> Any:
        before.append(outputs)
        return activation(outputs, *args, **kwargs)

    def recording_call(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        before.clear()
        outputs = call(inputs, *args, **kwargs)
        _record(layer, path, kind, inputs, before[0] if before else outputs, recording, keras)
        return outputs

    with _replaced(layer, "call", recording_call), _replaced(layer, "activation", watched) if activation else ExitStack():
        yield


@contextmanager
def _replaced(layer: Any, name: str, made: Callable[..., Any]) -> Iterator[None]:
    """An attribute of the instance, past Keras' own bookkeeping of attributes."""
    own = name in vars(layer)
    old = vars(layer).get(name)
    vars(layer)[name] = made
    try:
        yield
    finally:
        if own:
            vars(layer)[name] = old
        else:
            del vars(layer)[name]


def _record(layer: Any, path: str, kind: str, inputs: Any, outputs: Any, recording: Recording, keras: Any) -> None:
    rank = len(layer.kernel_size)
    space = "DHW"[3 - rank :]
    first = layer.data_format == "channels_first"
    options: dict[str, Any] = {"input_layout": f"NC{space}" if first else f"N{space}C", "padding": layer.padding}
    for key, values in (("stride", layer.strides), ("dilation", layer.dilation_rate)):
        values = [int(value) for value in (values if isinstance(values, tuple | list) else [values] * rank)]
        options |= {key: values} if max(values) > 1 else {}
    x, bias = _array(inputs), _array(layer.bias) if layer.use_bias else None
    if kind == "SeparableConv":
        _separable(layer, path, inputs, outputs, options, recording, keras)
        return
    if kind == "DepthwiseConv":
        options |= {"kernel_layout": f"{space}IM"}
    elif kind == "ConvTranspose":
        options |= {"kernel_layout": f"{space}OI", "transposed": True}
        if layer.output_padding is not None:
            out = outputs.shape[2:] if first else outputs.shape[1:-1]
            options["output_size"] = [int(size) for size in out]
    else:
        options |= {"kernel_layout": f"{space}IO", **({"groups": layer.groups} if layer.groups > 1 else {})}
    kernel = layer.depthwise_kernel if kind == "DepthwiseConv" and hasattr(layer, "depthwise_kernel") else layer.kernel
    recording.add(Layer(path, FRAMEWORK, x, _array(kernel), _array(outputs), bias, options))


def _separable(layer: Any, path: str, inputs: Any, outputs: Any, options: dict[str, Any], recording: Recording, keras: Any) -> None:
    """Its two steps: each channel by itself, then a 1x1 convolution."""
    space = options["input_layout"].replace("N", "").replace("C", "")
    step = {"data_format": layer.data_format, "strides": layer.strides, "padding": layer.padding, "dilation_rate": layer.dilation_rate}
    if layer.padding == "causal":
        recording.skip(path, "it is a SeparableConv with causal padding")
        return
    middle = keras.ops.depthwise_conv(inputs, layer.depthwise_kernel, **step)
    x, between, bias = _array(inputs), _array(middle), _array(layer.bias) if layer.use_bias else None
    depthwise = {**options, "kernel_layout": f"{space}IM"}
    recording.add(Layer(f"{path}/depthwise", FRAMEWORK, x, _array(layer.depthwise_kernel), between, None, depthwise))
    pointwise = {"input_layout": options["input_layout"], "kernel_layout": f"{space}IO"}
    recording.add(Layer(f"{path}/pointwise", FRAMEWORK, between, _array(layer.pointwise_kernel), _array(outputs), bias, pointwise))


def _array(tensor: Any) -> Any:
    """As numpy; ConvdiffError for one without values, of a graph that is only being built."""
    tensor = getattr(tensor, "value", tensor) if type(tensor).__name__ in ("Variable", "KerasVariable") else tensor
    try:
        tensor = tensor.detach().cpu() if hasattr(tensor, "detach") else tensor
        array = np.asarray(tensor.float() if str(getattr(tensor, "dtype", "")) == "torch.bfloat16" else tensor)
    except (NotImplementedError, TypeError, ValueError, RuntimeError) as error:
        if "symbolic" in str(error).lower() or "graph" in str(error).lower():
            raise ConvdiffError(
                "capture: found a graph being traced, expected values; call model(x), or compile with run_eagerly=True"
            ) from None
        raise
    return array.view(np.dtype("V2")) if array.dtype.name == "bfloat16" else array
