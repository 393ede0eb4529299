"""Recording a model's convolution layers: for each that a forward pass runs, its arrays and
settings, as a folder with a manifest.

This runs in the user's own process, where the framework is: each `*_layers` module asks the
framework that the model has already imported, and nothing else of convdiff imports one.
`recording` writes the folder; an adapter gives it one `RecordedLayer` after another.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from convdiff.errors import ConvdiffError
from convdiff.recorder.capture_folder import CaptureFolder, RecordedLayer

__all__ = ["CaptureFolder", "RecordedLayer", "capture"]

# The module in which a model's class (or one that it comes from) is defined, and the adapter.
ADAPTERS = {
    "torch": "torch_layers",
    "keras": "keras_layers",
    "tf_keras": "keras_layers",
    "flax.linen": "linen_layers",
    "flax.nnx": "nnx_layers",
    "onnx": "onnx_layers",
}


@contextmanager
def capture(model: Any, folder: str | os.PathLike[str] = "capture") -> Iterator[Any]:
    """Record every convolution that `model` runs inside the `with`, and what it gives, into
    `folder` with a manifest.toml.

    `model` is a PyTorch module, a Keras model or layer, a Flax module (linen or nnx), or an ONNX
    model (a path or a ModelProto).  Call it as ever, eagerly, inside the `with`; of an ONNX model,
    call what the `with` gives with its inputs by name.  A layer that runs several times is recorded
    each time.  Raises ConvdiffError where the model is none of these, the folder has a manifest
    already, or no convolution ran; then, and where the `with` ends by an exception, nothing is left
    of it.
    """
    adapter = importlib.import_module(f"convdiff.recorder.{_adapter(model)}")
    recording = CaptureFolder(Path(folder))
    try:
        with adapter.recorded(model, recording) as given:
            yield given
        recording.finish()
    except BaseException:
        recording.discard()
        raise


def _adapter(model: Any) -> str:
    if isinstance(model, str | os.PathLike):
        if not str(model).endswith(".onnx"):
            raise ConvdiffError(
                f"capture {os.fspath(model)}: found a file of unknown kind, expected model.onnx, "
                "or a model as an object"
            )
        return ADAPTERS["onnx"]
    for kind in type(model).__mro__:
        for package, adapter in ADAPTERS.items():
            if f"{kind.__module__}.".startswith(f"{package}."):
                return adapter
    raise ConvdiffError(
        f"capture: found an object of type {type(model).__module__}.{type(model).__qualname__}, "
        "expected a PyTorch module, a Keras model, "
        "a Flax module, or an ONNX model"
    )
