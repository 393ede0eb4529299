"""Adapter for cuDNN: NVIDIA's Python frontend, with CUDA's own bindings for device memory."""

from __future__ import annotations

import ctypes
import glob
import importlib
import os
import pathlib
import sys
from collections.abc import Callable
from typing import Any

IMPORT = "cudnn"


def load_runtime() -> None:
    """Load the CUDA runtime of the package nvidia-cuda-runtime, before cudnn is imported.

    The frontend looks for it only among the libraries that are loaded already.
    """
    for folder in sys.path:
        for file in glob.glob(
            os.path.join(folder, "nvidia", "cuda_runtime", "lib", "libcudart.so.*")
        ):
            ctypes.CDLL(file, mode=ctypes.RTLD_GLOBAL)


load_runtime()


def names(cudnn: Any) -> dict[str, Any]:
    """cudnn and cuda.  Raises RuntimeError where there is no GPU, without which nothing runs."""
    devices = pathlib.Path("/dev")
    if not any(devices.glob("nvidia[0-9]*")) and not (devices / "dxg").exists():
        raise RuntimeError(
            "cuDNN runs on NVIDIA GPUs only, and this machine has none (no /dev/nvidia0)"
        )
    cuda = importlib.import_module("cuda.bindings.runtime")
    error, count = cuda.cudaGetDeviceCount()
    if int(error) or not count:
        raise RuntimeError(f"CUDA finds no GPU ({error})")
    return {"cudnn": cudnn, "cuda": cuda}


def devices(cudnn: Any) -> list[str]:
    """The GPUs, then the version of the cuDNN library."""
    cuda = importlib.import_module("cuda.bindings.runtime")
    count = cuda.cudaGetDeviceCount()[1]
    names = [cuda.cudaGetDeviceProperties(i)[1].name for i in range(count)]
    gpus = [
        f"cuda:{i} {name.decode() if isinstance(name, bytes) else name}"
        for i, name in enumerate(names)
    ]
    return [*gpus, f"cuDNN {cudnn.backend_version()}"]


def path(cudnn: Any) -> str:
    """The engine that cuDNN's heuristics choose, which may use TF32."""
    return "tf32"


def missing(cudnn: Any) -> dict[str, str]:
    """Every path needs the GPU alone."""
    return {}


def precision(cudnn: Any, path: str) -> list[tuple[str, str, str]]:
    """Tensor cores round float32 operands to TF32."""
    if path == "no-tf32" or os.environ.get("NVIDIA_TF32_OVERRIDE") == "0":
        return []
    cuda = importlib.import_module("cuda.bindings.runtime")
    if cuda.cudaGetDeviceProperties(0)[1].major < 8:
        return []
    off = "graph.deselect_numeric_notes([cudnn.numerical_note.TENSOR_CORE])"
    return [("tf32", "engines with numerical_note.TENSOR_CORE are allowed (the default)", off)]


def to_numpy(cudnn: Any, value: Any) -> Any:
    """The code itself copies its result back into a numpy array."""
    return None


def settings(cudnn: Any) -> Callable[[], object]:
    """Every setting belongs to a graph, so there is nothing to restore."""
    return lambda: None
