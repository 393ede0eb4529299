"""Made-up reports: those of the five examples, and one with all that is awkward to show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from convdiff.records import (
    Answer,
    Case,
    Edit,
    ErrorStats,
    Finding,
    OutputGroup,
    Report,
    Row,
    Status,
    Stored,
    Verdict,
)
from convdiff.spec.infer_spec import read_spec
from convdiff.spec.settings import Settings

HOSTILE = "[red]evil[/red]\x1b[2J\u202e 名字很长的文件"
LONG = "/home/somebody/experiments/2026-07-30/encoder/layer_12/very/long/path/to/port_output.npy"


def case(
    input: str,
    kernel: str,
    *notes: str,
    name: str = "run",
    bias: bool = False,
    dtype: str = "float32",
    **options: Any,
) -> Case:
    """A case whose arrays are described like "NWC 2x4x2"; the arrays themselves are left out."""
    array = Stored(np.zeros(1, np.float32), "float32", Path("x.npy"))
    (input_layout, input_shape), (kernel_layout, kernel_shape) = input.split(), kernel.split()
    settings = Settings(input_layout=input_layout, kernel_layout=kernel_layout, **options)
    spec, _ = read_spec(
        tuple(map(int, input_shape.split("x"))),
        tuple(map(int, kernel_shape.split("x"))),
        settings,
        bias=bias,
        dtype=dtype,
    )
    return Case(spec=spec, input=array, kernel=array, notes=notes, name=name)


def stats(
    max_abs: float,
    units: float,
    terms: int,
    differing: int,
    elements: int,
    worst: tuple[int, ...] = (0, 0, 0),
    obtained: float = 0.0,
    reference: float = 0.0,
) -> ErrorStats:
    return ErrorStats(max_abs, units, terms, differing, elements, worst, obtained, reference)


def backend(
    name: str,
    version: str,
    verdict: Verdict,
    error: ErrorStats,
    *aligned: str,
    path: str | None = None,
    **more: Any,
) -> Row:
    output = more.pop("output", None)
    answer = Answer(
        name,
        "backend",
        "ok",
        name.split(":")[0],  # "torch:cpu/native" is a path of torch
        version,
        path,
        seconds=0.01,
        aligned=aligned,
        output=output,
    )
    return Row(answer, verdict, error, **more)


def absent(name: str, status: Status, message: str, version: str | None = None) -> Row:
    return Row(Answer(name, "backend", status, name, version, message=message))


def saved(name: str, verdict: Verdict, error: ErrorStats | None, **more: Any) -> Row:
    return Row(Answer(name, "saved", "ok", stored="float32"), verdict, error, **more)


def call(
    name: str, backend: str, version: str, verdict: Verdict, error: ErrorStats, **more: Any
) -> Row:
    return Row(Answer(name, "call", "ok", backend, version), verdict, error, **more)


def edit(code: str, **fields: Any) -> Edit:
    return {"code": code, **fields}


def overlap() -> Report:
    exact = stats(0.0, 0.0, 2, 0, 40)
    error = stats(27.0, 2.7e7, 2, 20, 40, (0, 2, 0), 54.0, 27.0)
    finding = Finding(
        (edit("overlap-accumulated", counts=[[1, 2, 2, 1]]),),
        "overlapping windows were added up: positions along W were counted 1, 2, 2, 1 times",
        {
            "numpy": "# each product written once, not added where windows overlap\n"
            "for i in range(1, x.shape[1] - 1):\n    w1[:, i - 1:i + 2, :] = x[:, i - 1:i + 2, :] "
            "@ y"
        },
    )
    rows = (
        backend("numpy", "2.4.0", "identical", exact),
        backend("torch", "2.13.0", "identical", exact, "NCW/OIW", path="cpu/onednn"),
        backend("tensorflow", "2.21.0", "identical", exact, path="cpu/eager"),
        backend("jax", "0.10.2", "identical", exact, path="cpu/xla"),
        absent(
            "theano",
            "unavailable",
            "not installed; convdiff backends install theano builds an environment for it",
        ),
        saved(
            "loop.npy", "different", error, findings=(finding,), where="positions 1 and 2 along W"
        ),
        call(
            "loop.py:conv",
            "numpy",
            "2.4.0",
            "different",
            error,
            findings=(finding,),
            where="positions 1 and 2 along W",
        ),
    )
    note = "kernel layout WIO: the only reading that fits"
    return Report(
        case("NWC 2x4x2", "WIO 1x2x5", note, padding=0),
        rows,
        1,
        "convdiff run x.npy y.npy --saved loop.npy",
        0.0031,
    )


def flipped() -> Report:
    small = stats(1.19e-7, 0.62, 3, 0, 10)
    finding = Finding(
        (edit("kernel-flipped", axes=["W"]),),
        "the kernel was flipped along W: convolution, where cross-correlation was asked",
        {"numpy": "y = np.correlate(x[0, :, 0], w[:, 0, 0], 'same')"},
        ((edit("input-reversed", axes=["W"]), edit("input-reversed", axes=["W"])),),
    )
    rows = (
        backend("numpy", "2.4.0", "rounding", small),
        backend("tensorflow", "2.21.0", "rounding", small, path="cpu/eager"),
        call(
            "np.convolve",
            "numpy",
            "2.4.0",
            "different",
            stats(0.412, 1.34e6, 3, 9, 10, (0, 4, 0), -0.2, 0.212),
            findings=(finding,),
            where="everywhere but one element",
        ),
    )
    return Report(
        case("NWC 1x10x1", "WIO 3x1x1", padding=1), rows, 1, "convdiff run x.npy w.npy", 0.0004
    )


def groups() -> Report:
    exact = stats(0.0, 0.0, 3, 0, 48)
    finding = Finding(
        (edit("wrong-groups", asked=2, obtained=1),),
        "every output channel was computed from all input channels; 2 groups were asked",
        {
            "tensorflow": "# in TensorFlow the kernel's I axis says how many groups there are\n"
            "y = tf.nn.conv1d(tf.pad(x, [[0, 0], [2, 0], [0, 0]]), tf.ones([3, 1, 2]), 1, 'VALID')",
            "torch": "y = F.conv1d(F.pad(x, (2, 0)), w, groups=2)",
        },
        (
            (edit("scaled", factor=2.0),),
            (edit("kernel-reshaped", asked="WIO", obtained="WOI"), edit("input-channels-reversed")),
        ),
        ("the kernel is constant: its order cannot show",),
    )
    rows = (
        backend("torch", "2.13.0", "identical", exact, path="cpu/onednn"),
        backend(
            "tensorflow",
            "2.21.0",
            "identical",
            exact,
            "NWC/WIO",
            "padded by hand",
            path="cpu/eager",
        ),
        saved(
            "tf.npy",
            "different",
            stats(6.0, 3.4e7, 3, 48, 48, (5, 1, 3), 12.0, 6.0),
            findings=(finding,),
            where="everywhere",
        ),
    )
    note = "kernel layout OIW: what every framework here means by 2x1x3 with 2 groups"
    return Report(
        case("NCW 6x2x4", "OIW 2x1x3", note, groups=2, padding="2:0"),
        rows,
        1,
        "convdiff run x.npy w.npy",
    )


def product() -> Report:
    finding = Finding(
        (edit("kernel-not-flipped", axes=["H", "W"]),),
        "the kernel was not flipped: cross-correlation, where convolution was asked",
        {
            "numpy": "y = numpy.sum(x0 * w0[:, :, ::-1, ::-1])",
            "theano": "y = conv2d(x, w, filter_flip=True)",
        },
    )
    rows = (
        backend("theano", "1.1.2", "rounding", stats(3.7e-9, 0.31, 36, 0, 1), path="cpu/corrmm"),
        backend(
            "torch",
            "2.13.0",
            "rounding",
            stats(3.7e-9, 0.31, 36, 0, 1),
            "kernel flipped",
            path="cpu/onednn",
        ),
        call(
            "numpy.sum(x0*w0)",
            "numpy",
            "2.4.0",
            "different",
            stats(0.0501773, 4.2e6, 36, 1, 1, (0,) * 4, -0.09766821, -0.04749081),
            findings=(finding,),
        ),
    )
    note = "read as theano would: the kernel is flipped"
    return Report(
        case("NCHW 1x1x6x6", "OIHW 1x1x6x6", note, padding=0, flip=True),
        rows,
        1,
        "convdiff run x0.npy w0.npy --as theano",
        0.0002,
    )


def transposed() -> Report:
    exact = stats(0.0, 0.0, 6, 0, 10)
    finding = Finding(
        (edit("kernel-flipped", axes=["W"]), edit("kernel-channels-reversed", axis="O")),
        "the kernel was flipped along W and its output channels were reversed",
        {
            "jax": "dn = lax.conv_dimension_numbers(x.shape, filters.shape, ('NWC', 'WOI', "
            "'NWC'))\n"
            "y = lax.conv_general_dilated(x, filters[::-1], (1,), 'SAME', (1,), (1,), dn)"
        },
    )
    rows = (
        backend("tensorflow", "2.21.0", "identical", exact, path="cpu/eager"),
        backend(
            "jax",
            "0.10.2",
            "identical",
            exact,
            "stride as input dilation",
            "kernel flipped",
            path="cpu/xla",
        ),
        call(
            "accepted answer",
            "jax",
            "0.10.2",
            "different",
            stats(22.0, 1.8e7, 6, 10, 10, (0, 2, 0), -11.0, 11.0),
            findings=(finding,),
            where="everywhere",
        ),
    )
    return Report(
        case("NWC 1x5x2", "WOI 3x2x2", padding=1, transposed=True),
        rows,
        1,
        "convdiff run x.npy f.npy --transposed",
        0.0002,
    )


def awkward() -> Report:
    """Three axes, many rows, every status, hostile names, NaN, rivals, noise, and a long fix."""
    n, elements = 6721, 6422528
    output = np.arange(4, dtype=np.float32)
    reduced = Finding(
        (edit("reduced-precision", obtained="tf32", where="inputs"),),
        "the inputs were rounded to TF32 before they were multiplied",
        {"torch": "torch.backends.cudnn.allow_tf32 = False"},
        ((edit("reduced-precision", obtained="fp16", where="inputs"),),),
    )
    pads = "\n".join(
        f"x{i} = F.pad(x, (0, 1, 1, 2, 2, 3), mode='constant', value=0.0)  # step {i} of the "
        "alignment"
        for i in range(40)
    )
    asked = [[0, 1], [1, 2], [2, 3]]
    padding = Finding(
        (
            edit("wrong-padding", asked=asked, obtained=[[1, 0], [2, 1], [3, 2]]),
            edit("bias-missing", values=np.arange(9) / 10),
        ),
        "the odd zero of the padding was put at the start of D, H and W, not at the end, and the "
        "bias was not added",
        {
            "torch": "import torch\nimport torch.nn.functional as F\n\n# pad what torch cannot "
            f"pad by itself, the last axis first\n{pads}"
        },
        (
            (
                edit("wrong-padding", asked=asked, obtained=[[1, 1]] * 3),
                edit("bias-doubled", values=np.arange(9) / 10),
            ),
        ),
    )
    native = stats(2.38e-5, 58.0, n, 0, elements)
    rows = (
        backend("numpy", "2.4.0", "rounding", native),
        backend(
            "torch:cpu/native",
            "2.13.0",
            "rounding",
            native,
            "NCDHW/OIDHW",
            "padded by hand",
            path="cpu/native",
            output=output,
        ),
        backend(
            "torch:cpu/onednn",
            "2.13.0",
            "rounding",
            native,
            "NCDHW/OIDHW",
            "padded by hand",
            path="cpu/onednn",
            output=output.copy(),
        ),
        backend(
            "torch:cuda/cudnn/tf32",
            "2.13.0+cu130",
            "reduced-precision",
            stats(0.0123, 950.0, n, 0, elements, (1, 4, 33, 12, 100), 1.234567, 1.246867),
            "NCDHW/OIDHW",
            "padded by hand",
            path="cuda/cudnn/tf32",
            findings=(reduced,),
            where="everywhere",
        ),
        absent(
            "jax",
            "crashed",
            "killed by signal 9 (out of memory?)\nE bfc_allocator.cc:512 ran out of memory\n\tat x",
            "0.10.2",
        ),
        absent(
            "theano",
            "unsupported",
            "a 3-D convolution with asymmetric padding needs a detour that Theano does not offer",
        ),
        absent("torch@1.13", "timeout", "no answer in 60 s; --timeout sets the limit", "1.13.1"),
        absent(
            "cudnn", "failed", "CUDNN_STATUS_NOT_SUPPORTED: [red]this[/red] \x1b[31mis\x07 hostile"
        ),
        saved(
            LONG,
            "different",
            stats(12.3, 8.1e8, n, 6422000, elements, (0,) * 5, 1.2, -11.1),
            findings=(padding,),
            where="the border",
        ),
        saved(
            HOSTILE,
            "different",
            stats(float("nan"), float("inf"), n, 4, elements, (0,) * 5, float("nan"), -11.1),
            message=(
                "no explanation: 4 elements are NaN where the reference is finite; apart from "
                "these it agrees within rounding"
            ),
        ),
        saved(
            "noise",
            "different",
            stats(3.1, 2e8, n, elements, elements, (0,) * 5, 3.3, 0.2),
            message="no explanation: no known cause comes nearer than 3% of it",
            where="everywhere",
        ),
        saved(
            "other",
            "incomparable",
            None,
            message="its shape is 2x8x55x56x128, expected 2x8x56x56x128",
        ),
    )
    notes = (
        "the input has 3 NaN and 1 infinity; they compare by place and kind",
        "input layout NDHWC: only this reading fits the kernel",
    )
    convolution = case(
        "NDHWC 2x16x112x112x64",
        "DHWIO 3x5x7x64x128",
        *notes,
        name="encoder/layer_12/conv",
        padding="0:1,1:2,2:3",
        stride=2,
        bias=True,
    )
    identical = OutputGroup("identical", ("torch:cpu/native", "torch:cpu/onednn"))
    return Report(convolution, rows, 2, "convdiff check", 64.2, (identical,))


def agreeing() -> Report:
    rows = (
        backend(
            "torch",
            "2.13.0",
            "rounding",
            stats(2.4e-7, 3.1, 27, 0, 256),
            "NCHW/OIHW",
            "padded by hand",
            path="cpu/onednn",
        ),
        backend(
            "tensorflow", "2.21.0", "rounding", stats(2.4e-7, 2.9, 27, 0, 256), path="cpu/eager"
        ),
    )
    return Report(
        case("NHWC 1x8x8x3", "HWIO 3x3x3x16", padding="0:1,0:1", stride=2),
        rows,
        0,
        "convdiff run x.npy w.npy",
        0.0002,
    )


def empty() -> Report:
    return Report(
        case("HW 6x6", "HW 3x3", padding=0, dtype="float64"),
        (),
        2,
        "convdiff run",
    )


REPORTS = {
    make.__name__: make()
    for make in (overlap, flipped, groups, product, transposed, awkward, agreeing, empty)
}
