"""Adapter for torch, and the interface that every adapter implements.

An adapter is what a worker has to know about its framework.  It is one file in the syntax of Python
3.7 that imports nothing of convdiff and works with every version of the framework that is in use.
It defines the following names; `f` is the imported framework.

IMPORT
    The module to import.
LEAVE_OUT (optional)
    Modules that the framework imports where they are installed, at a cost in time, and that no
    convolution needs.
names(f)
    The names, besides np, under which code finds the framework: those that its users give it.
devices(f)
    The devices that it can compute on, the default first: "cpu", "cuda:0 NVIDIA H200".
path(f)
    The execution path of code that selects none, as in the table of paths.
missing(f)
    The `needs` in the table of paths that are not met, each with the reason.
precision(f, path) (optional)
    The settings in force that lower the precision of float32 convolutions on that path ("" for a
    call, whose path is unknown): for each the type, the setting, and the code that switches it off.
to_numpy(f, value)
    A numpy array; or a pair of it and the name of the type that it was widened from; or None where
    `value` does not belong to the framework.
settings(f)
    A function that restores the settings which a job may change.
transient(error) (optional)
    Whether another process caused the exception, so that another try may succeed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable
from typing import Any

IMPORT = "torch"

# Settings that change results or affect the next job.  Not every version has all of them; since
# torch 2.9 added fp32_precision, reading allow_tf32 may raise.
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
    """The processor, and the accelerators that arrays can be moved to."""
    names = ["cpu"]
    if torch.cuda.is_available():
        names += [
            f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())
        ]
    if hasattr(torch.backends, "mps") and torch.backends.mps.is_available():
        names.append("mps")
    return names


def path(torch: Any) -> str:
    """A path on the processor, where tensors are created by default."""
    return (
        "cpu/onednn"
        if has_onednn(torch) and read_flag(torch, "backends.mkldnn.enabled") is not False
        else "cpu/native"
    )


def has_onednn(torch: Any) -> bool:
    """Whether this build has oneDNN.

    Early versions do not import the module torch.backends.mkldnn by themselves.
    """
    import importlib

    try:
        return bool(importlib.import_module("torch.backends.mkldnn").is_available())
    except ImportError:
        return False


def missing(torch: Any) -> dict[str, str]:
    """The needs of the paths through oneDNN, torch.compile and accelerators that are not met."""
    reasons = {}
    build = f"torch {torch.__version__}"
    if not has_onednn(torch):
        reasons["onednn"] = f"{build} was built without oneDNN"
    if not hasattr(torch, "channels_last_3d"):
        reasons["channels_last"] = f"{build} has no channels_last"
    if read_flag(torch, "backends.mkldnn.conv.fp32_precision") is None:
        reasons["onednn-bf16"] = f"{build} has no torch.backends.mkldnn.conv.fp32_precision"
    elif not has_bfloat16(torch):
        reasons["onednn-bf16"] = "this processor has no bfloat16 arithmetic that oneDNN supports"
    compiler = os.environ.get("CXX", "g++")
    if not hasattr(torch, "compile"):
        reasons["inductor"] = f"{build} has no torch.compile"
    elif not shutil.which(compiler):
        reasons["inductor"] = f"there is no C++ compiler ({compiler})"
    if torch.version.cuda is None:
        reasons["cuda"] = f"{build} was built without CUDA"
    elif not torch.cuda.is_available():
        reasons["cuda"] = f"{build} for CUDA {torch.version.cuda} finds no GPU"
    if not (hasattr(torch.backends, "mps") and torch.backends.mps.is_available()):
        reasons["mps"] = f"{build} finds no MPS device"
    return reasons


def has_bfloat16(torch: Any) -> bool:
    """Whether oneDNN has bfloat16 arithmetic here; True where torch cannot tell."""
    try:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):
        return True  # the path is tried


def precision(torch: Any, path: str) -> list[tuple[str, str, str]]:
    """TF32 in cuDNN and cuBLAS, on GPUs that have it; bfloat16 and TF32 in oneDNN.

    oneDNN's are set in torch or by an environment variable.
    """
    lowered = []
    override = os.environ.get("NVIDIA_TF32_OVERRIDE")
    if (
        not path.startswith("cpu")
        and override != "0"
        and torch.cuda.is_available()
        and torch.cuda.get_device_capability() >= (8, 0)
    ):
        if override == "1":
            lowered.append(
                (
                    "tf32",
                    "NVIDIA_TF32_OVERRIDE=1 in the environment",
                    "NVIDIA_TF32_OVERRIDE=0 in the environment",
                )
            )
        elif path == "cuda/native":
            # Without cuDNN a convolution is a matrix product by cuBLAS.
            if read_flag(torch, "backends.cuda.matmul.fp32_precision") == "tf32" or read_flag(
                torch, "backends.cuda.matmul.allow_tf32"
            ):
                lowered.append(
                    (
                        "tf32",
                        "torch.backends.cuda.matmul.allow_tf32 = True",
                        "torch.backends.cuda.matmul.allow_tf32 = False",
                    )
                )
        elif read_flag(torch, "backends.cudnn.conv.fp32_precision") == "tf32" or read_flag(
            torch, "backends.cudnn.allow_tf32"
        ):
            lowered.append(
                (
                    "tf32",
                    "torch.backends.cudnn.allow_tf32 = True (the default)",
                    "torch.backends.cudnn.allow_tf32 = False",
                )
            )
    if not path.startswith(("cuda", "mps")):
        mode = read_flag(torch, "backends.mkldnn.conv.fp32_precision")
        if mode in ("bf16", "tf32"):
            name = "torch.backends.mkldnn.conv.fp32_precision"
            lowered.append((mode, f'{name} = "{mode}"', f'{name} = "ieee"'))
        mode = os.environ.get("ONEDNN_DEFAULT_FPMATH_MODE", "strict").lower()
        if mode != "strict":
            lowered.append(
                (
                    mode,
                    f"ONEDNN_DEFAULT_FPMATH_MODE={mode} in the environment",
                    "unset ONEDNN_DEFAULT_FPMATH_MODE",
                )
            )
    return lowered


def to_numpy(torch: Any, value: Any) -> Any:
    """A tensor as a numpy array, also on a device, sparse, quantized or with a gradient."""
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
    """Restores precision, algorithms, the default type, gradients and threads."""
    flags = {name: read_flag(torch, name) for name in FLAGS}
    calls = [
        (getattr(torch, get), getattr(torch, put), getattr(torch, get)())
        for get, put in CALLS
        if hasattr(torch, get)
    ]

    def restore() -> None:
        if "torch._dynamo" in sys.modules:
            # After some recompilations of one function, torch silently stops compiling it.
            torch._dynamo.reset()
        for get, put, kept in calls:
            if get() != kept:
                put(kept)
        for name, kept in flags.items():
            if kept is not None and read_flag(torch, name) != kept:
                holder, _, last = name.rpartition(".")
                with contextlib.suppress(AttributeError, RuntimeError):  # read-only in this version
                    setattr(resolve(torch, holder), last, kept)

    return restore


def resolve(torch: Any, dotted: str) -> Any:
    """The object at the end of a dotted name."""
    for part in dotted.split("."):
        torch = getattr(torch, part)
    return torch


def read_flag(torch: Any, dotted: str) -> Any:
    """A flag's value, None where this version does not have it or refuses to read it."""
    try:
        return resolve(torch, dotted)
    except Exception:  # torch 1.13 raises AssertionError for an unknown flag
        return None
