"""cuDNN's Python frontend in a worker, with CUDA's own bindings for memory."""

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
    """CUDA's runtime as its package brings it, before cudnn is imported: the frontend looks for it
    among what is loaded already.
    """
    for folder in sys.path:
        for file in glob.glob(
            os.path.join(folder, "nvidia", "cuda_runtime", "lib", "libcudart.so.*")
        ):
            ctypes.CDLL(file, mode=ctypes.RTLD_GLOBAL)


load_runtime()


def names(cudnn: Any) -> dict[str, Any]:
    """cudnn and cuda.  An error where there is no GPU to run on: nothing of cuDNN runs without."""
    nodes = pathlib.Path("/dev")
    if not any(nodes.glob("nvidia[0-9]*")) and not (nodes / "dxg").exists():
        raise RuntimeError(
            "cuDNN runs on NVIDIA GPUs only, and this machine shows none (no /dev/nvidia0)"
        )
    cuda = importlib.import_module("cuda.bindings.runtime")
    error, count = cuda.cudaGetDeviceCount()
    if int(error) or not count:
        raise RuntimeError(f"CUDA finds no GPU ({error})")
    return {"cudnn": cudnn, "cuda": cuda}


def devices(cudnn: Any) -> list[str]:
    """The GPUs, with the version of the library itself."""
    cuda = importlib.import_module("cuda.bindings.runtime")
    count = cuda.cudaGetDeviceCount()[1]
    found = [cuda.cudaGetDeviceProperties(i)[1].name for i in range(count)]
    said = [
        f"cuda:{i} {name.decode() if isinstance(name, bytes) else name}"
        for i, name in enumerate(found)
    ]
    return [*said, f"cuDNN {cudnn.backend_version()}"]


def path(cudnn: Any) -> str:
    """As its heuristics choose."""
    return "tf32"


def missing(cudnn: Any) -> dict[str, str]:
    """With a GPU all of it is there."""
    return {}


def precision(cudnn: Any, path: str) -> list[tuple[str, str, str]]:
    """Tensor cores take float32 for TF32."""
    if path == "no-tf32" or os.environ.get("NVIDIA_TF32_OVERRIDE") == "0":
        return []
    cuda = importlib.import_module("cuda.bindings.runtime")
    if cuda.cudaGetDeviceProperties(0)[1].major < 8:
        return []
    off = "graph.deselect_numeric_notes([cudnn.numerical_note.TENSOR_CORE])"
    return [("tf32", "engines with numerical_note.TENSOR_CORE are allowed (the default)", off)]


def to_numpy(cudnn: Any, value: Any) -> Any:
    """Results are copied back by the code."""
    return None


def settings(cudnn: Any) -> Callable[[], object]:
    """All belong to a graph."""
    return lambda: None
