"""cuDNN with no framework around it, through its Python frontend: a graph of one node, device
memory by its address.

Both of its modes, cross-correlation and convolution; a transposed convolution is the gradient with
respect to the data (dgrad). Channels first; 1-D is 2-D with an axis of 1.  Written after the
frontend's own description; see CONTRIBUTING.md for where it was run.
"""

from __future__ import annotations

from convdiff.dialects.by_hand import dilated_input, padded_input
from convdiff.dialects.script import Body, Dialect, Script, Unsupported
from convdiff.dialects.text import along_channels, arranged, index, moved, numbers, restored
from convdiff.dialects.transposed import full_output
from convdiff.execution_paths import PLAIN, ExecutionPath
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.padding import Pair

_IMPORTS = {
    "np": "import numpy as np",
    "cudnn": "import cudnn",
    "ml_dtypes": "import ml_dtypes",
    "cuda": "from cuda.bindings import runtime as cuda",
}
_TYPES = {"float32": "FLOAT", "float16": "HALF", "bfloat16": "BFLOAT16", "float64": "DOUBLE"}
_MEMORY = """\
class Buffer(int):
    data_ptr = int.__int__  # what the frontend asks for an address


def checked(done):
    status, *values = done
    if int(status):
        raise RuntimeError(f"CUDA: {status}")
    return values[0] if values else None


def on_device(array):
    buffer = Buffer(checked(cuda.cudaMalloc(max(array.nbytes, 1))))
    checked(cuda.cudaMemcpy(buffer, array.ctypes.data, array.nbytes, cuda.cudaMemcpyKind.cudaMemcpyHostToDevice))
    return buffer


def described(array):
    steps = [step // array.itemsize for step in array.strides]
    return graph.tensor(dim=list(array.shape), stride=steps, data_type=kind)

"""


def write(spec: ConvSpec, path: ExecutionPath = PLAIN) -> Script:
    """cuDNN code for `spec`: nothing is refused here, cuDNN says itself what it has no engine for."""
    body = Body(_IMPORTS, path)
    axes = "1W" if spec.rank == 1 else spec.axes
    order, kernel_order = f"NC{axes}", f"{'IO' if spec.transposed else 'OI'}{axes}"
    name = "input"
    pairs: tuple[Pair, ...] = spec.padding
    size = spec.output_size
    if spec.transposed:
        pairs, size = _forward(spec)
    else:
        name = dilated_input(spec, body)
        # Few engines take paddings that differ at the two ends.
        if spec.pad_mode != "constant" or any(lo != hi or lo < 0 for lo, hi in pairs):
            name, pairs = padded_input(spec, body, name), ((0, 0),) * spec.rank
    body.add(_MEMORY)
    body.add(f"kind = cudnn.data_type.{_TYPES[spec.dtype]}")
    sums = "kind" if spec.dtype in ("float32", "float64") else "cudnn.data_type.FLOAT"
    body.call(
        "graph",
        "cudnn.pygraph",
        "io_data_type=kind",
        f"intermediate_data_type={sums}",
        f"compute_data_type={sums}",
    )
    body.add(
        f"x = np.ascontiguousarray({arranged(name, spec.input_layout, order)}, {_numpy(spec)})"
    )
    kernel = arranged("kernel", spec.kernel_layout.replace("M", "O"), kernel_order)
    if "M" in spec.kernel_layout and not spec.transposed:
        one = (1,) if spec.rank == 1 else ()
        kernel = (
            arranged("kernel", spec.kernel_layout, f"IM{axes}")
            + f".reshape{numbers((spec.out_channels, 1, *one, *spec.kernel_size))}"
        )
    body.add(f"w = np.ascontiguousarray({kernel}, {_numpy(spec)})")
    if moved(spec.input_layout, order) or moved(spec.kernel_layout.replace("M", "O"), kernel_order):
        body.note(f"NC{spec.axes}/{'IO' if spec.transposed else 'OI'}{spec.axes}")
    body.add("X, W = described(x), described(w)")
    body.add("modes = cudnn._pybind_module.convolution_mode")
    zero, one = ((0,), (1,)) if spec.rank == 1 else ((), ())
    body.call(
        "Y",
        "graph.conv_dgrad" if spec.transposed else "graph.conv_fprop",
        "loss=X" if spec.transposed else "image=X",
        "filter=W" if spec.transposed else "weight=W",
        f"pre_padding={[*zero, *(lo for lo, _ in pairs)]}",
        f"post_padding={[*zero, *(hi for _, hi in pairs)]}",
        f"stride={[*one, *spec.stride]}",
        f"dilation={[*one, *spec.dilation]}",
        f"convolution_mode=modes.{'CONVOLUTION' if spec.flip else 'CROSS_CORRELATION'}",
    )
    shape = numbers((spec.batch, spec.out_channels, *one, *size))
    body.add(f"y = np.empty({shape}, {_numpy(spec)})")
    body.add("Y.set_output(True).set_data_type(kind).set_dim(list(y.shape))")
    body.add("Y.set_stride([step // y.itemsize for step in y.strides])")
    _run(body)
    _finish(spec, body, order, size)
    return body.script()


def default(spec: ConvSpec, path: ExecutionPath = PLAIN) -> Script:
    """There is no call of cuDNN's that says nothing: every number is the caller's."""
    raise Unsupported("cuDNN has no defaults: every number of a call is the caller's")


def _numpy(spec: ConvSpec) -> str:
    return "ml_dtypes.bfloat16" if spec.dtype == "bfloat16" else f"np.{spec.dtype}"


def _forward(spec: ConvSpec) -> tuple[tuple[Pair, ...], tuple[int, ...]]:
    """Padding, the same at both ends, and output size of the forward convolution whose gradient
    this is: the asked, else the full one's.
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


def _run(body: Body) -> None:
    """Build, without the engines that the path does without, and execute."""
    body.add("graph.validate()\ngraph.build_operation_graph()")
    body.add("graph.create_execution_plans([cudnn.heur_mode.A, cudnn.heur_mode.FALLBACK])")
    if body.path.style == "no tf32":
        body.add(
            "graph.deselect_numeric_notes([cudnn.numerical_note.TENSOR_CORE, "
            "cudnn.numerical_note.DOWN_CONVERT_INPUTS])"
        )
    body.add("graph.check_support()\ngraph.build_plans()")
    body.add("buffers = {X: on_device(x), W: on_device(w), Y: on_device(y)}")
    body.add("workspace = on_device(np.empty(graph.get_workspace_size(), np.uint8))")
    body.add("handle = cudnn.create_handle()")
    body.add("graph.execute(buffers, workspace, handle=handle)")
    body.add("checked(cuda.cudaDeviceSynchronize())")
    body.add(
        "checked(cuda.cudaMemcpy(y.ctypes.data, buffers[Y], y.nbytes, "
        "cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost))"
    )
    body.add(
        "for buffer in (*buffers.values(), workspace):\n    "
        "cuda.cudaFree(buffer)\ncudnn.destroy_handle(handle)"
    )


def _finish(spec: ConvSpec, body: Body, order: str, size: tuple[int, ...]) -> None:
    if spec.dtype == "bfloat16":
        body.add("y = y.astype(np.float32)")
    if size != spec.output_size:
        full = full_output(spec)
        if full.extended:
            gap = ((0, 0),) * (3 if spec.rank == 1 else 2)
            body.add(f"y = np.pad(y, {(*gap, *full.extension)!r})")
            body.note("output padded")
        if full.crops:
            body.add(f"y = y{index(order, full.crops)}")
            body.note("output cropped")
    output = restored("y", order, spec.output_layout)
    if spec.bias:
        bias = f"bias.astype({'np.float32' if spec.dtype == 'bfloat16' else _numpy(spec)})"
        output += f" + {along_channels(bias, spec.output_layout)}"
    body.add(f"output = {output}")


DIALECT = Dialect(write, default)
