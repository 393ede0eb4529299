"""ONNX Runtime: a model of one node, Conv or ConvTranspose, its kernel an initializer as in any
exported model.

ONNX has no padding but zeros, none negative, no input dilation and no flip: those are done before
the node.  What the output of a ConvTranspose lacks or has too much of is filled and cut after it.
"""

from __future__ import annotations

from convdiff.dialects.by_hand import dilated_input, dilated_size, padded_input
from convdiff.dialects.script import Body, Dialect, Script, Unsupported, same_call
from convdiff.dialects.text import (
    along_channels,
    arranged,
    as_is,
    axes_to_flip,
    index,
    misread,
    moved,
    numbers,
    restored,
    reversed_axes,
)
from convdiff.dialects.transposed import full_output, same_like
from convdiff.execution_paths import PLAIN, ExecutionPath
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.padding import same_total, split_padding

_IMPORTS = {
    "np": "import numpy as np",
    "ort": "import onnxruntime as ort",
    "helper": "from onnx import TensorProto, helper, numpy_helper",
}
_TYPES = {"float32": "FLOAT", "float16": "FLOAT16", "float64": "DOUBLE"}


def write(spec: ConvSpec, path: ExecutionPath = PLAIN) -> Script:
    """ONNX Runtime code for `spec`; Unsupported for float64 and bfloat16, and where no auto_pad
    says a padding that is to be said so.
    """
    body = _body(spec, path)
    order, kernel_order = _orders(spec)
    auto = _auto_pad(spec) if path.style == "auto_pad" else None
    name = "input"
    options: list[str | None] = []
    if not spec.transposed:
        name = dilated_input(spec, body)
        if spec.pad_mode != "constant" or any(side < 0 for pair in spec.padding for side in pair):
            name = padded_input(spec, body, name)
        elif auto is None:
            options.append(_pads(spec))
    body.add(f"x = {_cast(arranged(name, spec.input_layout, order), spec)}")
    _kernel(spec, body, kernel_order)
    if moved(spec.input_layout, order) or moved(spec.kernel_layout.replace("M", "O"), kernel_order):
        body.note(f"{order}/{kernel_order}")
    if auto is not None:
        options = [
            f'auto_pad="{auto}"',
            f"output_padding={list(spec.output_padding)}" if max(spec.output_padding) else None,
        ]
        body.note(f"auto_pad={auto}")
    if spec.transposed and auto is None:
        _transposed(spec, body)
    else:
        _model(spec, body, "ConvTranspose" if spec.transposed else "Conv", options, spec.bias)
    body.add(f"output = {restored('y', order, spec.output_layout)}")
    return body.script()


def default(spec: ConvSpec, path: ExecutionPath = PLAIN) -> Script:
    """The node on the arrays as they lie, with auto_pad SAME_UPPER where the output has its size."""
    same_call(path, "unoptimized", "auto_pad")
    if max(spec.input_dilation) > 1:
        raise Unsupported("ONNX's convolutions have no input dilation")
    body = _body(spec, path)
    order, kernel_order = _orders(spec)
    body.note(*misread(spec, order, kernel_order))
    layouts = [as_is(layout, order) for layout in (spec.input_layout, spec.output_layout)]
    body.add(f"x = {_cast(arranged('input', layouts[0], order), spec)}")
    body.add(
        "w = "
        f"{_cast(arranged('kernel', as_is(spec.kernel_layout, kernel_order), kernel_order), spec)}"
    )
    if any(side < 0 for pair in spec.padding for side in pair):
        raise Unsupported("ONNX takes no negative pads")
    same = (
        same_like(spec)
        and (spec.transposed or any(map(any, spec.padding)))
        and max(spec.dilation) == 1
    )
    options: list[str | None] = ['auto_pad="SAME_UPPER"'] if same else [_pads(spec)]
    if spec.transposed and not same and max(spec.output_padding):
        options.append(f"output_padding={list(spec.output_padding)}")
    _model(spec, body, "ConvTranspose" if spec.transposed else "Conv", options, spec.bias)
    body.add(f"output = {restored('y', order, layouts[1])}")
    return body.script()


def _body(spec: ConvSpec, path: ExecutionPath) -> Body:
    if spec.dtype == "bfloat16" or (spec.dtype == "float64" and not path.device):
        raise Unsupported(
            f"ONNX Runtime has no {spec.dtype} convolution{'' if path.device else ' on the CPU'}"
        )
    return Body(_IMPORTS, path)


def _orders(spec: ConvSpec) -> tuple[str, str]:
    return f"NC{spec.axes}", f"{'IO' if spec.transposed else 'OI'}{spec.axes}"


def _cast(text: str, spec: ConvSpec) -> str:
    return f"{text}.astype(np.{spec.dtype})"


def _pads(spec: ConvSpec) -> str | None:
    pads = [lo for lo, _ in spec.padding] + [hi for _, hi in spec.padding]
    return f"pads={pads}" if any(pads) else None


def _kernel(spec: ConvSpec, body: Body, order: str) -> None:
    if "M" in spec.kernel_layout and not spec.transposed:
        text = (
            arranged("kernel", spec.kernel_layout, f"IM{spec.axes}")
            + f".reshape{numbers((spec.out_channels, 1, *spec.kernel_size))}"
        )
    else:
        text = arranged("kernel", spec.kernel_layout.replace("M", "O"), order)
    if spec.flip and axes_to_flip(spec):
        text += reversed_axes(order, axes_to_flip(spec))
        body.note("kernel flipped")
    body.add(f"w = {_cast(text, spec)}")


def _auto_pad(spec: ConvSpec) -> str:
    """The word of auto_pad for this padding; Unsupported where there is none, or ONNX Runtime
    refuses it.
    """
    added = all(added < s for added, s in zip(spec.output_padding, spec.stride, strict=True))
    words = {"VALID": ((0, 0),) * spec.rank} if added else {}
    if max(spec.dilation) == 1 and not max(spec.output_padding):
        sizes = spec.output_size if spec.transposed else dilated_size(spec)
        totals = [
            same_total(n, k, s)
            for n, k, s in zip(sizes, spec.kernel_size, spec.stride, strict=True)
        ]
        if not spec.transposed or (
            same_like(spec)
            and all(k >= s for k, s in zip(spec.kernel_size, spec.stride, strict=True))
        ):
            words["SAME_LOWER"] = tuple(split_padding(total, odd_at_end=False) for total in totals)
            words["SAME_UPPER"] = tuple(split_padding(total, odd_at_end=True) for total in totals)
    if spec.pad_mode == "constant":
        for word, pairs in reversed(words.items()):
            if pairs == spec.padding:
                return word
    raise Unsupported("no auto_pad says this padding, as ONNX Runtime takes it")


def _model(spec: ConvSpec, body: Body, kind: str, options: list[str | None], bias: bool) -> None:
    """Writes the model around w, and y, its output for x."""
    names = ["x", "w", "b"] if bias else ["x", "w"]
    if bias:
        body.add(f"b = {_cast('bias', spec)}")
    options = [
        *options,
        f"strides={list(spec.stride)}" if max(spec.stride) > 1 else None,
        f"dilations={list(spec.dilation)}" if max(spec.dilation) > 1 else None,
        f"group={spec.groups}" if spec.groups > 1 else None,
    ]
    quoted = ", ".join(f'"{name}"' for name in names)
    body.call("node", "helper.make_node", f'"{kind}"', f"[{quoted}]", '["y"]', *options)
    kind_of = f"TensorProto.{_TYPES[spec.dtype]}"
    body.add(f'ends = [helper.make_tensor_value_info(name, {kind_of}, None) for name in "xy"]')
    arrays = ", ".join(f'numpy_helper.from_array({name}, "{name}")' for name in names[1:])
    body.call(
        "graph", "helper.make_graph", "[node]", '"conv"', "ends[:1]", "ends[1:]", f"[{arrays}]"
    )
    # Operators as they have been since 2019: any version that is still in use reads them.
    body.add(
        'model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], '
        "ir_version=6)"
    )
    settings = None
    if body.path.style == "unoptimized":
        body.add("options = ort.SessionOptions()")
        body.add("options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL")
        settings = "options"
    provider = body.path.device or '"CPUExecutionProvider"'
    body.call(
        "session",
        "ort.InferenceSession",
        "model.SerializeToString()",
        settings,
        f"providers=[{provider}]",
    )
    if body.path.device:
        # Where the provider's libraries cannot be loaded it takes the processor without a word.
        body.add(
            'assert session.get_providers()[0] == "CUDAExecutionProvider", "CUDA\'s or cuDNN\'s '
            'libraries cannot be loaded"'
        )
    body.add('(y,) = session.run(None, {"x": x})')


def _transposed(spec: ConvSpec, body: Body) -> None:
    """The node crops and adds less than a stride at the end; otherwise its full output is cut or
    filled.
    """
    if all(
        lo >= 0 <= hi and added < s
        for (lo, hi), added, s in zip(spec.padding, spec.output_padding, spec.stride, strict=True)
    ):
        added = f"output_padding={list(spec.output_padding)}" if max(spec.output_padding) else None
        _model(spec, body, "ConvTranspose", [_pads(spec), added], spec.bias)
        return
    full = full_output(spec)
    late = spec.bias and full.extended
    _model(spec, body, "ConvTranspose", [], spec.bias and not late)
    if full.extended:
        body.add(f"y = np.pad(y, {((0, 0), (0, 0), *full.extension)!r})")
        body.note("output padded")
    if full.crops:
        body.add(f"y = y{index(f'NC{spec.axes}', full.crops)}")
        body.note("output cropped")
    if late:
        body.add(f"y = y + {along_channels(_cast('bias', spec), f'NC{spec.axes}')}")


DIALECT = Dialect(write, default)
