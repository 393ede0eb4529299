"""cuDNN without a framework, through its Python frontend: a graph of one node.

Device memory is allocated and passed by address.  Both modes of cuDNN are used, cross-correlation
and convolution.  A transposed convolution is the gradient with respect to the data (dgrad).
Channels come first; a 1-D convolution is a 2-D one with an axis of size 1.
"""

from __future__ import annotations

from convdiff.dialects.expressions import (
    broadcast_channels,
    index_text,
    is_permuted,
    to_layout,
    to_order,
    tuple_text,
)
from convdiff.dialects.numpy_steps import dilate_input, pad_input
from convdiff.dialects.script import Dialect, Script, ScriptBuilder, Unsupported
from convdiff.dialects.transposed import full_output
from convdiff.execution_paths import DEFAULT_PATH, ExecutionPath
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.padding import Pair

_IMPORTS = {
    "np": "import numpy as np",
    "cudnn": "import cudnn",
    "ml_dtypes": "import ml_dtypes",
    "cuda": "from cuda.bindings import runtime as cuda",
}
_TYPES = {"float32": "FLOAT", "float16": "HALF", "bfloat16": "BFLOAT16", "float64": "DOUBLE"}
_MEMORY_FUNCTIONS = """\
class Buffer(int):
    data_ptr = int.__int__  # where the frontend looks for the address


def check(result):
    status, *values = result
    if int(status):
        raise RuntimeError(f"CUDA: {status}")
    return values[0] if values else None


def on_device(array):
    buffer = Buffer(check(cuda.cudaMalloc(max(array.nbytes, 1))))
    direction = cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
    check(cuda.cudaMemcpy(buffer, array.ctypes.data, array.nbytes, direction))
    return buffer


def describe(array):
    steps = [step // array.itemsize for step in array.strides]
    return graph.tensor(dim=list(array.shape), stride=steps, data_type=kind)

"""


def write(spec: ConvSpec, path: ExecutionPath = DEFAULT_PATH) -> Script:
    """cuDNN code for `spec`.  Nothing is refused here: cuDNN itself reports a missing engine."""
    builder = ScriptBuilder(_IMPORTS, path)
    axes = "1W" if spec.rank == 1 else spec.axes
    order, kernel_order = f"NC{axes}", f"{'IO' if spec.transposed else 'OI'}{axes}"
    name = "input"
    pairs: tuple[Pair, ...] = spec.padding
    size = spec.output_size
    if spec.transposed:
        pairs, size = _forward_convolution(spec)
    else:
        name = dilate_input(spec, builder)
        # Few engines support padding that differs at the two ends.
        if not spec.pads_with_zeros or any(lo != hi or lo < 0 for lo, hi in pairs):
            name, pairs = pad_input(spec, builder, name), ((0, 0),) * spec.rank
    builder.add(_MEMORY_FUNCTIONS)
    builder.add(f"kind = cudnn.data_type.{_TYPES[spec.dtype]}")
    sums = "kind" if spec.dtype in ("float32", "float64") else "cudnn.data_type.FLOAT"
    builder.call(
        "graph",
        "cudnn.pygraph",
        "io_data_type=kind",
        f"intermediate_data_type={sums}",
        f"compute_data_type={sums}",
    )
    builder.add(
        f"x = np.ascontiguousarray({to_order(name, spec.input_layout, order)}, {_numpy(spec)})"
    )
    kernel = to_order("kernel", spec.kernel_layout.replace("M", "O"), kernel_order)
    if "M" in spec.kernel_layout and not spec.transposed:
        unit = (1,) if spec.rank == 1 else ()
        kernel = (
            to_order("kernel", spec.kernel_layout, f"IM{axes}")
            + f".reshape{tuple_text((spec.out_channels, 1, *unit, *spec.kernel_size))}"
        )
    builder.add(f"w = np.ascontiguousarray({kernel}, {_numpy(spec)})")
    if is_permuted(spec.input_layout, order) or is_permuted(
        spec.kernel_layout.replace("M", "O"), kernel_order
    ):
        builder.note(f"NC{spec.axes}/{'IO' if spec.transposed else 'OI'}{spec.axes}")
    builder.add("X, W = describe(x), describe(w)")
    builder.add("modes = cudnn._pybind_module.convolution_mode")
    zero, unit = ((0,), (1,)) if spec.rank == 1 else ((), ())
    builder.call(
        "Y",
        "graph.conv_dgrad" if spec.transposed else "graph.conv_fprop",
        "loss=X" if spec.transposed else "image=X",
        "filter=W" if spec.transposed else "weight=W",
        f"pre_padding={[*zero, *(lo for lo, _ in pairs)]}",
        f"post_padding={[*zero, *(hi for _, hi in pairs)]}",
        f"stride={[*unit, *spec.stride]}",
        f"dilation={[*unit, *spec.dilation]}",
        f"convolution_mode=modes.{'CONVOLUTION' if spec.flip else 'CROSS_CORRELATION'}",
    )
    shape = tuple_text((spec.batch, spec.out_channels, *unit, *size))
    builder.add(f"y = np.empty({shape}, {_numpy(spec)})")
    builder.add("Y.set_output(True).set_data_type(kind).set_dim(list(y.shape))")
    builder.add("Y.set_stride([step // y.itemsize for step in y.strides])")
    _run(builder)
    _finish(spec, builder, order, size)
    return builder.script()


def default(spec: ConvSpec, path: ExecutionPath = DEFAULT_PATH) -> Script:
    """Raises Unsupported: cuDNN has no default call."""
    raise Unsupported("cuDNN has no default call: every number is given by the caller")


def _numpy(spec: ConvSpec) -> str:
    return "ml_dtypes.bfloat16" if spec.dtype == "bfloat16" else f"np.{spec.dtype}"


def _forward_convolution(spec: ConvSpec) -> tuple[tuple[Pair, ...], tuple[int, ...]]:
    """Padding (the same at both ends) and output size of the convolution whose gradient this is.

    That is the output which the spec asks for where such a convolution exists, else the full one.
    """
    pairs: list[Pair] = []
    full = full_output(spec)
    for whole, (lo, _), out, s in zip(
        full.size, spec.padding, spec.output_size, spec.stride, strict=True
    ):
        pairs += [(lo, lo)] if 0 <= out + 2 * lo - whole < s and lo >= 0 else []
    if len(pairs) == spec.rank:
        return tuple(pairs), spec.output_size
    return ((0, 0),) * spec.rank, full.size


def _run(builder: ScriptBuilder) -> None:
    """Write the building of the graph, without the engines that the path excludes, and its run."""
    builder.add("graph.validate()\ngraph.build_operation_graph()")
    builder.add("graph.create_execution_plans([cudnn.heur_mode.A, cudnn.heur_mode.FALLBACK])")
    if builder.path.style == "no tf32":
        builder.add(
            "graph.deselect_numeric_notes([cudnn.numerical_note.TENSOR_CORE, "
            "cudnn.numerical_note.DOWN_CONVERT_INPUTS])"
        )
    builder.add("graph.check_support()\ngraph.build_plans()")
    builder.add("buffers = {X: on_device(x), W: on_device(w), Y: on_device(y)}")
    builder.add("workspace = on_device(np.empty(graph.get_workspace_size(), np.uint8))")
    builder.add("handle = cudnn.create_handle()")
    builder.add("graph.execute(buffers, workspace, handle=handle)")
    builder.add("check(cuda.cudaDeviceSynchronize())")
    builder.add(
        "check(cuda.cudaMemcpy(y.ctypes.data, buffers[Y], y.nbytes, "
        "cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost))"
    )
    builder.add(
        "for buffer in (*buffers.values(), workspace):\n    "
        "cuda.cudaFree(buffer)\ncudnn.destroy_handle(handle)"
    )


def _finish(spec: ConvSpec, builder: ScriptBuilder, order: str, size: tuple[int, ...]) -> None:
    if spec.dtype == "bfloat16":
        builder.add("y = y.astype(np.float32)")
    if size != spec.output_size:
        full = full_output(spec)
        if full.extended:
            gap = ((0, 0),) * (3 if spec.rank == 1 else 2)
            builder.add(f"y = np.pad(y, {(*gap, *full.extension)!r})")
            builder.note("output padded")
        if full.crops:
            builder.add(f"y = y{index_text(order, full.crops)}")
            builder.note("output cropped")
    output = to_layout("y", order, spec.output_layout)
    if spec.bias:
        bias = f"bias.astype({'np.float32' if spec.dtype == 'bfloat16' else _numpy(spec)})"
        output += f" + {broadcast_channels(bias, spec.output_layout)}"
    builder.add(f"output = {output}")


DIALECT = Dialect(write, default)
