"""JAX in a worker."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

IMPORT = "jax"

OPTIONS = (
    "jax_enable_x64",
    "jax_default_matmul_precision",
    "jax_disable_jit",
    "jax_numpy_dtype_promotion",
    "jax_debug_nans",
)


def names(jax: Any) -> dict[str, Any]:
    """jax, jnp and lax."""
    import importlib

    return {
        "jax": jax,
        "jnp": importlib.import_module("jax.numpy"),
        "lax": importlib.import_module("jax.lax"),
    }


def devices(jax: Any) -> list[str]:
    """Its default devices; asking sets up the runtime, so that the first job need not."""
    return [
        f"{d.platform}:{d.id} {d.device_kind}" if d.platform != "cpu" else "cpu"
        for d in jax.devices()
    ]


def path(jax: Any) -> str:
    """The default device's platform."""
    return str({"cuda": "gpu", "rocm": "gpu"}.get(jax.default_backend(), jax.default_backend()))


def missing(jax: Any) -> dict[str, str]:
    """A GPU, where it is not the default platform."""
    there = path(jax)
    return {} if there == "gpu" else {"gpu": f"jax {jax.__version__} computes on the {there}"}


def precision(jax: Any, platform: str) -> list[tuple[str, str, str]]:
    """What XLA takes float32 for, off the processor, unless told "highest"; the processor always
    takes it as it is.
    """
    there = path(jax)
    mode = getattr(jax.config, "jax_default_matmul_precision", None)
    if (
        there == "cpu"
        or mode in ("highest", "float32")
        or os.environ.get("NVIDIA_TF32_OVERRIDE") == "0"
    ):
        return []
    if there == "gpu" and float(getattr(jax.devices()[0], "compute_capability", "8.0")) < 8:
        return []
    narrow = {"gpu": "tf32", "tpu": "bf16"}.get(there, "tf32")
    narrow = {"bfloat16": "bf16", "tensorfloat32": "tf32"}.get(str(mode), narrow)
    name = "jax_default_matmul_precision"
    return [
        (
            narrow,
            f"{name} = {mode!r}" + (" (the default)" if mode is None else ""),
            f'jax.config.update("{name}", "highest")',
        )
    ]


def to_numpy(jax: Any, value: Any) -> Any:
    """Any array of JAX's, once it is computed.  bfloat16 is widened by the worker."""
    import numpy

    ours = (
        isinstance(value, jax.Array)
        if hasattr(jax, "Array")
        else hasattr(value, "block_until_ready")
    )
    return numpy.asarray(value) if ours else None


def settings(jax: Any) -> Callable[[], object]:
    """The options that change types, precision or tracing."""
    kept = {name: getattr(jax.config, name) for name in OPTIONS if hasattr(jax.config, name)}

    def restore() -> None:
        for name, value in kept.items():
            if getattr(jax.config, name) != value:
                jax.config.update(name, value)

    return restore
