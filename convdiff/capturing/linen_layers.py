"""Flax linen: the modules' `__call__`, seen through linen's own interceptor."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from convdiff.capturing.flax_settings import record
from convdiff.capturing.recording import Recording


@contextmanager
def recorded(model: Any, recording: Recording) -> Iterator[Any]:
    """Record what any linen module runs inside; gives the model.  Nothing is compiled meanwhile, so that arrays have values."""
    flax, jax, linen = (importlib.import_module(name) for name in ("flax", "jax", "flax.linen"))
    recording.heading = f"Captured from a {type(model).__name__} in flax {flax.__version__} (linen), jax {jax.__version__}."

    def interceptor(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        output = call(*args, **kwargs)
        module = context.module
        if context.method_name == "__call__" and isinstance(module, linen.Conv | linen.ConvTranspose) and not module.is_initializing():
            parameters = module.variables["params"]
            name = "/".join(module.path) or type(module).__name__
            x = args[0] if args else kwargs["inputs"]
            transposed = isinstance(module, linen.ConvTranspose)
            record(name, module, transposed, x, parameters["kernel"], parameters.get("bias"), output, recording)
        return output

    with jax.disable_jit(), linen.intercept_methods(interceptor):
        yield model
