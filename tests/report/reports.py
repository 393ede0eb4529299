"""Made-up reports: what the five puzzles give, and one with everything that is awkward to show."""

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
    Report,
    Row,
    Status,
    Stored,
    Verdict,
)
from convdiff.spec.conv_spec import ConvSpec
from tests.specs import conv

HOSTILE = "[red]evil[/red]\x1b[2J\u202e 名字很长的文件"
LONG = "/home/somebody/experiments/2026-07-30/encoder/layer_12/very/long/path/to/port_output.npy"


def case(spec: ConvSpec, *notes: str, name: str = "run") -> Case:
    array = Stored(np.zeros(1, np.float32), "float32", Path("x.npy"))
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
        name.split(":")[0],
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
    none = stats(0.0, 0.0, 2, 0, 40)
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
        backend("numpy", "2.4.0", "identical", none),
        backend("torch", "2.13.0", "identical", none, "NCW/OIW", path="cpu/onednn"),
        backend("tensorflow", "2.21.0", "identical", none, path="cpu/eager"),
        backend("jax", "0.10.2", "identical", none, path="cpu/xla"),
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
    spec = conv("NWC WIO", n=4, k=1, c=2, o=5, batch=2)
    return Report(
        case(spec, "kernel layout WIO: the only reading that fits"),
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
    spec = conv("NWC WIO", n=10, k=3, padding=1)
    return Report(case(spec), rows, 1, "convdiff run x.npy w.npy", 0.0004)


def groups() -> Report:
    none = stats(0.0, 0.0, 3, 0, 48)
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
        backend("torch", "2.13.0", "identical", none, path="cpu/onednn"),
        backend(
            "tensorflow", "2.21.0", "identical", none, "NWC/WIO", "padded by hand", path="cpu/eager"
        ),
        saved(
            "tf.npy",
            "different",
            stats(6.0, 3.4e7, 3, 48, 48, (5, 1, 3), 12.0, 6.0),
            findings=(finding,),
            where="everywhere",
        ),
    )
    spec = conv("NCW OIW", n=4, k=3, c=2, o=2, batch=6, groups=2, padding=(2, 0))
    note = "kernel layout OIW: what every framework here means by 2x1x3 with 2 groups"
    return Report(case(spec, note), rows, 1, "convdiff run x.npy w.npy")


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
    spec = conv(n=6, k=6, flip=True)
    return Report(
        case(spec, "read as theano would: the kernel is flipped"),
        rows,
        1,
        "convdiff run x0.npy w0.npy --as theano",
        0.0002,
    )


def transposed() -> Report:
    none = stats(0.0, 0.0, 6, 0, 10)
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
        backend("tensorflow", "2.21.0", "identical", none, path="cpu/eager"),
        backend(
            "jax",
            "0.10.2",
            "identical",
            none,
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
    spec = conv("NWC WOI", n=5, k=3, c=2, o=2, padding=1, transposed=True)
    return Report(case(spec), rows, 1, "convdiff run x.npy f.npy --transposed", 0.0002)


def awkward() -> Report:
    """Three axes, many rows, every status, long and hostile names, NaN, rivals, noise, a long fix."""
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
    spec = conv(
        "NDHWC DHWIO",
        n=(16, 112, 112),
        k=(3, 5, 7),
        c=64,
        o=128,
        batch=2,
        stride=2,
        padding=((0, 1), (1, 2), (2, 3)),
        bias=True,
    )
    notes = (
        "the input has 3 NaN and 1 infinity; they compare by place and kind",
        "input layout NDHWC: only this reading fits the kernel",
    )
    return Report(case(spec, *notes, name="encoder/layer_12/conv"), rows, 2, "convdiff check", 64.2)


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
    spec = conv("NHWC HWIO", n=8, k=3, c=3, o=16, stride=2, padding=(0, 1))
    return Report(case(spec), rows, 0, "convdiff run x.npy w.npy", 0.0002)


def empty() -> Report:
    return Report(
        case(conv("HW HW", n=6, k=3, dtype="float64")),
        (),
        2,
        "convdiff run",
    )


REPORTS = {
    made.__name__: made()
    for made in (overlap, flipped, groups, product, transposed, awkward, agreeing, empty)
}
