"""Flax linen: the `__call__` of its convolution modules, seen by linen's own interceptor."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from convdiff.recorder.capture_folder import CaptureFolder
from convdiff.recorder.flax_settings import as_array, record_layer, without_compilation


@contextmanager
def record_calls(model: Any, capture_folder: CaptureFolder) -> Iterator[Any]:
    """Record what any linen module runs inside the block; yields the model."""
    flax, jax, linen = (importlib.import_module(name) for name in ("flax", "jax", "flax.linen"))
    capture_folder.heading = (
        f"Captured from {type(model).__name__} in flax {flax.__version__} "
        f"(linen), jax {jax.__version__}."
    )
    # The names of modules that were recorded. A subclass may call Flax's own `__call__` from one
    # that does more: then the interceptor sees both, the inner one first.
    recorded: set[str] = set()

    def interceptor(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        output = call(*args, **kwargs)
        module = context.module
        if context.method_name != "__call__" or module.is_initializing():
            return output
        if isinstance(module, linen.Conv | linen.ConvTranspose):
            name = "/".join(module.path) or type(module).__name__
            if context.orig_method.func.__module__ == "flax.linen.linear":
                parameters = module.variables["params"]
                record_layer(
                    name,
                    module,
                    isinstance(module, linen.ConvTranspose),
                    args[0] if args else kwargs["inputs"],
                    parameters["kernel"],
                    parameters.get("bias"),
                    output,
                    capture_folder,
                )
                recorded.add(name)
            elif name not in recorded:
                capture_folder.skip(name, "its __call__ is its own and does not call Flax's")
        if not module.path:
            capture_folder.add_outputs(output, as_array)
        return output

    with without_compilation(capture_folder), linen.intercept_methods(interceptor):
        yield model
