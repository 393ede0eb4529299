"""Keras: the calls of keras.ops' convolutions, and the settings of these and of Keras' layers.

A call inside a layer that is recorded as a whole belongs to that layer; any other is recorded by
itself, under the name of the layer that makes it. Sources: keras.ops, keras.src.ops.nn.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from convdiff.recorder.capture_folder import CaptureFolder, RecordedLayer, ValuesUnavailable

# The kind of convolution that each function of keras.ops computes.
KIND_OF_FUNCTION = {
    "conv": "Conv",
    "depthwise_conv": "DepthwiseConv",
    "separable_conv": "SeparableConv",
    "conv_transpose": "ConvTranspose",
}


@dataclass(frozen=True)
class RunningLayer:
    """A layer that is being run, and whether it is recorded as a whole."""

    path: str
    recorded: bool


@dataclass(frozen=True)
class KerasCapture:
    """The folder that the convolutions of one Keras, Keras 3 or tf.keras, are recorded in."""

    keras: Any
    folder: CaptureFolder

    @property
    def backend(self) -> str:
        """What Keras runs on ("jax"): the saved output is that framework's."""
        return str(self.keras.backend.backend())

    def infers_shapes(self) -> bool:
        """Whether Keras is running the model to build it, with arrays that stand for the inputs."""
        backend = getattr(getattr(self.keras, "src", None), "backend", None)
        return bool(getattr(backend, "in_symbolic_scope", bool)())

    def add(
        self,
        path: str,
        kind: str,
        inputs: Any,
        kernel: Any,
        bias: Any,
        outputs: Any,
        options: Mapping[str, Any],
        *,
        groups: int = 1,
        output_size: Sequence[Any] | None = None,
    ) -> None:
        """Record a convolution that is one step.

        `options` are the common ones (`common_options`); `output_size` is given for a transposed
        convolution whose other settings leave it open.
        """
        space = options["input_layout"].replace("N", "").replace("C", "")
        further: dict[str, Any] = {}
        if kind == "DepthwiseConv":
            further["kernel_layout"] = f"{space}IM"
        elif kind == "ConvTranspose":
            further |= {"kernel_layout": f"{space}OI", "transposed": True}
            if output_size is not None:
                further["output_size"] = [int(size) for size in output_size]
        else:
            further["kernel_layout"] = f"{space}IO"
            if groups > 1:
                further["groups"] = groups
        x, w, y = (as_array(array) for array in (inputs, kernel, outputs))
        self.folder.add(RecordedLayer(path, self.backend, x, w, y, bias, {**options, **further}))

    def add_separable(
        self,
        path: str,
        inputs: Any,
        depthwise: Any,
        pointwise: Any,
        bias: Any,
        outputs: Any,
        options: Mapping[str, Any],
    ) -> None:
        """Record a separable convolution as its two steps, a depthwise and a 1x1 convolution.

        Keras computes the first step once more, since its output is not seen.
        """
        if options["padding"] == "causal":
            self.folder.skip(path, "it is a SeparableConv with causal padding")
            return
        layout = options["input_layout"]
        space = layout.replace("N", "").replace("C", "")
        ones = [1] * len(space)
        x, y, first, second = (as_array(array) for array in (inputs, outputs, depthwise, pointwise))
        middle = as_array(
            self.keras.src.backend.nn.depthwise_conv(
                inputs,
                depthwise,
                strides=tuple(options.get("stride", ones)),
                padding=options["padding"],
                dilation_rate=tuple(options.get("dilation", ones)),
                data_format="channels_first" if layout.startswith("NC") else "channels_last",
            )
        )
        self.folder.add(
            RecordedLayer(
                f"{path}/depthwise",
                self.backend,
                x,
                first,
                middle,
                None,
                {**options, "kernel_layout": f"{space}IM"},
            )
        )
        self.folder.add(
            RecordedLayer(
                f"{path}/pointwise",
                self.backend,
                middle,
                second,
                y,
                bias,
                {"input_layout": layout, "kernel_layout": f"{space}IO"},
            )
        )


@contextmanager
def operations_recorded(
    keras_capture: KerasCapture, running: Sequence[RunningLayer]
) -> Iterator[None]:
    """Records the calls of keras.ops inside the block that no running layer is recorded with.

    Keras 2 has no keras.ops.
    """
    keras = keras_capture.keras
    ops = getattr(keras, "ops", None)
    modules = (ops, importlib.import_module(f"{keras.__name__}.src.ops")) if ops else ()
    with ExitStack() as stack:
        for module in modules:
            for name in KIND_OF_FUNCTION:
                function = _recording_function(getattr(module, name), name, running, keras_capture)
                stack.enter_context(replaced_attribute(module, name, function))
        yield


def _recording_function(
    function: Callable[..., Any],
    name: str,
    running: Sequence[RunningLayer],
    keras_capture: KerasCapture,
) -> Callable[..., Any]:
    signature = inspect.signature(function)

    def call_and_record(*args: Any, **kwargs: Any) -> Any:
        outputs = function(*args, **kwargs)
        symbolic = (
            isinstance(outputs, keras_capture.keras.KerasTensor) or keras_capture.infers_shapes()
        )
        if not symbolic and not any(layer.recorded for layer in running):
            call = signature.bind(*args, **kwargs)
            call.apply_defaults()
            path = "/".join([*(layer.path for layer in running[-1:]), name])
            with keras_capture.folder.skip_without_values(path):
                _record_call(path, KIND_OF_FUNCTION[name], call.arguments, outputs, keras_capture)
        return outputs

    return call_and_record


def _record_call(
    path: str,
    kind: str,
    arguments: Mapping[str, Any],
    outputs: Any,
    keras_capture: KerasCapture,
) -> None:
    inputs = arguments["inputs"]
    data_format = arguments["data_format"] or keras_capture.keras.config.image_data_format()
    channels_first = data_format == "channels_first"
    options = common_options(
        len(inputs.shape) - 2,
        "channels_first" if channels_first else "channels_last",
        arguments["padding"],
        arguments["strides"],
        arguments["dilation_rate"],
    )
    if kind == "SeparableConv":
        keras_capture.add_separable(
            path,
            inputs,
            arguments["depthwise_kernel"],
            arguments["pointwise_kernel"],
            None,
            outputs,
            options,
        )
        return
    kernel = arguments["kernel"]
    output_size = None
    if arguments.get("output_padding") is not None:
        output_size = outputs.shape[2:] if channels_first else outputs.shape[1:-1]
    keras_capture.add(
        path,
        kind,
        inputs,
        kernel,
        None,
        outputs,
        options,
        groups=inputs.shape[1 if channels_first else -1] // kernel.shape[-2]
        if kind == "Conv"
        else 1,
        output_size=output_size,
    )


def common_options(
    rank: int, data_format: str, padding: str, strides: Any, dilation: Any
) -> dict[str, Any]:
    """The settings that every kind of convolution has."""
    space = "DHW"[3 - rank :]
    options: dict[str, Any] = {
        "input_layout": f"NC{space}" if data_format == "channels_first" else f"N{space}C",
        "padding": padding.lower(),
    }
    for key, value in (("stride", strides), ("dilation", dilation)):
        numbers = value if isinstance(value, tuple | list) else [value] * rank
        numbers = [int(number) for number in numbers]
        options |= {key: numbers} if max(numbers) > 1 else {}
    return options


@contextmanager
def replaced_attribute(holder: Any, name: str, value: Any) -> Iterator[None]:
    """Replaces an attribute of an object or a module, past Keras' own tracking of attributes."""
    present = name in vars(holder)
    old = vars(holder).get(name)
    vars(holder)[name] = value
    try:
        yield
    finally:
        if present:
            vars(holder)[name] = old
        else:
            del vars(holder)[name]


def as_array(tensor: Any) -> Any:
    """A tensor of any of Keras' backends as numpy's, bfloat16 as raw 2-byte items or as float32.

    Raises ValuesUnavailable for one of a graph that is only being built.
    """
    if type(tensor).__name__ in ("Variable", "KerasVariable"):
        tensor = getattr(tensor, "value", tensor)
    try:
        tensor = tensor.detach().cpu() if hasattr(tensor, "detach") else tensor
        is_torch_bfloat16 = str(getattr(tensor, "dtype", "")) == "torch.bfloat16"
        array = np.asarray(tensor.float() if is_torch_bfloat16 else tensor)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        if re.search("symbolic|graph|eager|traced", str(error).lower()):
            reason = (
                "it runs in a graph being traced, where tensors have no values; call model(x), "
                "or compile with run_eagerly=True"
            )
        raise ValuesUnavailable(reason) from None
    return array.view(np.dtype("V2")) if array.dtype.name == "bfloat16" else array
