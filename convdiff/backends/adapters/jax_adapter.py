"""Adapter for JAX."""

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
    """Its default devices.  Asking sets up the runtime, so that the first job is not slower."""
    return [
        f"{d.platform}:{d.id} {d.device_kind}" if d.platform != "cpu" else "cpu"
        for d in jax.devices()
    ]


def path(jax: Any) -> str:
    """The platform of the default device: cpu, gpu or tpu."""
    return str({"cuda": "gpu", "rocm": "gpu"}.get(jax.default_backend(), jax.default_backend()))


def missing(jax: Any) -> dict[str, str]:
    """The need "gpu", where the GPU is not the default platform."""
    platform = path(jax)
    return {} if platform == "gpu" else {"gpu": f"jax {jax.__version__} computes on the {platform}"}


def precision(jax: Any, path_name: str) -> list[tuple[str, str, str]]:
    """The type to which XLA rounds float32 operands on a GPU or TPU, except at precision "highest".

    On the processor XLA never rounds them.
    """
    platform = path(jax)
    mode = getattr(jax.config, "jax_default_matmul_precision", None)
    if (
        platform == "cpu"
        or mode in ("highest", "float32")
        or os.environ.get("NVIDIA_TF32_OVERRIDE") == "0"
    ):
        return []
    if platform == "gpu" and float(getattr(jax.devices()[0], "compute_capability", "8.0")) < 8:
        return []
    narrow = {"gpu": "tf32", "tpu": "bf16"}.get(platform, "tf32")
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
    """A JAX array as a numpy array, once it is computed.  The worker widens bfloat16."""
    import numpy

    is_jax_array = (
        isinstance(value, jax.Array)
        if hasattr(jax, "Array")
        else hasattr(value, "block_until_ready")
    )
    return numpy.asarray(value) if is_jax_array else None


def settings(jax: Any) -> Callable[[], object]:
    """Restores the options that change types, precision or tracing."""
    kept = {name: getattr(jax.config, name) for name in OPTIONS if hasattr(jax.config, name)}

    def restore() -> None:
        for name, value in kept.items():
            if getattr(jax.config, name) != value:
                jax.config.update(name, value)

    return restore
