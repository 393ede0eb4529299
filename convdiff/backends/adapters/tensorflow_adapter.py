"""Adapter for TensorFlow, versions 1 and 2."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

IMPORT = "tensorflow"
# The converter to TFLite imports jax where it is installed, which takes a fifth of TensorFlow's
# import time.
LEAVE_OUT = ("jax",)


def names(tf: Any) -> dict[str, Any]:
    """tf; Keras is tf.keras, which loads at its first use.

    Under version 1 the tensors of a graph get a method numpy() that evaluates them.
    """
    if tf.__version__.startswith("1.") and not hasattr(tf.Tensor, "numpy"):
        tf.Tensor.numpy = evaluate_graph
    return {"tf": tf, "tensorflow": tf}


def devices(tf: Any) -> list[str]:
    """Accelerators first, since TensorFlow computes on them by default, then the processor."""
    if not hasattr(tf.config, "list_physical_devices"):
        return ["cpu"]
    others = [device for device in tf.config.list_physical_devices() if device.device_type != "CPU"]
    tf.zeros(())  # sets up the runtime, so that the first job is not slower
    return [":".join(device.name.split(":")[-2:]).lower() for device in others] + ["cpu"]


def path(tf: Any) -> str:
    """A GPU where there is one, else oneDNN or Eigen.

    TF_ENABLE_ONEDNN_OPTS and the processor decide between these two.
    """
    if "gpu" not in missing(tf):
        return "gpu/cudnn"
    return "cpu/onednn" if has_onednn(tf) else "cpu/native"


def has_onednn(tf: Any) -> bool:
    """Whether TensorFlow uses oneDNN's kernels on the processor."""
    import importlib

    try:
        return bool(
            importlib.import_module("tensorflow.python.util._pywrap_util_port").IsMklEnabled()
        )
    except (ImportError, AttributeError):
        return False


def missing(tf: Any) -> dict[str, str]:
    """The needs gpu, onednn, xla and keras, where they are not met."""
    reasons = {}
    build = f"tensorflow {tf.__version__}"
    gpus = (
        tf.config.list_physical_devices("GPU")
        if hasattr(tf.config, "list_physical_devices")
        else []
    )
    if not gpus and not tf.test.is_built_with_cuda():
        reasons["gpu"] = f"{build} was built without CUDA"
    elif not gpus:
        reasons["gpu"] = f"{build} finds no GPU"
    if tuple(int(part) for part in tf.__version__.split(".")[:2]) < (2, 5):
        reasons["onednn"] = f"{build} has no TF_ENABLE_ONEDNN_OPTS"
        reasons["xla"] = f"{build} has no tf.function(jit_compile=True)"
        if tf.__version__.startswith("1."):
            reasons["keras"] = f"{build} runs no layers eagerly"
    return reasons


def has_tf32(tf: Any) -> bool:
    """Whether a GPU has TF32 arithmetic (compute capability 8.0); True where that is unknown."""
    details = getattr(getattr(tf.config, "experimental", None), "get_device_details", dict)
    gpus = (
        tf.config.list_physical_devices("GPU")
        if hasattr(tf.config, "list_physical_devices")
        else []
    )
    return any(details(gpu).get("compute_capability", (8, 0)) >= (8, 0) for gpu in gpus)


def precision(tf: Any, path: str) -> list[tuple[str, str, str]]:
    """TF32 on a GPU, and oneDNN's reduced precision where an environment variable asks for it."""
    lowered = []
    experimental: Any = getattr(tf.config, "experimental", None)
    enabled = getattr(experimental, "tensor_float_32_execution_enabled", bool)
    if (
        not path.startswith("cpu")
        and os.environ.get("NVIDIA_TF32_OVERRIDE") != "0"
        and has_tf32(tf)
        and enabled()
    ):
        name = "tf.config.experimental.enable_tensor_float_32_execution"
        lowered.append(("tf32", f"{name}(True) (the default)", f"{name}(False)"))
    mode = os.environ.get("TF_SET_ONEDNN_FPMATH_MODE")
    if mode and has_onednn(tf):
        lowered.append(
            (
                mode.lower(),
                f"TF_SET_ONEDNN_FPMATH_MODE={mode} in the environment",
                "unset TF_SET_ONEDNN_FPMATH_MODE",
            )
        )
    return lowered


def to_numpy(tf: Any, value: Any) -> Any:
    """A tensor or variable as a numpy array; one of a graph (version 1) is evaluated."""
    if not isinstance(value, (tf.Tensor, tf.Variable)):
        return (
            value.numpy()
            if type(value).__module__.startswith("keras") and hasattr(value, "numpy")
            else None
        )
    return (
        value.numpy()
        if hasattr(value, "numpy") and getattr(tf, "executing_eagerly", bool)()
        else evaluate_graph(value)
    )


def evaluate_graph(value: Any) -> Any:
    """The value of a graph's tensor, with the graph's variables at their initial values."""
    import importlib

    v1 = importlib.import_module("tensorflow").compat.v1
    with v1.Session(graph=value.graph) as session:
        with value.graph.as_default():
            session.run(v1.global_variables_initializer())
        return session.run(value)


def settings(tf: Any) -> Callable[[], object]:
    """Restores TF32, and whether functions run eagerly."""
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
