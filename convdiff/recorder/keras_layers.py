"""Keras 3 (on any of its backends) and tf.keras: the `call` of the convolution layers.

The recorded output is what goes into the layer's activation. A SeparableConv is recorded as its two
steps. What a subclass of the user's does around the convolution is not part of it: in a layer with
a `call` of its own, as in any other layer, the calls of keras.ops are recorded (`keras_ops`).
Source: keras.layers.convolutional.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from convdiff.recorder.capture_folder import CaptureFolder
from convdiff.recorder.keras_ops import (
    KerasCapture,
    RunningLayer,
    as_array,
    common_options,
    operations_recorded,
    replaced_attribute,
)


@contextmanager
def record_calls(model: Any, capture_folder: CaptureFolder) -> Iterator[Any]:
    """Record what `model`, or a layer, runs inside the block; yields the model."""
    keras = _keras_package(model)
    keras_capture = KerasCapture(keras, capture_folder)
    capture_folder.heading = (
        f"Captured from {type(model).__name__} in keras {keras.__version__} on "
        f"{keras_capture.backend}."
    )
    # The innermost last.
    running: list[RunningLayer] = []
    with ExitStack() as stack:
        for path, layer in _layers(model):
            kind = _kind(layer)
            recorded = kind is not None and _runs_keras_code_only(layer)
            call = layer.call
            if kind is not None and recorded:
                call = _recording_call(layer, path, kind, keras_capture)
            if layer is model:
                call = _output_recording_call(call, keras_capture)
            call = _tracked_call(call, RunningLayer(path, recorded), running)
            stack.enter_context(replaced_attribute(layer, "call", call))
        stack.enter_context(operations_recorded(keras_capture, running))
        yield model


def _keras_package(model: Any) -> Any:
    """The package that defines the model's class, or one of its base classes: keras or tf_keras."""
    package = next(
        base.__module__.partition(".")[0]
        for base in type(model).__mro__
        if "keras" in base.__module__
    )
    return importlib.import_module(package)


def _layers(model: Any) -> Iterator[tuple[str, Any]]:
    """Every layer once, with its path."""
    for layer in model._flatten_layers(include_self=True, recursive=True):
        yield getattr(layer, "path", None) or layer.name, layer


def _kind(layer: Any) -> str | None:
    """Conv, DepthwiseConv, SeparableConv or ConvTranspose, by a layer's class or a base class."""
    for base in type(layer).__mro__:
        name = base.__name__
        if "keras" in base.__module__ and "Conv" in name and "LSTM" not in name:
            for kind in ("SeparableConv", "DepthwiseConv"):
                if kind in name:
                    return kind
            return "ConvTranspose" if "Transpose" in name else "Conv"
    return None


def _runs_keras_code_only(layer: Any) -> bool:
    """Whether neither a subclass nor a patch replaces what the layer computes."""
    names = ("call", "convolution_op")
    methods = (getattr(type(layer), name, None) for name in names)
    in_keras = all(
        method is None or "keras" in method.__module__.partition(".")[0] for method in methods
    )
    return in_keras and not set(names) & set(vars(layer))


def _tracked_call(
    call: Callable[..., Any], layer: RunningLayer, running: list[RunningLayer]
) -> Callable[..., Any]:
    """`call`, during which the layer is among the running ones."""

    def tracked_call(*args: Any, **kwargs: Any) -> Any:
        running.append(layer)
        try:
            return call(*args, **kwargs)
        finally:
            running.pop()

    return tracked_call


def _output_recording_call(
    call: Callable[..., Any], keras_capture: KerasCapture
) -> Callable[..., Any]:
    """The model's `call`, which then also records the model's outputs."""

    def call_and_record(*args: Any, **kwargs: Any) -> Any:
        outputs = call(*args, **kwargs)
        if not keras_capture.infers_shapes():
            keras_capture.folder.add_outputs(outputs, as_array)
        return outputs

    return call_and_record


def _recording_call(
    layer: Any, path: str, kind: str, keras_capture: KerasCapture
) -> Callable[..., Any]:
    """The layer's `call`, which then also records the layer."""
    call, activation = layer.call, layer.activation
    activation_inputs: list[Any] = []

    def watched_activation(outputs: Any, *args: Any, **kwargs: Any) -> Any:
        activation_inputs.append(outputs)
        return activation(outputs, *args, **kwargs)

    def call_and_record(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        activation_inputs.clear()
        with ExitStack() as stack:
            if activation:
                stack.enter_context(replaced_attribute(layer, "activation", watched_activation))
            outputs = call(inputs, *args, **kwargs)
        if not keras_capture.infers_shapes():
            before_activation = activation_inputs[0] if activation_inputs else outputs
            with keras_capture.folder.skip_without_values(path):
                _record(layer, path, kind, inputs, before_activation, keras_capture)
        return outputs

    return call_and_record


def _record(
    layer: Any, path: str, kind: str, inputs: Any, outputs: Any, keras_capture: KerasCapture
) -> None:
    options = common_options(
        len(layer.kernel_size), layer.data_format, layer.padding, layer.strides, layer.dilation_rate
    )
    bias = as_array(layer.bias) if layer.use_bias else None
    if kind == "SeparableConv":
        keras_capture.add_separable(
            path,
            inputs,
            layer.depthwise_kernel,
            layer.pointwise_kernel,
            bias,
            outputs,
            options,
        )
        return
    output_size = None
    if kind == "ConvTranspose" and layer.output_padding is not None:
        channels_first = layer.data_format == "channels_first"
        output_size = outputs.shape[2:] if channels_first else outputs.shape[1:-1]
    # Keras 3 calls it `kernel` in every layer; a DepthwiseConv of tf.keras has this name for it.
    depthwise = kind == "DepthwiseConv" and hasattr(layer, "depthwise_kernel")
    keras_capture.add(
        path,
        kind,
        inputs,
        layer.depthwise_kernel if depthwise else layer.kernel,
        bias,
        outputs,
        options,
        groups=getattr(layer, "groups", 1),
        output_size=output_size,
    )
