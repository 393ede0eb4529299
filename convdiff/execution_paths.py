"""Every path through each backend that can give another answer: one table, read by all who write,
find or list them.

A path is a prelude of settings in the text of a backend's code, and at most three more things: a
function around the framework's own, a device for the arrays, another way of writing the call.
Where a setting is read once, when the framework is imported, it is an environment variable, and the
path has a process of its own.  Which path a backend takes without any of this its worker says
itself (`path` of its adapter), as it says which `needs` are not met, and why (`missing`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ExecutionPath:
    """One row.

    `needs` is a word for what must be there, `provided` what would provide it.  `setup` are the
    lines of the prelude, `around` is put around the function that does the convolution, `device` is
    where arrays go, `style` names a way of writing that the dialect knows, `variables` are set
    before the framework is imported, and on a machine with an accelerator those of `off` too, which
    keep the framework away from it.  `usual` marks what a user of such a machine gets without
    asking, beside the backend's own default.  Not `exact` is an algorithm that rounds sums of whole
    numbers too.  `only` are the types that it is for, if not all.
    """

    backend: str
    name: str
    about: str
    needs: str = ""
    provided: str = ""
    setup: tuple[str, ...] = ()
    around: str = "{}"
    device: str = ""
    style: str = ""
    variables: tuple[tuple[str, str], ...] = ()
    off: tuple[tuple[str, str], ...] = ()
    usual: bool = False
    exact: bool = True
    only: tuple[str, ...] = ()


PLAIN = ExecutionPath("", "", "")

_CUDA = "an NVIDIA GPU with its driver, and the framework's CUDA build"
_TORCH_GPU = ("cuda", _CUDA)
# Where TensorFlow and JAX see a GPU they compute on it, so their paths on the processor have a
# process that sees none.
_TF_OFF = (("CUDA_VISIBLE_DEVICES", "-1"), ("HIP_VISIBLE_DEVICES", "-1"))
_JAX_OFF = (("JAX_PLATFORMS", "cpu"),)
_NARROW = ("float16", "bfloat16")
_FAST_OFF = "tf.config.experimental.enable_tensor_float_32_execution(False)"


def _precision(word: str) -> tuple[str, ...]:
    return (f'jax.config.update("jax_default_matmul_precision", "{word}")',)


PATHS = (
    ExecutionPath("numpy", "cpu", "correlate and convolve, or windows and einsum"),
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
        around="torch.compile({})",
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
        "cuDNN, as torch has it: TF32 on, no benchmark",
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
        "cuDNN, the fastest algorithm measured first",
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
        off=_TF_OFF,
    ),
    ExecutionPath(
        "tensorflow",
        "cpu/native",
        "Eigen's kernels, oneDNN switched off",
        variables=(("TF_ENABLE_ONEDNN_OPTS", "0"),),
        off=_TF_OFF,
    ),
    ExecutionPath(
        "tensorflow",
        "cpu/xla",
        "compiled by XLA",
        "xla",
        "TensorFlow 2.5",
        around="tf.function({}, jit_compile=True)",
        off=_TF_OFF,
    ),
    ExecutionPath(
        "tensorflow",
        "cpu/keras",
        "the layers of Keras",
        "keras",
        "Keras, which comes with TensorFlow 2",
        style="keras",
        off=_TF_OFF,
    ),
    ExecutionPath("tensorflow", "gpu/cudnn", "cuDNN, as TensorFlow has it: TF32 on", "gpu", _CUDA),
    ExecutionPath("tensorflow", "gpu/cudnn-no-tf32", "cuDNN, TF32 off", "gpu", _CUDA, (_FAST_OFF,)),
    ExecutionPath(
        "tensorflow",
        "gpu/xla",
        "compiled by XLA",
        "gpu",
        _CUDA,
        around="tf.function({}, jit_compile=True)",
    ),
    ExecutionPath("jax", "cpu", "XLA, precision default: float32", off=_JAX_OFF),
    ExecutionPath("jax", "cpu/high", "precision high", setup=_precision("high"), off=_JAX_OFF),
    ExecutionPath(
        "jax", "cpu/highest", "precision highest", setup=_precision("highest"), off=_JAX_OFF
    ),
    ExecutionPath(
        "jax",
        "cpu/float32-sums",
        "16-bit operands, preferred_element_type float32",
        style="float32 sums",
        off=_JAX_OFF,
        only=_NARROW,
    ),
    ExecutionPath("jax", "gpu", "XLA, precision default: TF32", "gpu", _CUDA),
    ExecutionPath("jax", "gpu/high", "XLA, precision high", "gpu", _CUDA, _precision("high")),
    ExecutionPath(
        "jax",
        "gpu/highest",
        "XLA, precision highest: float32 throughout",
        "gpu",
        _CUDA,
        _precision("highest"),
    ),
    ExecutionPath(
        "jax",
        "gpu/float32-sums",
        "16-bit operands, preferred_element_type float32",
        "gpu",
        _CUDA,
        style="float32 sums",
        only=_NARROW,
    ),
    ExecutionPath("scipy", "signal/direct", "signal, products summed"),
    ExecutionPath(
        "scipy", "signal/fft", "signal, fast Fourier transform", style="fft", exact=False
    ),
    ExecutionPath("scipy", "ndimage", "ndimage", style="ndimage"),
    ExecutionPath("onnxruntime", "cpu", "the graph optimized, pads in numbers"),
    ExecutionPath(
        "onnxruntime",
        "cpu/unoptimized",
        "the graph as it is: no kernels in blocked layouts",
        style="unoptimized",
    ),
    ExecutionPath("onnxruntime", "cpu/auto_pad", "auto_pad in place of pads", style="auto_pad"),
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
    ExecutionPath("cudnn", "tf32", "the engine of its own choice: TF32"),
    ExecutionPath(
        "cudnn", "no-tf32", "float32 throughout: no engine on tensor cores", style="no tf32"
    ),
    ExecutionPath(
        "theano",
        "cpu/corrmm",
        "CorrMM: windows laid out as a matrix, then a matrix product",
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


def paths_of(backend: str) -> tuple[ExecutionPath, ...]:
    """The rows of a backend, in the table's order."""
    return tuple(path for path in PATHS if path.backend == backend)


def missing(path: ExecutionPath, known: dict[str, str]) -> str | None:
    """Why this path is not there, and what would provide it; None where it is.  `known` is what a
    worker has not found, and why.
    """
    for need in path.needs.split():
        if need in known:
            return f"{known[need]}; it takes {path.provided}"
    return None
