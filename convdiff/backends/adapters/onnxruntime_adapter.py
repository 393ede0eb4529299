"""Adapter for ONNX Runtime, with onnx to build its models."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

IMPORT = "onnxruntime"


def names(ort: Any) -> dict[str, Any]:
    """ort, and onnx with its helper, which build the models."""
    import importlib

    ort.set_default_logger_severity(4)  # errors are raised as well as logged
    return {
        "ort": ort,
        "onnxruntime": ort,
        "onnx": importlib.import_module("onnx"),
        "helper": importlib.import_module("onnx.helper"),
    }


def devices(ort: Any) -> list[str]:
    """The processor, and a GPU where the CUDA provider can use one."""
    return ["cpu"] if "cuda" in missing(ort) else ["cpu", "cuda"]


def path(ort: Any) -> str:
    """The processor: other providers are named in the code."""
    return "cpu"


def missing(ort: Any) -> dict[str, str]:
    """The CUDA provider and a GPU, without which a session silently uses the processor."""
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        return {"cuda": f"onnxruntime {ort.__version__} has no CUDAExecutionProvider"}
    if not any(os.path.exists(node) for node in ("/dev/nvidiactl", "/dev/dxg")):
        return {"cuda": "this machine has no NVIDIA GPU (no /dev/nvidiactl)"}
    return {}


def precision(ort: Any, path: str) -> list[tuple[str, str, str]]:
    """TF32 in the CUDA provider."""
    if path != "cuda" or os.environ.get("NVIDIA_TF32_OVERRIDE") == "0":
        return []
    return [
        (
            "tf32",
            "use_tf32 = 1 (the default)",
            'providers=[("CUDAExecutionProvider", {"use_tf32": 0})]',
        )
    ]


def to_numpy(ort: Any, value: Any) -> Any:
    """An OrtValue as a numpy array; the outputs of a session are numpy arrays already."""
    return value.numpy() if type(value).__name__ == "OrtValue" else None


def settings(ort: Any) -> Callable[[], object]:
    """Every setting belongs to a session, so there is nothing to restore."""
    return lambda: None
