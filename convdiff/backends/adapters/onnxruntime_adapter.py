"""ONNX Runtime in a worker, with onnx to make its models."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

IMPORT = "onnxruntime"


def names(ort: Any) -> dict[str, Any]:
    """ort, and onnx with its helper: without onnx there are no models."""
    import importlib

    ort.set_default_logger_severity(4)  # what goes wrong it raises too
    return {
        "ort": ort,
        "onnxruntime": ort,
        "onnx": importlib.import_module("onnx"),
        "helper": importlib.import_module("onnx.helper"),
    }


def devices(ort: Any) -> list[str]:
    """The processor, and a GPU where this build has CUDA's provider."""
    return ["cpu"] if "cuda" in missing(ort) else ["cpu", "cuda"]


def path(ort: Any) -> str:
    """The processor: providers are named in the code."""
    return "cpu"


def missing(ort: Any) -> dict[str, str]:
    """CUDA's provider and a GPU: without one a session would quietly compute on the processor."""
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        return {"cuda": f"onnxruntime {ort.__version__} has no CUDAExecutionProvider"}
    if not any(os.path.exists(node) for node in ("/dev/nvidiactl", "/dev/dxg")):
        return {"cuda": "this machine shows no NVIDIA GPU (no /dev/nvidiactl)"}
    return {}


def precision(ort: Any, path: str) -> list[tuple[str, str, str]]:
    """TF32 in CUDA's provider."""
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
    """Its own value; a session's outputs are numpy's."""
    return value.numpy() if type(value).__name__ == "OrtValue" else None


def settings(ort: Any) -> Callable[[], object]:
    """All belong to a session."""
    return lambda: None
