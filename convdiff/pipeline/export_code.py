"""The script that `convdiff code` prints: one convolution in one framework."""

from __future__ import annotations

from convdiff.arrays import compute_dtype, read
from convdiff.backends.environment_variables import path_variables
from convdiff.dialects import Unsupported, dialect_names, standalone_script, write, write_default
from convdiff.errors import ConvdiffError, one_of
from convdiff.execution_paths import DEFAULT_PATH
from convdiff.plugins import find_path
from convdiff.spec.infer_spec import read_spec
from convdiff.spec.settings import Settings


def export_code(
    input: str, kernel: str, bias: str | None, settings: Settings, name: str, *, align: bool
) -> str:
    """A script that loads the arrays and does this convolution in the framework `name`.

    `name` may include a path ("torch:cpu/native").  Raises ConvdiffError where the files and
    options do not make a convolution, or the framework cannot do it.
    """
    environment, colon, path_name = name.partition(":")
    # The code is the same in every environment of a framework: that of torch@1.13 is torch's.
    framework = environment.partition("@")[0]
    if framework not in dialect_names():
        raise one_of("--for", framework, dialect_names())
    path = find_path(framework, path_name) if colon else DEFAULT_PATH
    arrays = {"input": read(input, "input"), "kernel": read(kernel, "kernel")}
    if bias:
        arrays["bias"] = read(bias, "--bias")
    dtype = compute_dtype(arrays["input"], arrays["kernel"], settings.dtype, arrays.get("bias"))
    spec, _ = read_spec(
        arrays["input"].array.shape,
        arrays["kernel"].array.shape,
        settings,
        bias=bias is not None,
        dtype=dtype,
    )
    if bias and arrays["bias"].array.shape != (spec.out_channels,):
        raise ConvdiffError(
            f"--bias {bias}: found shape {arrays['bias'].array.shape}, expected "
            f"({spec.out_channels},), one value per output channel; reshape it"
        )
    try:
        script = write(framework, spec, path) if align else write_default(framework, spec, path)
    except Unsupported as error:
        raise ConvdiffError(
            f"--for {name}: it cannot do this convolution: {error}; try another framework"
        ) from None
    return standalone_script(
        script,
        spec,
        input=arrays["input"].name,
        kernel=arrays["kernel"].name,
        bias=arrays["bias"].name if bias else None,
        output=None,
        stored={role: array.stored for role, array in arrays.items()},
        variables=dict(path_variables(path)),
    )
