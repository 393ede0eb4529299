"""A script that runs by itself: it loads the arrays, convolves, and saves or prints the output."""

from __future__ import annotations

from collections.abc import Mapping

from convdiff.dialects.script import Script
from convdiff.spec.conv_spec import ConvSpec


def standalone_script(
    script: Script,
    spec: ConvSpec,
    *,
    input: str,
    kernel: str,
    bias: str | None,
    output: str | None,
    stored: dict[str, str],
    variables: Mapping[str, str] | None = None,
) -> str:
    """The complete source text for `script`.

    `input`, `kernel` and `bias` are `file.npy` or `file.npz:key`; `output` is a file to save to, or
    None to print the output.  `stored` has the stored type of each role: the 2-byte values of
    "bfloat16" are widened to float32.  `variables` are environment variables that an execution path
    needs before the framework is imported.
    """
    roles = {"input": input, "kernel": kernel} | (
        {"bias": bias} if spec.bias and bias is not None else {}
    )
    loads = [f"{role} = {_load(where, stored.get(role, ''))}" for role, where in roles.items()]
    imports, _, rest = script.body.partition("\n\n")
    lines = imports.splitlines()
    if "import numpy as np" not in lines:
        lines.insert(0, "import numpy as np")
    required = dict(variables or {})
    if "import theano" in lines:
        # By default Theano looks for a BLAS through numpy.distutils, which current numpy lacks.
        required["THEANO_FLAGS"] = ",".join(
            filter(None, ["blas__ldflags=", required.get("THEANO_FLAGS")])
        )
    if required:
        lines = ["import os", "", *(_set(name, value) for name, value in required.items()), *lines]
    end = f"np.save({output!r}, output)" if output is not None else "print(output)"
    return "\n".join([f"# {spec}", *lines, "", *loads, "", rest.rstrip("\n"), end]) + "\n"


def _set(name: str, value: str) -> str:
    """A statement that sets an environment variable; the user's THEANO_FLAGS are kept."""
    return (
        f'os.environ.setdefault("{name}", "{value}")'
        if name == "THEANO_FLAGS"
        else f'os.environ["{name}"] = "{value}"'
    )


def _load(where: str, stored: str) -> str:
    """An expression that loads an array from `file.npy` or `file.npz:key`."""
    file, _, key = where.rpartition(":")
    text = f"np.load({file!r})[{key!r}]" if file.endswith(".npz") else f"np.load({where!r})"
    if stored == "bfloat16":
        return f"({text}.view(np.uint16).astype(np.uint32) << 16).view(np.float32)  # bfloat16"
    return text
