"""Flax nnx: `__call__` of its convolution classes, watched while the model runs."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from convdiff.capturing.flax_settings import record
from convdiff.capturing.recording import Recording


@contextmanager
def recorded(model: Any, recording: Recording) -> Iterator[Any]:
    """Record what `model`'s own convolutions run; gives the model.  Nothing is compiled meanwhile, so that arrays have values."""
    flax, jax, nnx = (importlib.import_module(name) for name in ("flax", "jax", "flax.nnx"))
    recording.heading = f"Captured from a {type(model).__name__} in flax {flax.__version__} (nnx), jax {jax.__version__}."
    names = {id(part): ".".join(map(str, path)) for path, part in nnx.iter_graph(model) if isinstance(part, nnx.Module)}
    with ExitStack() as stack:
        stack.enter_context(jax.disable_jit())
        for kind in (nnx.Conv, nnx.ConvTranspose):
            stack.enter_context(_watched(kind, kind is nnx.ConvTranspose, names, recording))
        yield model


@contextmanager
def _watched(kind: Any, transposed: bool, names: dict[int, str], recording: Recording) -> Iterator[None]:
    call = kind.__call__

    @functools.wraps(call)
    def recording_call(self: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        output = call(self, inputs, *args, **kwargs)
        if id(self) in names:
            bias = self.bias[...] if self.bias is not None and getattr(self, "use_bias", True) else None
            record(names[id(self)] or kind.__name__, self, transposed, inputs, self.kernel[...], bias, output, recording)
        return output

    kind.__call__ = recording_call
    try:
        yield
    finally:
        kind.__call__ = call
