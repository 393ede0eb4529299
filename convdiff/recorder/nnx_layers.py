"""Flax nnx: the `__call__` of its convolution classes, replaced while the model runs."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from convdiff.recorder.capture_folder import CaptureFolder
from convdiff.recorder.flax_settings import as_array, record_layer, without_compilation

# By the id of a module or of its kernel: that object, kept alive so that its id stays unique, and
# the name.
ModuleNames = dict[int, tuple[Any, str]]


@contextmanager
def record_calls(model: Any, capture_folder: CaptureFolder) -> Iterator[Any]:
    """Record what any nnx module runs inside the block, named as in `model`; yields the model."""
    flax, jax, nnx = (importlib.import_module(name) for name in ("flax", "jax", "flax.nnx"))
    capture_folder.heading = (
        f"Captured from {type(model).__name__} in flax {flax.__version__} (nnx), "
        f"jax {jax.__version__}."
    )
    # nnx.jit and the like run copies of the modules, which share the kernels.
    names: ModuleNames = {}
    for path, part in nnx.iter_graph(model):
        if isinstance(part, nnx.Conv | nnx.ConvTranspose):
            name = ".".join(map(str, path))
            names |= {id(key): (key, name) for key in (part.kernel[...], part)}
    with ExitStack() as stack:
        stack.enter_context(without_compilation(capture_folder))
        for kind in (nnx.Conv, nnx.ConvTranspose):
            transposed = kind is nnx.ConvTranspose
            stack.enter_context(_layers_recorded(kind, transposed, names, capture_folder))
        stack.enter_context(_outputs_recorded(model, capture_folder))
        yield model


@contextmanager
def _outputs_recorded(model: Any, capture_folder: CaptureFolder) -> Iterator[None]:
    """Records what the outermost call of the model's class returns.

    The class is watched and not the object, since nnx.jit and the like run copies of it.
    """
    kind, call = type(model), type(model).__call__
    running: list[Any] = []

    @functools.wraps(call)
    def call_and_record(self: Any, *args: Any, **kwargs: Any) -> Any:
        running.append(self)
        try:
            output = call(self, *args, **kwargs)
        finally:
            running.pop()
        if not running:
            capture_folder.add_outputs(output, as_array)
        return output

    inherited = "__call__" not in vars(kind)
    kind.__call__ = call_and_record
    try:
        yield
    finally:
        if inherited:
            del kind.__call__
        else:
            kind.__call__ = call


@contextmanager
def _layers_recorded(
    kind: Any, transposed: bool, names: ModuleNames, capture_folder: CaptureFolder
) -> Iterator[None]:
    """Records every call of a convolution class."""
    call = kind.__call__

    @functools.wraps(call)
    def call_and_record(self: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        output = call(self, inputs, *args, **kwargs)
        kernel = self.kernel[...]
        _, name = names.get(id(self)) or names.get(id(kernel)) or (None, "")
        bias = self.bias[...] if self.bias is not None and getattr(self, "use_bias", True) else None
        record_layer(
            name or kind.__name__, self, transposed, inputs, kernel, bias, output, capture_folder
        )
        return output

    kind.__call__ = call_and_record
    try:
        yield
    finally:
        kind.__call__ = call
