"""Keras 3 (on any of its backends) and tf.keras: layers' `call`, with what went into their
activation as the output.

SeparableConv is recorded as its two steps, the first of them computed by Keras for the record.
What a class of the user's own does around the convolution is not the layer's: of one with a `call`
of its own, as of any other layer, the calls of keras.ops are recorded (`keras_ops`).  Source:
keras.layers.convolutional.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from convdiff.recorder.capture_folder import CaptureFolder
from convdiff.recorder.keras_ops import (
    as_array,
    framework,
    only_shapes,
    options_of,
    record,
    replaced,
    separable,
    watched,
)


@contextmanager
def recorded(model: Any, recording: CaptureFolder) -> Iterator[Any]:
    """Record what `model` (or a layer) runs; gives the model."""
    keras = _keras(model)
    recording.heading = (
        f"Captured from {type(model).__name__} in keras {keras.__version__} on {framework(keras)}."
    )
    # The layers that are being run, the innermost last, and whether each is recorded as a whole.
    running: list[tuple[str, bool]] = []
    with ExitStack() as stack:
        for path, layer in _layers(model):
            kind = _kind(layer)
            whole = kind is not None and _as_keras_made_it(layer)
            call = _recording(layer, path, str(kind), recording, keras) if whole else layer.call
            call = _giving(call, recording, keras) if layer is model else call
            stack.enter_context(replaced(layer, "call", _noted(call, running, path, whole)))
        stack.enter_context(watched(keras, running, recording))
        yield model


def _keras(model: Any) -> Any:
    package = next(
        kind.__module__.partition(".")[0]
        for kind in type(model).__mro__
        if "keras" in kind.__module__
    )
    return importlib.import_module(package)


def _layers(model: Any) -> Iterator[tuple[str, Any]]:
    """Every layer once, with its path."""
    for layer in model._flatten_layers(include_self=True, recursive=True):
        yield getattr(layer, "path", None) or layer.name, layer


def _kind(layer: Any) -> str | None:
    """ "Conv", "DepthwiseConv", "SeparableConv" or "ConvTranspose", by the layer's class or one
    that it comes from.
    """
    for base in type(layer).__mro__:
        name = base.__name__
        if "keras" in base.__module__ and "Conv" in name and "LSTM" not in name:
            for kind in ("SeparableConv", "DepthwiseConv"):
                if kind in name:
                    return kind
            return "ConvTranspose" if "Transpose" in name else "Conv"
    return None


def _as_keras_made_it(layer: Any) -> bool:
    """Whether what the layer computes is Keras' own doing."""
    methods = (getattr(type(layer), name, None) for name in ("call", "convolution_op"))
    own = all(
        method is None or "keras" in method.__module__.partition(".")[0] for method in methods
    )
    return own and not {"call", "convolution_op"} & set(vars(layer))


def _noted(
    call: Callable[..., Any], running: list[tuple[str, bool]], path: str, whole: bool
) -> Callable[..., Any]:
    def noted(*args: Any, **kwargs: Any) -> Any:
        running.append((path, whole))
        try:
            return call(*args, **kwargs)
        finally:
            running.pop()

    return noted


def _giving(call: Callable[..., Any], recording: CaptureFolder, keras: Any) -> Callable[..., Any]:
    """The model's own `call`, with a record of what it gives."""

    def giving(*args: Any, **kwargs: Any) -> Any:
        outputs = call(*args, **kwargs)
        if not only_shapes(keras):
            recording.gave(outputs, as_array)
        return outputs

    return giving


def _recording(
    layer: Any, path: str, kind: str, recording: CaptureFolder, keras: Any
) -> Callable[..., Any]:
    """The layer's `call`, with a record of it; its activation is watched for what goes into it."""
    call, activation = layer.call, layer.activation
    before: list[Any] = []

    def watched(outputs: Any, *args: Any, **kwargs: Any) -> Any:
        before.append(outputs)
        return activation(outputs, *args, **kwargs)

    def recording_call(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        before.clear()
        with replaced(layer, "activation", watched) if activation else ExitStack():
            outputs = call(inputs, *args, **kwargs)
        if not only_shapes(keras):
            with recording.skipping(path):
                _record(
                    layer, path, kind, inputs, before[0] if before else outputs, recording, keras
                )
        return outputs

    return recording_call


def _record(
    layer: Any,
    path: str,
    kind: str,
    inputs: Any,
    outputs: Any,
    recording: CaptureFolder,
    keras: Any,
) -> None:
    options = options_of(
        len(layer.kernel_size), layer.data_format, layer.padding, layer.strides, layer.dilation_rate
    )
    bias = as_array(layer.bias) if layer.use_bias else None
    if kind == "SeparableConv":
        separable(
            path,
            inputs,
            layer.depthwise_kernel,
            layer.pointwise_kernel,
            bias,
            outputs,
            options,
            recording,
            keras,
        )
        return
    size = None
    if kind == "ConvTranspose" and layer.output_padding is not None:
        size = outputs.shape[2:] if layer.data_format == "channels_first" else outputs.shape[1:-1]
    kernel = (
        layer.depthwise_kernel
        if kind == "DepthwiseConv" and hasattr(layer, "depthwise_kernel")
        else layer.kernel
    )
    record(
        path,
        kind,
        inputs,
        kernel,
        bias,
        outputs,
        options,
        recording,
        keras,
        groups=getattr(layer, "groups", 1),
        output_size=size,
    )
