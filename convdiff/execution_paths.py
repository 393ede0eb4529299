"""The table of execution paths: every way through a backend that can give a different result.

A path is defined by a prelude of settings in the script, and at most three more things: a function
that wraps the framework's own, a device for the arrays, another way of writing the call.  A setting
that a framework reads only while it is imported is an environment variable, and its path has a
process of its own.  The worker reports which path is the default (`path` of its adapter), and which
`needs` of the table are not met (`missing`).  Dialects, `convdiff backends` and the options of the
command line all read this table; `convdiff.plugins` adds the paths of other packages.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ExecutionPath:
    """One way through a backend, one row of the table.

    `about` is its description in the list of backends.  `needs` are words, separated by spaces, for
    what must be present, and `provider` says what provides it.

    How the path is taken: `setup` are the lines of the prelude; `wrapper` is a format string around
    the function that computes the convolution; `device` is where the arrays go; `style` is a way of
    writing the call that the dialect knows; `variables` are environment variables that are set
    before the framework is imported.  `hide_accelerator` are further variables that are set on a
    machine with an accelerator, to keep the framework on the processor.

    `usual` marks a path that is run by default where its device is present, besides the backend's
    default path.  `exact` is False for an algorithm that rounds even sums of whole numbers.
    `dtypes` are the only types that the path applies to; () for all.
    """

    backend: str
    name: str
    about: str
    needs: str = ""
    provider: str = ""
    setup: tuple[str, ...] = ()
    wrapper: str = "{}"
    device: str = ""
    style: str = ""
    variables: tuple[tuple[str, str], ...] = ()
    hide_accelerator: tuple[tuple[str, str], ...] = ()
    usual: bool = False
    exact: bool = True
    dtypes: tuple[str, ...] = ()


# The backend's default: no setting, wrapper, device or style.
DEFAULT_PATH = ExecutionPath("", "", "")

_CUDA = "an NVIDIA GPU with its driver, and the framework's CUDA build"
_TORCH_GPU = ("cuda", _CUDA)
# TensorFlow and JAX compute on a GPU wherever they see one, so that their paths on the processor
# need a process from which it is hidden.
_TF_NO_GPU = (("CUDA_VISIBLE_DEVICES", "-1"), ("HIP_VISIBLE_DEVICES", "-1"))
_JAX_NO_GPU = (("JAX_PLATFORMS", "cpu"),)
_SIXTEEN_BIT = ("float16", "bfloat16")
_NO_TF32 = "tf.config.experimental.enable_tensor_float_32_execution(False)"


def _jax_precision(word: str) -> tuple[str, ...]:
    return (f'jax.config.update("jax_default_matmul_precision", "{word}")',)


PATHS = (
    ExecutionPath("numpy", "cpu", "np.correlate and np.convolve, or sliding windows and einsum"),
    ExecutionPath(
        "torch",
        "cpu/onednn",
        "oneDNN's kernels",
        "onednn",
        "a build of torch with oneDNN",
        ("torch.backends.mkldnn.enabled = True",),
    ),
    ExecutionPath(
        "torch",
        "cpu/native",
        "ATen's own kernels, oneDNN switched off",
        setup=("torch.backends.mkldnn.enabled = False",),
    ),
    ExecutionPath(
        "torch",
        "cpu/channels_last",
        "arrays in channels_last memory format",
        "channels_last",
        "torch 1.5",
        style="channels_last",
    ),
    ExecutionPath(
        "torch",
        "cpu/inductor",
        "torch.compile",
        "inductor",
        "torch 2 and a C++ compiler (g++)",
        wrapper="torch.compile({})",
    ),
    ExecutionPath(
        "torch",
        "cpu/onednn-bf16",
        "oneDNN's bfloat16 arithmetic on float32 arrays",
        "onednn-bf16",
        "torch 2.9 with oneDNN, on a processor with bfloat16 arithmetic (AVX512_BF16, AMX)",
        ('torch.backends.mkldnn.conv.fp32_precision = "bf16"',),
    ),
    ExecutionPath(
        "torch",
        "cuda/cudnn",
        "cuDNN with torch's defaults: TF32 on, no benchmark",
        *_TORCH_GPU,
        device="cuda",
        usual=True,
    ),
    ExecutionPath(
        "torch",
        "cuda/cudnn-no-tf32",
        "cuDNN, TF32 off",
        *_TORCH_GPU,
        ("torch.backends.cudnn.allow_tf32 = False",),
        device="cuda",
    ),
    ExecutionPath(
        "torch",
        "cuda/cudnn-benchmark",
        "cuDNN, with the algorithm that a benchmark finds fastest",
        *_TORCH_GPU,
        ("torch.backends.cudnn.benchmark = True",),
        device="cuda",
    ),
    ExecutionPath(
        "torch",
        "cuda/cudnn-deterministic",
        "cuDNN, deterministic algorithms only",
        *_TORCH_GPU,
        ("torch.backends.cudnn.deterministic = True",),
        device="cuda",
    ),
    ExecutionPath(
        "torch",
        "cuda/native",
        "ATen's CUDA kernels, cuDNN switched off",
        *_TORCH_GPU,
        ("torch.backends.cudnn.enabled = False",),
        device="cuda",
    ),
    ExecutionPath(
        "torch",
        "mps",
        "Apple's Metal Performance Shaders",
        "mps",
        "a Mac with Apple silicon",
        device="mps",
        usual=True,
    ),
    ExecutionPath(
        "tensorflow",
        "cpu/onednn",
        "oneDNN's kernels",
        "onednn",
        "TensorFlow 2.5",
        variables=(("TF_ENABLE_ONEDNN_OPTS", "1"),),
        hide_accelerator=_TF_NO_GPU,
    ),
    ExecutionPath(
        "tensorflow",
        "cpu/native",
        "Eigen's kernels, oneDNN switched off",
        variables=(("TF_ENABLE_ONEDNN_OPTS", "0"),),
        hide_accelerator=_TF_NO_GPU,
    ),
    ExecutionPath(
        "tensorflow",
        "cpu/xla",
        "compiled by XLA",
        "xla",
        "TensorFlow 2.5",
        wrapper="tf.function({}, jit_compile=True)",
        hide_accelerator=_TF_NO_GPU,
    ),
    ExecutionPath(
        "tensorflow",
        "cpu/keras",
        "Keras layers",
        "keras",
        "TensorFlow 2, which includes Keras",
        style="keras",
        hide_accelerator=_TF_NO_GPU,
    ),
    ExecutionPath(
        "tensorflow", "gpu/cudnn", "cuDNN with TensorFlow's defaults: TF32 on", "gpu", _CUDA
    ),
    ExecutionPath("tensorflow", "gpu/cudnn-no-tf32", "cuDNN, TF32 off", "gpu", _CUDA, (_NO_TF32,)),
    ExecutionPath(
        "tensorflow",
        "gpu/xla",
        "compiled by XLA",
        "gpu",
        _CUDA,
        wrapper="tf.function({}, jit_compile=True)",
    ),
    ExecutionPath("jax", "cpu", "XLA, precision default: float32", hide_accelerator=_JAX_NO_GPU),
    ExecutionPath(
        "jax",
        "cpu/high",
        "precision high",
        setup=_jax_precision("high"),
        hide_accelerator=_JAX_NO_GPU,
    ),
    ExecutionPath(
        "jax",
        "cpu/highest",
        "precision highest",
        setup=_jax_precision("highest"),
        hide_accelerator=_JAX_NO_GPU,
    ),
    ExecutionPath(
        "jax",
        "cpu/float32-sums",
        "16-bit operands, preferred_element_type float32",
        style="float32 sums",
        hide_accelerator=_JAX_NO_GPU,
        dtypes=_SIXTEEN_BIT,
    ),
    ExecutionPath("jax", "gpu", "XLA, precision default: TF32", "gpu", _CUDA),
    ExecutionPath("jax", "gpu/high", "XLA, precision high", "gpu", _CUDA, _jax_precision("high")),
    ExecutionPath(
        "jax",
        "gpu/highest",
        "XLA, precision highest: float32 throughout",
        "gpu",
        _CUDA,
        _jax_precision("highest"),
    ),
    ExecutionPath(
        "jax",
        "gpu/float32-sums",
        "16-bit operands, preferred_element_type float32",
        "gpu",
        _CUDA,
        style="float32 sums",
        dtypes=_SIXTEEN_BIT,
    ),
    ExecutionPath("scipy", "signal/direct", "scipy.signal, direct summation"),
    ExecutionPath(
        "scipy", "signal/fft", "scipy.signal, fast Fourier transform", style="fft", exact=False
    ),
    ExecutionPath("scipy", "ndimage", "scipy.ndimage", style="ndimage"),
    ExecutionPath("onnxruntime", "cpu", "optimized graph, explicit pads"),
    ExecutionPath(
        "onnxruntime",
        "cpu/unoptimized",
        "unoptimized graph: no kernels in blocked layouts",
        style="unoptimized",
    ),
    ExecutionPath("onnxruntime", "cpu/auto_pad", "auto_pad instead of pads", style="auto_pad"),
    ExecutionPath(
        "onnxruntime",
        "cuda",
        "cuDNN, TF32 on",
        "cuda",
        "onnxruntime-gpu and an NVIDIA GPU",
        device='"CUDAExecutionProvider"',
        usual=True,
    ),
    ExecutionPath(
        "onnxruntime",
        "cuda/no-tf32",
        "cuDNN, TF32 off",
        "cuda",
        "onnxruntime-gpu and an NVIDIA GPU",
        device='("CUDAExecutionProvider", {"use_tf32": 0})',
    ),
    ExecutionPath("cudnn", "tf32", "the engine that its heuristics choose: TF32"),
    ExecutionPath(
        "cudnn", "no-tf32", "float32 throughout: no tensor-core engines", style="no tf32"
    ),
    ExecutionPath(
        "theano",
        "cpu/corrmm",
        "CorrMM: im2col, then a matrix product",
        "cxx",
        "a C++ compiler (g++)",
    ),
    ExecutionPath(
        "theano", "cpu/convop", "the legacy ConvOp", "cxx", "a C++ compiler (g++)", style="legacy"
    ),
    ExecutionPath(
        "theano",
        "gpu/dnn",
        "theano.gpuarray.dnn: cuDNN",
        "gpuarray",
        "libgpuarray with pygpu, CUDA, and a cuDNN that it knows (5 to 7)",
        variables=(("THEANO_FLAGS", "device=cuda,floatX=float32"),),
    ),
)


def built_in_paths(backend: str) -> tuple[ExecutionPath, ...]:
    """The rows of a backend in this table, in its order."""
    return tuple(path for path in PATHS if path.backend == backend)


def unmet_need(path: ExecutionPath, reasons: dict[str, str]) -> str | None:
    """Why a path cannot be taken and what would provide it; None where it can be.

    `reasons` are the needs that are not met, as the worker reports them (`Hello.missing`).
    """
    for need in path.needs.split():
        if need in reasons:
            return f"{reasons[need]}; it needs {path.provider}"
    return None
