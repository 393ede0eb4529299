"""Flax linen: the modules' `__call__`, seen through linen's own interceptor."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from convdiff.recorder.capture_folder import CaptureFolder
from convdiff.recorder.flax_settings import as_array, eager, record


@contextmanager
def recorded(model: Any, recording: CaptureFolder) -> Iterator[Any]:
    """Record what any linen module runs inside; gives the model."""
    flax, jax, linen = (importlib.import_module(name) for name in ("flax", "jax", "flax.linen"))
    recording.heading = (
        f"Captured from {type(model).__name__} in flax {flax.__version__} "
        f"(linen), jax {jax.__version__}."
    )

    # Those whose call was Flax's own: a subclass may call it from a `__call__` that does more.
    plain: set[str] = set()

    def interceptor(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        output = call(*args, **kwargs)
        module = context.module
        if (
            context.method_name == "__call__"
            and isinstance(module, linen.Conv | linen.ConvTranspose)
            and not module.is_initializing()
        ):
            name = "/".join(module.path) or type(module).__name__
            if context.orig_method.func.__module__ == "flax.linen.linear":
                parameters = module.variables["params"]
                x = args[0] if args else kwargs["inputs"]
                transposed = isinstance(module, linen.ConvTranspose)
                record(
                    name,
                    module,
                    transposed,
                    x,
                    parameters["kernel"],
                    parameters.get("bias"),
                    output,
                    recording,
                )
                plain.add(name)
            elif name not in plain:
                recording.skip(name, "its __call__ is its own, and calls no other")
        if context.method_name == "__call__" and not module.path and not module.is_initializing():
            recording.gave(output, as_array)
        return output

    with eager(recording), linen.intercept_methods(interceptor):
        yield model
