"""Recording of a model's convolutions: for each that a forward pass runs, its arrays and settings.

This runs in the user's own process, where the framework is. Each adapter asks the framework that
the model has already imported; nothing else in convdiff imports one.

The way of the data, in order:

1. `capture` (below) picks the adapter by the model's class and opens a `CaptureFolder`.
2. An adapter watches the model while it runs: `torch_layers` the calls of torch.conv*,
   `keras_layers` the layers and `keras_ops` the calls of keras.ops, `linen_layers` and `nnx_layers`
   the Flax modules (`flax_settings` turns either's into settings), `onnx_layers` the nodes of an
   ONNX graph. Each has one function, `record_calls(model, capture_folder)`, a context manager.
3. For every convolution that ran, the adapter adds a `RecordedLayer` to the folder
   (`capture_folder`), which writes its arrays at once: a large model's are never all in memory.
4. When the block ends, the folder writes the manifest, which `convdiff check` reads.

`capture_command` is the same for `convdiff capture`: it loads the model and calls it.

Invariants: the arrays are those of the very call, before any activation and after the padding that
is not the layer's own. A layer is recorded as a whole only if its code is the framework's; what a
subclass, a patch or a hook does around a convolution is not recorded as part of it. A convolution
that cannot be recorded is named in the manifest with the reason. The model computes what it would
compute without the recording, and is afterwards as it was. A capture that fails leaves no files.
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

# The package that defines a model's class, or one of its base classes, and the adapter for it.
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
    """Record every convolution that `model` runs inside the `with` block, and the model's outputs.

    They are written into `folder`, with a manifest.toml. `model` is a PyTorch module, a Keras model
    or layer, a Flax module (linen or nnx), or an ONNX model (a path or a ModelProto). Call it as
    usual, eagerly, inside the block. Of an ONNX model, call the object that the `with` statement
    yields, with its inputs by name. A layer that runs several times is recorded each time.

    Raises ConvdiffError where the model is none of these, the folder already has a manifest, or no
    convolution ran. In that case, and where the block ends with an exception, no files are left.
    """
    adapter = importlib.import_module(f"convdiff.recorder.{_adapter(model)}")
    capture_folder = CaptureFolder(Path(folder))
    try:
        with adapter.record_calls(model, capture_folder) as callable_model:
            yield callable_model
        capture_folder.finish()
    except BaseException:
        capture_folder.discard()
        raise


def _adapter(model: Any) -> str:
    if isinstance(model, str | os.PathLike):
        if not str(model).endswith(".onnx"):
            raise ConvdiffError(
                f"capture {os.fspath(model)}: found a file of unknown kind, expected model.onnx, "
                "or a model as an object"
            )
        return ADAPTERS["onnx"]
    for base in type(model).__mro__:
        for package, adapter in ADAPTERS.items():
            if f"{base.__module__}.".startswith(f"{package}."):
                return adapter
    raise ConvdiffError(
        f"capture: found an object of type {type(model).__module__}.{type(model).__qualname__}, "
        "expected a PyTorch module, a Keras model, a Flax module, or an ONNX model"
    )
