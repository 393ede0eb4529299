"""TensorFlow in a worker; versions 1 and 2."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

IMPORT = "tensorflow"
# Its converter to TFLite looks for jax; that is a fifth of the time that TensorFlow takes to import
# beside jax.
LEAVE_OUT = ("jax",)


def names(tf: Any) -> dict[str, Any]:
    """tf; Keras is tf.keras, which loads when it is first used.  A graph's tensor has numpy() too,
    which evaluates it (version 1).
    """
    if tf.__version__.startswith("1.") and not hasattr(tf.Tensor, "numpy"):
        tf.Tensor.numpy = evaluated
    return {"tf": tf, "tensorflow": tf}


def devices(tf: Any) -> list[str]:
    """Accelerators first, because that is where TensorFlow computes unless told otherwise."""
    if not hasattr(tf.config, "list_physical_devices"):
        return ["cpu"]
    others = [device for device in tf.config.list_physical_devices() if device.device_type != "CPU"]
    tf.zeros(())  # sets up the runtime, so that the first job need not
    return [":".join(device.name.split(":")[-2:]).lower() for device in others] + ["cpu"]


def path(tf: Any) -> str:
    """A GPU where there is one; else oneDNN or Eigen, as TF_ENABLE_ONEDNN_OPTS and the processor
    have decided.
    """
    if "gpu" not in missing(tf):
        return "gpu/cudnn"
    return "cpu/onednn" if onednn(tf) else "cpu/native"


def onednn(tf: Any) -> bool:
    """Whether its kernels on the processor are oneDNN's."""
    import importlib

    try:
        return bool(
            importlib.import_module("tensorflow.python.util._pywrap_util_port").IsMklEnabled()
        )
    except (ImportError, AttributeError):
        return False


def missing(tf: Any) -> dict[str, str]:
    """A GPU; XLA in tf.function; Keras."""
    lacks = {}
    build = f"tensorflow {tf.__version__}"
    gpus = (
        tf.config.list_physical_devices("GPU")
        if hasattr(tf.config, "list_physical_devices")
        else []
    )
    if not gpus and not tf.test.is_built_with_cuda():
        lacks["gpu"] = f"{build} was built without CUDA"
    elif not gpus:
        lacks["gpu"] = f"{build} finds no GPU"
    if tuple(int(part) for part in tf.__version__.split(".")[:2]) < (2, 5):
        lacks["onednn"] = f"{build} has no TF_ENABLE_ONEDNN_OPTS"
        lacks["xla"] = f"{build} has no tf.function(jit_compile=True)"
        if tf.__version__.startswith("1."):
            lacks["keras"] = f"{build} runs no layers eagerly"
    return lacks


def ampere(tf: Any) -> bool:
    """Whether a GPU here has TF32 arithmetic, or does not say."""
    details = getattr(getattr(tf.config, "experimental", None), "get_device_details", dict)
    gpus = (
        tf.config.list_physical_devices("GPU")
        if hasattr(tf.config, "list_physical_devices")
        else []
    )
    return any(details(gpu).get("compute_capability", (8, 0)) >= (8, 0) for gpu in gpus)


def precision(tf: Any, path: str) -> list[tuple[str, str, str]]:
    """TF32 on a GPU; oneDNN's fast math by the environment."""
    found = []
    experimental: Any = getattr(tf.config, "experimental", None)
    enabled = getattr(experimental, "tensor_float_32_execution_enabled", bool)
    if (
        not path.startswith("cpu")
        and os.environ.get("NVIDIA_TF32_OVERRIDE") != "0"
        and ampere(tf)
        and enabled()
    ):
        name = "tf.config.experimental.enable_tensor_float_32_execution"
        found.append(("tf32", f"{name}(True) (the default)", f"{name}(False)"))
    mode = os.environ.get("TF_SET_ONEDNN_FPMATH_MODE")
    if mode and onednn(tf):
        found.append(
            (
                mode.lower(),
                f"TF_SET_ONEDNN_FPMATH_MODE={mode} in the environment",
                "unset TF_SET_ONEDNN_FPMATH_MODE",
            )
        )
    return found


def to_numpy(tf: Any, value: Any) -> Any:
    """An eager tensor or variable; a graph's (version 1) is evaluated."""
    if not isinstance(value, (tf.Tensor, tf.Variable)):
        return (
            value.numpy()
            if type(value).__module__.startswith("keras") and hasattr(value, "numpy")
            else None
        )
    return (
        value.numpy()
        if hasattr(value, "numpy") and getattr(tf, "executing_eagerly", bool)()
        else evaluated(value)
    )


def evaluated(value: Any) -> Any:
    """A graph's tensor or variable, with the graph's variables at their first values."""
    import importlib

    v1 = importlib.import_module("tensorflow").compat.v1
    with v1.Session(graph=value.graph) as session:
        with value.graph.as_default():
            session.run(v1.global_variables_initializer())
        return session.run(value)


def settings(tf: Any) -> Callable[[], object]:
    """TF32, and whether functions run eagerly."""
    try:
        tf32, eager = (
            tf.config.experimental.tensor_float_32_execution_enabled(),
            tf.config.functions_run_eagerly(),
        )
    except AttributeError:
        return lambda: None

    def restore() -> None:
        tf.config.experimental.enable_tensor_float_32_execution(tf32)
        tf.config.run_functions_eagerly(eager)

    return restore
