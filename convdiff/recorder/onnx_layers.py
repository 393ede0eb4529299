"""ONNX models in ONNX Runtime: every Conv and ConvTranspose node.

Their tensors are made outputs of the graph. Source: the ONNX operators' documentation, Conv-22 and
ConvTranspose-22.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from convdiff.errors import ConvdiffError, one_of
from convdiff.recorder.capture_folder import CaptureFolder, RecordedLayer

OPERATORS = ("Conv", "ConvTranspose")
# Convolutions that are not recorded.
OTHER_CONVOLUTIONS = ("QLinearConv", "ConvInteger", "FusedConv", "NhwcConv", "DeformConv")
PADDING_WORDS = {"SAME_UPPER": "same", "SAME_LOWER": "same_lower", "VALID": "valid"}


class OnnxSession:
    """Runs the model and records its convolutions.

    Call it with the inputs, in their order or by name; it returns the outputs by name.
    """

    def __init__(self, model: Any, capture_folder: CaptureFolder) -> None:
        self._onnx, runtime = (importlib.import_module(name) for name in ("onnx", "onnxruntime"))
        self._capture_folder = capture_folder
        model = self._loaded(model)
        capture_folder.heading = (
            f"Captured from {model.graph.name or 'a graph'} in onnxruntime {runtime.__version__}."
        )
        self._note_unrecorded(model)
        self._nodes = [node for node in model.graph.node if node.op_type in OPERATORS]
        tensors = {name for node in self._nodes for name in (*node.input, *node.output) if name}
        initializers = {tensor.name: tensor for tensor in model.graph.initializer}
        self._constants = {
            name: self._onnx.numpy_helper.to_array(initializers[name])
            for name in tensors & initializers.keys()
        }
        self._inputs = [value.name for value in model.graph.input if value.name not in initializers]
        self._outputs = [output.name for output in model.graph.output]
        internal = sorted(tensors - set(self._outputs) - set(self._inputs) - set(initializers))
        self._fetched = [*self._outputs, *internal]
        watched = self._onnx.ModelProto()
        watched.CopyFrom(model)
        watched.graph.output.extend(self._onnx.ValueInfoProto(name=name) for name in internal)
        options = runtime.SessionOptions()
        options.log_severity_level = 4  # what it refuses is raised as an error
        self._session = _run_onnx_runtime(
            lambda: runtime.InferenceSession(
                watched.SerializeToString(), options, providers=runtime.get_available_providers()
            )
        )

    def _loaded(self, model: Any) -> Any:
        """The model, read from its file if it is a path, with its local functions inlined."""
        if isinstance(model, str | os.PathLike):
            path = os.fspath(model)
            try:
                model = self._onnx.load(path)
            except FileNotFoundError as error:
                raise ConvdiffError(
                    f"capture {path}: found no such file ({error.filename}), expected an ONNX model"
                ) from None
            except Exception as error:
                raise ConvdiffError(
                    f"capture {path}: cannot be read as ONNX ({str(error).splitlines()[0]})"
                ) from None
        if model.functions:
            model = importlib.import_module("onnx.inliner").inline_local_functions(model)
        return model

    def _note_unrecorded(self, model: Any) -> None:
        """Notes the convolutions of other operators, and those inside branches and functions."""
        for node in model.graph.node:
            name = node.name or node.op_type
            if node.op_type in OTHER_CONVOLUTIONS:
                self._capture_folder.skip(name, f"it is a {node.op_type}")
            if any(_has_convolutions(graph) for graph in _subgraphs(node)):
                self._capture_folder.skip(
                    name, f"convolutions inside a node of {node.op_type} are not looked at"
                )
        for function in model.functions:
            if _has_convolutions(function):
                self._capture_folder.skip(
                    function.name,
                    "convolutions inside a function of another opset than the model's are not "
                    "looked at",
                )

    def __call__(self, *inputs: Any, **named: Any) -> dict[str, Any]:
        """Run the model once, with the inputs in their order or by name."""
        if len(inputs) > len(self._inputs):
            raise ConvdiffError(
                f"found {len(inputs)} inputs, expected at most {len(self._inputs)}: "
                f"{', '.join(self._inputs)}"
            )
        return self.run({**dict(zip(self._inputs, inputs, strict=False)), **named})

    def missing(self, unnamed: int, named: set[str]) -> list[str]:
        """The inputs that are left out by that many values in order and by those names."""
        return [name for name in self._inputs[unnamed:] if name not in named]

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """Run the model once, with the inputs by name."""
        for name in feeds:
            if name not in self._inputs:
                raise one_of("input", name, self._inputs)
        inputs = {name: np.asarray(value) for name, value in feeds.items()}
        fetched = _run_onnx_runtime(lambda: self._session.run(self._fetched, inputs))
        results = dict(zip(self._fetched, fetched, strict=True))
        tensors = {**self._constants, **inputs, **results}
        for number, node in enumerate(self._nodes):
            self._record(node.name or node.output[0] or f"{node.op_type}-{number}", node, tensors)
        outputs = {name: results[name] for name in self._outputs}
        self._capture_folder.add_outputs(outputs, np.asarray)
        return outputs

    def _record(self, name: str, node: Any, tensors: Mapping[str, Any]) -> None:
        x, w, y = tensors[node.input[0]], tensors[node.input[1]], tensors[node.output[0]]
        bias = tensors[node.input[2]] if len(node.input) > 2 and node.input[2] else None
        attributes = {
            attribute.name: self._onnx.helper.get_attribute_value(attribute)
            for attribute in node.attribute
        }
        options = node_options(
            node.op_type == "ConvTranspose", attributes, x.shape[2:], w.shape[2:], y.shape[2:]
        )
        self._capture_folder.add(RecordedLayer(name, "onnx", x, w, y, bias, options))


def _subgraphs(node: Any) -> list[Any]:
    """The bodies of an If, a Loop or a Scan."""
    return [
        graph
        for attribute in node.attribute
        for graph in ([attribute.g] if attribute.HasField("g") else attribute.graphs)
    ]


def _has_convolutions(graph: Any) -> bool:
    return any(
        node.op_type in OPERATORS + OTHER_CONVOLUTIONS
        or any(map(_has_convolutions, _subgraphs(node)))
        for node in graph.node
    )


@contextmanager
def record_calls(model: Any, capture_folder: CaptureFolder) -> Iterator[OnnxSession]:
    """Yields a session that records when it is called."""
    yield OnnxSession(model, capture_folder)


def node_options(
    transposed: bool,
    attributes: Mapping[str, Any],
    input_size: Sequence[int],
    kernel_size: Sequence[int],
    output_size: Sequence[int],
) -> dict[str, Any]:
    """A node's attributes as the keys of a manifest."""
    rank = len(input_size)
    space = "DHW"[3 - rank :]
    options: dict[str, Any] = {
        "input_layout": f"NC{space}",
        "kernel_layout": f"{'IO' if transposed else 'OI'}{space}",
    }
    stride, dilation = (list(attributes.get(name, [1] * rank)) for name in ("strides", "dilations"))
    options |= {"stride": stride} if max(stride) > 1 else {}
    options |= {"dilation": dilation} if max(dilation) > 1 else {}
    groups = attributes.get("group", 1)
    options |= {"groups": groups} if groups > 1 else {}
    auto_pad = attributes.get("auto_pad", b"NOTSET")
    auto_pad = auto_pad.decode() if isinstance(auto_pad, bytes) else auto_pad
    # All the beginnings, then all the ends.
    pads = list(attributes.get("pads", [0] * 2 * rank))
    padding = [[pads[axis], pads[axis + rank]] for axis in range(rank)]
    if not transposed:
        return options | {"padding": PADDING_WORDS.get(auto_pad, padding)}
    output_padding = list(attributes.get("output_padding", [0] * rank))
    if auto_pad.startswith("SAME") or attributes.get("output_shape"):
        padding, output_padding = _padding_of_output_size(
            input_size,
            kernel_size,
            output_size,
            stride,
            dilation,
            output_padding,
            auto_pad == "SAME_UPPER",
        )
    elif auto_pad == "VALID":
        padding = [[0, 0]] * rank
    options |= {"transposed": True, "padding": padding}
    return options | ({"output_padding": output_padding} if any(output_padding) else {})


def _padding_of_output_size(
    input_size: Sequence[int],
    kernel_size: Sequence[int],
    output_size: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    output_padding: Sequence[int],
    odd_at_end: bool,
) -> tuple[list[list[int]], list[int]]:
    """The pairs and the output padding with which a ConvTranspose has the given output size.

    The total is split as ONNX does: of an odd total the larger half is at the end with SAME_UPPER,
    else at the start. A negative total becomes output padding.
    """
    pairs, tails = [], []
    for n, k, y, s, d, extra in zip(
        input_size, kernel_size, output_size, stride, dilation, output_padding, strict=True
    ):
        total = s * (n - 1) + extra + d * (k - 1) + 1 - y
        small, large = max(total, 0) // 2, max(total, 0) - max(total, 0) // 2
        pairs.append([small, large] if odd_at_end else [large, small])
        tails.append(extra + max(-total, 0))
    return pairs, tails


def _run_onnx_runtime(function: Callable[[], Any]) -> Any:
    """The result of `function`; an error of ONNX Runtime becomes a ConvdiffError of one line."""
    try:
        return function()
    except Exception as error:  # its errors have no common type
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConvdiffError(f"ONNX Runtime refuses the model or its inputs: {reason}") from None
