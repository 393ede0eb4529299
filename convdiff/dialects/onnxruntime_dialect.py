"""ONNX Runtime: a model of one node, Conv or ConvTranspose.

The kernel is an initializer, as in an exported model.  ONNX pads with zeros only, and has neither
negative padding nor input dilation nor a flip: those are done before the node.  The output of a
ConvTranspose is padded and cropped after it.
"""

from __future__ import annotations

from convdiff.dialects.expressions import (
    assumed_layout,
    axes_to_flip,
    broadcast_channels,
    index_text,
    is_permuted,
    misread_notes,
    reversal_index,
    to_layout,
    to_order,
    to_order_unpermuted,
    tuple_text,
)
from convdiff.dialects.numpy_steps import dilate_input, dilated_input_size, pad_input
from convdiff.dialects.script import (
    Dialect,
    Script,
    ScriptBuilder,
    Unsupported,
    require_default_call,
)
from convdiff.dialects.transposed import full_output, has_same_size
from convdiff.execution_paths import DEFAULT_PATH, ExecutionPath
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.padding import same_total, split_padding

_IMPORTS = {
    "np": "import numpy as np",
    "ort": "import onnxruntime as ort",
    "helper": "from onnx import TensorProto, helper, numpy_helper",
}
_TYPES = {"float32": "FLOAT", "float16": "FLOAT16", "float64": "DOUBLE"}


def write(spec: ConvSpec, path: ExecutionPath = DEFAULT_PATH) -> Script:
    """ONNX Runtime code for `spec`.

    Raises Unsupported for float64 (on the CPU) and bfloat16, and on the path cpu/auto_pad for a
    padding that no auto_pad expresses.
    """
    builder = _start(spec, path)
    order, kernel_order = _orders(spec)
    auto = _auto_pad(spec) if path.style == "auto_pad" else None
    name = "input"
    options: list[str | None] = []
    crops = any(side < 0 for pair in spec.padding for side in pair)
    has_pad_node = _has_pad_node(spec)
    if not spec.transposed:
        name = dilate_input(spec, builder)
        if not (spec.pads_with_zeros or has_pad_node) or crops:
            name = pad_input(spec, builder, name)
        elif auto is None and not has_pad_node:
            options.append(_pads(spec))
    builder.add(f"x = {_cast(to_order(name, spec.input_layout, order), spec)}")
    _kernel(spec, builder, kernel_order)
    if is_permuted(spec.input_layout, order) or is_permuted(
        spec.kernel_layout.replace("M", "O"), kernel_order
    ):
        builder.note(f"{order}/{kernel_order}")
    if auto is not None:
        options = [
            f'auto_pad="{auto}"',
            f"output_padding={list(spec.output_padding)}" if max(spec.output_padding) else None,
        ]
        builder.note(f"auto_pad={auto}")
    if spec.transposed and auto is None:
        _transposed(spec, builder)
    else:
        kind = "ConvTranspose" if spec.transposed else "Conv"
        _model(spec, builder, kind, options, spec.bias, padded=has_pad_node)
    builder.add(f"output = {to_layout('y', order, spec.output_layout)}")
    return builder.script()


def default(spec: ConvSpec, path: ExecutionPath = DEFAULT_PATH) -> Script:
    """The node on the arrays as they are, with auto_pad SAME_UPPER where the size fits."""
    require_default_call(path, "unoptimized", "auto_pad")
    if max(spec.input_dilation) > 1:
        raise Unsupported("ONNX's convolutions have no input dilation")
    builder = _start(spec, path)
    order, kernel_order = _orders(spec)
    builder.note(*misread_notes(spec, order, kernel_order))
    layouts = [assumed_layout(layout, order) for layout in (spec.input_layout, spec.output_layout)]
    builder.add(f"x = {_cast(to_order('input', layouts[0], order), spec)}")
    kernel = to_order_unpermuted("kernel", spec.kernel_layout, kernel_order)
    builder.add(f"w = {_cast(kernel, spec)}")
    if any(side < 0 for pair in spec.padding for side in pair):
        raise Unsupported("ONNX takes no negative pads")
    same = (
        has_same_size(spec)
        and (spec.transposed or any(map(any, spec.padding)))
        and max(spec.dilation) == 1
    )
    options: list[str | None] = ['auto_pad="SAME_UPPER"'] if same else [_pads(spec)]
    if spec.transposed and not same and max(spec.output_padding):
        options.append(f"output_padding={list(spec.output_padding)}")
    _model(spec, builder, "ConvTranspose" if spec.transposed else "Conv", options, spec.bias)
    builder.add(f"output = {to_layout('y', order, layouts[1])}")
    return builder.script()


def _start(spec: ConvSpec, path: ExecutionPath) -> ScriptBuilder:
    if spec.dtype == "bfloat16" or (spec.dtype == "float64" and not path.device):
        raise Unsupported(
            f"ONNX Runtime has no {spec.dtype} convolution{'' if path.device else ' on the CPU'}"
        )
    return ScriptBuilder(_IMPORTS, path)


def _orders(spec: ConvSpec) -> tuple[str, str]:
    return f"NC{spec.axes}", f"{'IO' if spec.transposed else 'OI'}{spec.axes}"


def _cast(text: str, spec: ConvSpec) -> str:
    return f"{text}.astype(np.{spec.dtype})"


def _pads(spec: ConvSpec) -> str | None:
    pads = [lo for lo, _ in spec.padding] + [hi for _, hi in spec.padding]
    return f"pads={pads}" if any(pads) else None


def _has_pad_node(spec: ConvSpec) -> bool:
    """Whether a node of its own pads: with one number, which Conv cannot."""
    sides = [side for pair in spec.padding for side in pair]
    one_number = spec.pad_value != 0 and not isinstance(spec.pad_value, tuple)
    return one_number and spec.pad_mode == "constant" and min(sides) >= 0 and any(sides)


def _kernel(spec: ConvSpec, builder: ScriptBuilder, order: str) -> None:
    if "M" in spec.kernel_layout and not spec.transposed:
        text = (
            to_order("kernel", spec.kernel_layout, f"IM{spec.axes}")
            + f".reshape{tuple_text((spec.out_channels, 1, *spec.kernel_size))}"
        )
    else:
        text = to_order("kernel", spec.kernel_layout.replace("M", "O"), order)
    if spec.flip and axes_to_flip(spec):
        text += reversal_index(order, axes_to_flip(spec))
        builder.note("kernel flipped")
    builder.add(f"w = {_cast(text, spec)}")


def _auto_pad(spec: ConvSpec) -> str:
    """The value of auto_pad for this padding.

    Raises Unsupported where there is none, or ONNX Runtime rejects it.
    """
    added = all(added < s for added, s in zip(spec.output_padding, spec.stride, strict=True))
    words = {"VALID": ((0, 0),) * spec.rank} if added else {}
    if max(spec.dilation) == 1 and not max(spec.output_padding):
        sizes = spec.output_size if spec.transposed else dilated_input_size(spec)
        totals = [
            same_total(n, k, s)
            for n, k, s in zip(sizes, spec.kernel_size, spec.stride, strict=True)
        ]
        if not spec.transposed or (
            has_same_size(spec)
            and all(k >= s for k, s in zip(spec.kernel_size, spec.stride, strict=True))
        ):
            words["SAME_LOWER"] = tuple(split_padding(total, odd_at_end=False) for total in totals)
            words["SAME_UPPER"] = tuple(split_padding(total, odd_at_end=True) for total in totals)
    if spec.pads_with_zeros:
        for word, pairs in reversed(words.items()):
            if pairs == spec.padding:
                return word
    raise Unsupported("no value of auto_pad that ONNX Runtime accepts has this padding")


def _model(
    spec: ConvSpec,
    builder: ScriptBuilder,
    kind: str,
    options: list[str | None],
    bias: bool,
    *,
    padded: bool = False,
) -> None:
    """Write the model with kernel w, and y, its output for x.

    `padded`: a node in front of the convolution pads with the pad value.
    """
    names = ["x", "w", "b"] if bias else ["x", "w"]
    if bias:
        builder.add(f"b = {_cast('bias', spec)}")
    options = [
        *options,
        f"strides={list(spec.stride)}" if max(spec.stride) > 1 else None,
        f"dilations={list(spec.dilation)}" if max(spec.dilation) > 1 else None,
        f"group={spec.groups}" if spec.groups > 1 else None,
    ]
    nodes, constants = "[node]", names[1:]
    read = ["padded", *names[1:]] if padded else names
    if padded:
        # All starts, then all ends, of N and C too.
        sides = [0, 0, *(lo for lo, _ in spec.padding), 0, 0, *(hi for _, hi in spec.padding)]
        builder.add(f"pads, value = np.array({sides}), np.array({spec.pad_value!r}, x.dtype)")
        builder.add('pad = helper.make_node("Pad", ["x", "pads", "value"], ["padded"])')
        nodes, constants = "[pad, node]", [*constants, "pads", "value"]
    quoted = ", ".join(f'"{name}"' for name in read)
    builder.call("node", "helper.make_node", f'"{kind}"', f"[{quoted}]", '["y"]', *options)
    element_type = f"TensorProto.{_TYPES[spec.dtype]}"
    builder.add(
        f'ends = [helper.make_tensor_value_info(name, {element_type}, None) for name in "xy"]'
    )
    arrays = ", ".join(f'numpy_helper.from_array({name}, "{name}")' for name in constants)
    if padded:
        pairs = ", ".join(f'"{name}": {name}' for name in constants)
        builder.add(f"constants = {{{pairs}}}")
        arrays = "numpy_helper.from_array(array, name) for name, array in constants.items()"
    builder.call(
        "graph", "helper.make_graph", nodes, '"conv"', "ends[:1]", "ends[1:]", f"[{arrays}]"
    )
    # The operators of 2019, which every version that is still in use reads.
    builder.add(
        'model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], '
        "ir_version=6)"
    )
    settings = None
    if builder.path.style == "unoptimized":
        builder.add("options = ort.SessionOptions()")
        builder.add("options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL")
        settings = "options"
    provider = builder.path.device or '"CPUExecutionProvider"'
    builder.call(
        "session",
        "ort.InferenceSession",
        "model.SerializeToString()",
        settings,
        f"providers=[{provider}]",
    )
    if builder.path.device:
        # Where the provider's libraries cannot be loaded, a session silently uses the processor.
        builder.add(
            'assert session.get_providers()[0] == "CUDAExecutionProvider", "CUDA\'s or cuDNN\'s '
            'libraries cannot be loaded"'
        )
    builder.add('(y,) = session.run(None, {"x": x})')


def _transposed(spec: ConvSpec, builder: ScriptBuilder) -> None:
    """Write the node, which itself crops, and adds less than a stride at the end.

    Where that is not enough, its full output is padded and cropped.
    """
    if all(
        lo >= 0 <= hi and added < s
        for (lo, hi), added, s in zip(spec.padding, spec.output_padding, spec.stride, strict=True)
    ):
        added = f"output_padding={list(spec.output_padding)}" if max(spec.output_padding) else None
        _model(spec, builder, "ConvTranspose", [_pads(spec), added], spec.bias)
        return
    full = full_output(spec)
    late = spec.bias and full.extended
    _model(spec, builder, "ConvTranspose", [], spec.bias and not late)
    if full.extended:
        builder.add(f"y = np.pad(y, {((0, 0), (0, 0), *full.extension)!r})")
        builder.note("output padded")
    if full.crops:
        builder.add(f"y = y{index_text(f'NC{spec.axes}', full.crops)}")
        builder.note("output cropped")
    if late:
        builder.add(f"y = y + {broadcast_channels(_cast('bias', spec), f'NC{spec.axes}')}")


DIALECT = Dialect(write, default)
