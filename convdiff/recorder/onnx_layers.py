"""ONNX models through ONNX Runtime: every Conv and ConvTranspose node, its tensors made outputs of
the graph.

Source: the ONNX operators' documentation, Conv-22 and ConvTranspose-22.
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
QUANTIZED = ("QLinearConv", "ConvInteger", "FusedConv", "NhwcConv", "DeformConv")
WORDS = {"SAME_UPPER": "same", "SAME_LOWER": "same_lower", "VALID": "valid"}


class Session:
    """Runs the model and records its convolutions: call it with the inputs, by name or in their
    order; gives the outputs by name.
    """

    def __init__(self, model: Any, recording: CaptureFolder) -> None:
        onnx, runtime = importlib.import_module("onnx"), importlib.import_module("onnxruntime")
        if isinstance(model, str | os.PathLike):
            try:
                model = onnx.load(os.fspath(model))
            except FileNotFoundError as error:
                raise ConvdiffError(
                    f"capture {os.fspath(model)}: found no such file ({error.filename}), expected "
                    "an ONNX model"
                ) from None
            except Exception as error:
                raise ConvdiffError(
                    f"capture {os.fspath(model)}: cannot be read as ONNX "
                    f"({str(error).splitlines()[0]})"
                ) from None
        if model.functions:
            model = importlib.import_module("onnx.inliner").inline_local_functions(model)
        self._recording = recording
        recording.heading = (
            f"Captured from {model.graph.name or 'a graph'} in onnxruntime {runtime.__version__}."
        )
        self._outputs = [output.name for output in model.graph.output]
        self._nodes = [node for node in model.graph.node if node.op_type in OPERATORS]
        for node in model.graph.node:
            if node.op_type in QUANTIZED:
                recording.skip(node.name or node.op_type, f"it is a {node.op_type}")
            if any(_convolutions(graph) for graph in _graphs(node)):
                recording.skip(
                    node.name or node.op_type,
                    f"convolutions inside a node of {node.op_type} are not looked at",
                )
        for function in model.functions:
            if _convolutions(function):
                recording.skip(
                    function.name,
                    "convolutions inside a function of another opset than the model's are not "
                    "looked at",
                )
        wanted = {name for node in self._nodes for name in (*node.input, *node.output) if name}
        watched = onnx.ModelProto()
        watched.CopyFrom(model)
        constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self._constants = {
            name: onnx.numpy_helper.to_array(constants[name])
            for name in wanted
            if name in constants
        }
        self._inputs = [one.name for one in model.graph.input if one.name not in constants]
        shown = sorted(wanted - set(self._outputs) - set(self._inputs) - set(constants))
        watched.graph.output.extend(onnx.ValueInfoProto(name=name) for name in shown)
        self._asked = [*self._outputs, *shown]
        self._onnx = onnx
        quiet = runtime.SessionOptions()
        quiet.log_severity_level = 4  # what it refuses is told as an error
        self._session = _allowed(
            lambda: runtime.InferenceSession(
                watched.SerializeToString(), quiet, providers=runtime.get_available_providers()
            )
        )

    def __call__(self, *inputs: Any, **named: Any) -> dict[str, Any]:
        """Run once."""
        if len(inputs) > len(self._inputs):
            raise ConvdiffError(
                f"found {len(inputs)} inputs, expected at most {len(self._inputs)}: "
                f"{', '.join(self._inputs)}"
            )
        feeds = {**dict(zip(self._inputs, inputs, strict=False)), **named}
        return self.run(feeds)

    def missing(self, unnamed: int, named: set[str]) -> list[str]:
        """The inputs that so many values in order and these by name leave out."""
        return [name for name in self._inputs[unnamed:] if name not in named]

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """Run once, with the inputs by name."""
        for name in feeds:
            if name not in self._inputs:
                raise one_of("input", name, self._inputs)
        made = _allowed(
            lambda: self._session.run(
                self._asked, {name: np.asarray(value) for name, value in feeds.items()}
            )
        )
        found = dict(zip(self._asked, made, strict=True))
        tensors = {
            **self._constants,
            **{name: np.asarray(value) for name, value in feeds.items()},
            **found,
        }
        for number, node in enumerate(self._nodes):
            self._record(node.name or node.output[0] or f"{node.op_type}-{number}", node, tensors)
        given = {name: found[name] for name in self._outputs}
        self._recording.gave(given, np.asarray)
        return given

    def _record(self, name: str, node: Any, tensors: Mapping[str, Any]) -> None:
        x, w, y = tensors[node.input[0]], tensors[node.input[1]], tensors[node.output[0]]
        bias = tensors[node.input[2]] if len(node.input) > 2 and node.input[2] else None
        attributes = {
            one.name: self._onnx.helper.get_attribute_value(one) for one in node.attribute
        }
        options = settings(
            node.op_type == "ConvTranspose", attributes, x.shape[2:], w.shape[2:], y.shape[2:]
        )
        self._recording.add(RecordedLayer(name, "onnx", x, w, y, bias, options))


def _graphs(node: Any) -> list[Any]:
    """The bodies of an If, a Loop or a Scan."""
    return [
        graph
        for attribute in node.attribute
        for graph in ([attribute.g] if attribute.HasField("g") else attribute.graphs)
    ]


def _convolutions(graph: Any) -> bool:
    return any(
        node.op_type in OPERATORS + QUANTIZED or any(map(_convolutions, _graphs(node)))
        for node in graph.node
    )


@contextmanager
def recorded(model: Any, recording: CaptureFolder) -> Iterator[Session]:
    """Gives a session that records when it is called."""
    yield Session(model, recording)


def settings(
    transposed: bool,
    given: Mapping[str, Any],
    n: Sequence[int],
    k: Sequence[int],
    out: Sequence[int],
) -> dict[str, Any]:
    """A node's attributes as a manifest's keys; `n`, `k` and `out` are the sizes of input, kernel
    and output in space.
    """
    rank = len(n)
    space = "DHW"[3 - rank :]
    options: dict[str, Any] = {
        "input_layout": f"NC{space}",
        "kernel_layout": f"{'IO' if transposed else 'OI'}{space}",
    }
    stride, dilation = (list(given.get(name, [1] * rank)) for name in ("strides", "dilations"))
    options |= {
        key: values
        for key, values in (("stride", stride), ("dilation", dilation))
        if max(values) > 1
    }
    options |= {"groups": given["group"]} if given.get("group", 1) > 1 else {}
    auto = given.get("auto_pad", b"NOTSET")
    auto = auto.decode() if isinstance(auto, bytes) else auto
    pads = list(given.get("pads", [0] * 2 * rank))
    pairs = [[pads[axis], pads[axis + rank]] for axis in range(rank)]
    if not transposed:
        return options | {"padding": WORDS.get(auto, pairs)}
    tail = list(given.get("output_padding", [0] * rank))
    if auto.startswith("SAME") or given.get("output_shape"):
        pairs, tail = _to_size(n, k, out, stride, dilation, tail, auto == "SAME_UPPER")
    elif auto == "VALID":
        pairs = [[0, 0]] * rank
    return options | {
        "transposed": True,
        "padding": pairs,
        **({"output_padding": tail} if any(tail) else {}),
    }


def _to_size(
    n: Sequence[int],
    k: Sequence[int],
    out: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    tail: Sequence[int],
    upper: bool,
) -> tuple[list[list[int]], list[int]]:
    """Paddings for an output whose size is settled: the smaller half first with SAME_UPPER, else
    the larger; what is too long is added.
    """
    pairs, tails = [], []
    for m, kk, y, s, d, extra in zip(n, k, out, stride, dilation, tail, strict=True):
        total = s * (m - 1) + extra + d * (kk - 1) + 1 - y
        small = max(total, 0) // 2
        pairs.append([small, max(total, 0) - small] if upper else [max(total, 0) - small, small])
        tails.append(extra + max(-total, 0))
    return pairs, tails


def _allowed(do: Callable[[], Any]) -> Any:
    """What ONNX Runtime makes of it; ConvdiffError with the first line of its reason where it
    refuses.
    """
    try:
        return do()
    except Exception as error:  # its errors are of no common type
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConvdiffError(f"ONNX Runtime refuses the model or its inputs: {reason}") from None
