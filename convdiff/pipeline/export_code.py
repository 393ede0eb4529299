"""The code of `convdiff code`: arrays and options to a script."""

from __future__ import annotations

from convdiff.arrays import compute_dtype, read
from convdiff.backends.environment_variables import path_variables
from convdiff.dialects import Unsupported, dialect_names, standalone_script, write, write_default
from convdiff.errors import ConvdiffError, one_of
from convdiff.execution_paths import DEFAULT_PATH
from convdiff.plugins import find_path
from convdiff.spec.infer_spec import read_spec
from convdiff.spec.settings import Settings


def script(
    input: str, kernel: str, bias: str | None, settings: Settings, name: str, *, align: bool
) -> str:
    """A script of its own that does this convolution in framework `name`, or through a path of it
    (`torch:cpu/native`).

    Raises ConvdiffError for files and options that make no convolution, and where the framework
    cannot do it.
    """
    framework, colon, way = name.partition(":")
    # The code is the same in whichever environment: torch@1.13's is torch's.
    framework = framework.partition("@")[0]
    if framework not in dialect_names():
        raise one_of("--for", framework, dialect_names())
    path = find_path(framework, way) if colon else DEFAULT_PATH
    roles = {"input": read(input, "input"), "kernel": read(kernel, "kernel")} | (
        {"bias": read(bias, "--bias")} if bias else {}
    )
    dtype = compute_dtype(roles["input"], roles["kernel"], settings.dtype)
    spec, _ = read_spec(
        roles["input"].array.shape,
        roles["kernel"].array.shape,
        settings,
        bias=bias is not None,
        dtype=dtype,
    )
    if bias and roles["bias"].array.shape != (spec.out_channels,):
        raise ConvdiffError(
            f"--bias {bias}: found shape {roles['bias'].array.shape}, expected "
            f"({spec.out_channels},), one value per output channel; "
            "reshape it"
        )
    try:
        written = write(framework, spec, path) if align else write_default(framework, spec, path)
    except Unsupported as why:
        raise ConvdiffError(
            f"--for {name}: found a convolution that it cannot do, {why}; try another framework"
        ) from None
    return standalone_script(
        written,
        spec,
        input=roles["input"].name,
        kernel=roles["kernel"].name,
        bias=roles["bias"].name if bias else None,
        output=None,
        stored={role: stored.stored for role, stored in roles.items()},
        variables=dict(path_variables(path)),
    )
