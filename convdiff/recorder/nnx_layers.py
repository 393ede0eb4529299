"""Flax nnx: `__call__` of its convolution classes, watched while the model runs."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from convdiff.recorder.capture_folder import CaptureFolder
from convdiff.recorder.flax_settings import as_array, eager, record


@contextmanager
def recorded(model: Any, recording: CaptureFolder) -> Iterator[Any]:
    """Record what any nnx module runs inside, under the name that `model` has for it; gives the
    model.
    """
    flax, jax, nnx = (importlib.import_module(name) for name in ("flax", "jax", "flax.nnx"))
    recording.heading = (
        f"Captured from {type(model).__name__} in flax {flax.__version__} (nnx), "
        f"jax {jax.__version__}."
    )
    # nnx.jit and its like run copies of the modules, which have the kernels in common.
    names: dict[int, tuple[Any, str]] = {}
    for path, part in nnx.iter_graph(model):
        if isinstance(part, nnx.Conv | nnx.ConvTranspose):
            names |= {id(key): (key, ".".join(map(str, path))) for key in (part.kernel[...], part)}
    with ExitStack() as stack:
        stack.enter_context(eager(recording))
        for kind in (nnx.Conv, nnx.ConvTranspose):
            stack.enter_context(_watched(kind, kind is nnx.ConvTranspose, names, recording))
        stack.enter_context(_giving(model, recording))
        yield model


@contextmanager
def _giving(model: Any, recording: CaptureFolder) -> Iterator[None]:
    """Record what the model itself gives: the outermost call of its class, since nnx.jit and its
    like run copies.
    """
    kind, call = type(model), type(model).__call__
    running: list[Any] = []

    @functools.wraps(call)
    def giving(self: Any, *args: Any, **kwargs: Any) -> Any:
        running.append(self)
        try:
            output = call(self, *args, **kwargs)
        finally:
            running.pop()
        if not running:
            recording.gave(output, as_array)
        return output

    own = "__call__" in vars(kind)
    kind.__call__ = giving
    try:
        yield
    finally:
        if own:
            kind.__call__ = call
        else:
            del kind.__call__


@contextmanager
def _watched(
    kind: Any, transposed: bool, names: dict[int, tuple[Any, str]], recording: CaptureFolder
) -> Iterator[None]:
    call = kind.__call__

    @functools.wraps(call)
    def recording_call(self: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        output = call(self, inputs, *args, **kwargs)
        kernel = self.kernel[...]
        _, name = names.get(id(self)) or names.get(id(kernel)) or (None, "")
        bias = self.bias[...] if self.bias is not None and getattr(self, "use_bias", True) else None
        record(name or kind.__name__, self, transposed, inputs, kernel, bias, output, recording)
        return output

    kind.__call__ = recording_call
    try:
        yield
    finally:
        kind.__call__ = call
