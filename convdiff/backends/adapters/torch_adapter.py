"""torch in a worker.

An adapter is the little that a worker has to know of its framework, and takes the imported
framework as first argument:

IMPORT            the module to import
LEAVE_OUT         modules that it imports if they are there, at some cost, and that no convolution
needs (may be absent) names(f)          the names, besides np, that code finds: those that the
framework's users give it devices(f)        where it computes: the default first ("cpu", "cuda:0
NVIDIA H200") to_numpy(f, v)    a numpy array, or one with the name of the type it was widened from;
None where v is not the framework's settings(f)       a function that puts back what a job may have
set path(f)           the path that code takes which asks for none, as the table of paths has it
missing(f)        what of the table's `needs` is not there, each with the reason precision(f, path)
the settings in force that lower the precision of float32 convolutions on that path ("": a call,
which may go
                  anywhere): what to, the setting, the line that switches it off (may be absent)
transient(e)      whether an error is another process's doing, and worth another try (may be absent)

Syntax of Python 3.7, any version of the framework that its users still have.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable
from typing import Any

IMPORT = "torch"

# What changes numbers, or the next job.  Not every version has all of them; torch 2.9 brought
# fp32_precision, beside which reading allow_tf32 may raise.
FLAGS = (
    "backends.fp32_precision",
    "backends.cuda.matmul.fp32_precision",
    "backends.cudnn.fp32_precision",
    "backends.cudnn.conv.fp32_precision",
    "backends.mkldnn.fp32_precision",
    "backends.mkldnn.conv.fp32_precision",
    "backends.cuda.matmul.allow_tf32",
    "backends.cuda.matmul.allow_fp16_reduced_precision_reduction",
    "backends.cuda.matmul.allow_bf16_reduced_precision_reduction",
    "backends.cudnn.allow_tf32",
    "backends.cudnn.enabled",
    "backends.cudnn.benchmark",
    "backends.cudnn.deterministic",
    "backends.mkldnn.enabled",
)
CALLS = (
    ("get_default_dtype", "set_default_dtype"),
    ("is_grad_enabled", "set_grad_enabled"),
    ("get_num_threads", "set_num_threads"),
    ("get_float32_matmul_precision", "set_float32_matmul_precision"),
    ("are_deterministic_algorithms_enabled", "use_deterministic_algorithms"),
)


def names(torch: Any) -> dict[str, Any]:
    """torch, nn and F."""
    return {"torch": torch, "nn": torch.nn, "F": torch.nn.functional}


def devices(torch: Any) -> list[str]:
    """The processor, and the accelerators code can move to."""
    found = ["cpu"]
    if torch.cuda.is_available():
        found += [
            f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())
        ]
    if hasattr(torch.backends, "mps") and torch.backends.mps.is_available():
        found.append("mps")
    return found


def path(torch: Any) -> str:
    """Tensors are made on the processor."""
    return (
        "cpu/onednn"
        if onednn(torch) and read(torch, "backends.mkldnn.enabled") is not False
        else "cpu/native"
    )


def onednn(torch: Any) -> bool:
    """Whether this build has oneDNN.  Early versions import the module that says so only when it is
    asked for.
    """
    import importlib

    try:
        return bool(importlib.import_module("torch.backends.mkldnn").is_available())
    except ImportError:
        return False


def missing(torch: Any) -> dict[str, str]:
    """oneDNN and its bfloat16 arithmetic, torch.compile, accelerators."""
    lacks = {}
    build = f"torch {torch.__version__}"
    if not onednn(torch):
        lacks["onednn"] = f"{build} was built without oneDNN"
    if not hasattr(torch, "channels_last_3d"):
        lacks["channels_last"] = f"{build} has no channels_last"
    if read(torch, "backends.mkldnn.conv.fp32_precision") is None:
        lacks["onednn-bf16"] = f"{build} has no torch.backends.mkldnn.conv.fp32_precision"
    elif not bfloat16(torch):
        lacks["onednn-bf16"] = "this processor has no bfloat16 arithmetic that oneDNN knows"
    compiler = os.environ.get("CXX", "g++")
    if not hasattr(torch, "compile"):
        lacks["inductor"] = f"{build} has no torch.compile"
    elif not shutil.which(compiler):
        lacks["inductor"] = f"there is no C++ compiler ({compiler})"
    if torch.version.cuda is None:
        lacks["cuda"] = f"{build} was built without CUDA"
    elif not torch.cuda.is_available():
        lacks["cuda"] = f"{build} for CUDA {torch.version.cuda} finds no GPU"
    if not (hasattr(torch.backends, "mps") and torch.backends.mps.is_available()):
        lacks["mps"] = f"{build} finds no MPS device"
    return lacks


def bfloat16(torch: Any) -> bool:
    """Whether oneDNN has bfloat16 arithmetic on this processor, as far as torch tells."""
    try:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):
        return True  # it does not tell: the path is tried


def precision(torch: Any, path: str) -> list[tuple[str, str, str]]:
    """TF32 in cuDNN or cuBLAS, on processors that have it; bfloat16 and TF32 in oneDNN, by torch or
    by the environment.
    """
    found = []
    override = os.environ.get("NVIDIA_TF32_OVERRIDE")
    if (
        not path.startswith("cpu")
        and override != "0"
        and torch.cuda.is_available()
        and torch.cuda.get_device_capability() >= (8, 0)
    ):
        if override == "1":
            found.append(
                (
                    "tf32",
                    "NVIDIA_TF32_OVERRIDE=1 in the environment",
                    "NVIDIA_TF32_OVERRIDE=0 in the environment",
                )
            )
        elif path == "cuda/native":
            # Without cuDNN a convolution is a product of matrices, cuBLAS'.
            if read(torch, "backends.cuda.matmul.fp32_precision") == "tf32" or read(
                torch, "backends.cuda.matmul.allow_tf32"
            ):
                found.append(
                    (
                        "tf32",
                        "torch.backends.cuda.matmul.allow_tf32 = True",
                        "torch.backends.cuda.matmul.allow_tf32 = False",
                    )
                )
        elif read(torch, "backends.cudnn.conv.fp32_precision") == "tf32" or read(
            torch, "backends.cudnn.allow_tf32"
        ):
            found.append(
                (
                    "tf32",
                    "torch.backends.cudnn.allow_tf32 = True (the default)",
                    "torch.backends.cudnn.allow_tf32 = False",
                )
            )
    if not path.startswith(("cuda", "mps")):
        mode = read(torch, "backends.mkldnn.conv.fp32_precision")
        if mode in ("bf16", "tf32"):
            name = "torch.backends.mkldnn.conv.fp32_precision"
            found.append((mode, f'{name} = "{mode}"', f'{name} = "ieee"'))
        mode = os.environ.get("ONEDNN_DEFAULT_FPMATH_MODE", "strict").lower()
        if mode != "strict":
            found.append(
                (
                    mode,
                    f"ONEDNN_DEFAULT_FPMATH_MODE={mode} in the environment",
                    "unset ONEDNN_DEFAULT_FPMATH_MODE",
                )
            )
    return found


def to_numpy(torch: Any, value: Any) -> Any:
    """Any tensor: with gradient, on a device, sparse, quantized, lazily conjugated."""
    if not isinstance(value, torch.Tensor):
        return None
    tensor, stored = value.detach().cpu(), None
    if tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    if tensor.is_quantized:
        tensor = tensor.dequantize()
    if str(tensor.dtype).startswith(("torch.bfloat16", "torch.float8")):
        tensor, stored = tensor.float(), str(tensor.dtype)[len("torch.") :]
    for lazy in ("resolve_conj", "resolve_neg"):
        if hasattr(tensor, lazy):
            tensor = getattr(tensor, lazy)()
    return tensor.numpy() if stored is None else (tensor.numpy(), stored)


def settings(torch: Any) -> Callable[[], object]:
    """Flags that decide precision and algorithm, the default type, gradients, threads."""
    flags = {name: read(torch, name) for name in FLAGS}
    calls = [
        (getattr(torch, get), getattr(torch, put), getattr(torch, get)())
        for get, put in CALLS
        if hasattr(torch, get)
    ]

    def restore() -> None:
        if "torch._dynamo" in sys.modules:
            # after some recompilations of one function it would quietly compile no more
            torch._dynamo.reset()
        for get, put, kept in calls:
            if get() != kept:
                put(kept)
        for name, kept in flags.items():
            if kept is not None and read(torch, name) != kept:
                holder, _, last = name.rpartition(".")
                with contextlib.suppress(AttributeError, RuntimeError):  # read-only in this version
                    setattr(walk(torch, holder), last, kept)

    return restore


def walk(torch: Any, dotted: str) -> Any:
    """The object at the end of a dotted name."""
    for part in dotted.split("."):
        torch = getattr(torch, part)
    return torch


def read(torch: Any, dotted: str) -> Any:
    """A flag's value; None where this version has no such flag or will not say."""
    try:
        return walk(torch, dotted)
    except Exception:  # torch 1.13 raises an AssertionError of its own
        return None
