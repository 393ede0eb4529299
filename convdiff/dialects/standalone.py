"""A script that runs by itself: load the arrays, do the convolution, save or print the output."""

from __future__ import annotations

from collections.abc import Mapping

from convdiff.dialects.script import Script
from convdiff.spec.conv_spec import ConvSpec


def standalone(
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
    """A complete script from `script`.

    `input`, `kernel` and `bias` are `file.npy` or `file.npz:key`; `output` a file to save to, or
    None to print it. Where `stored` has "bfloat16" for a role, its file holds those 2-byte values
    and they are widened to float32.  `variables` are those of the environment that a path needs set
    before the framework is imported.
    """
    roles = {"input": input, "kernel": kernel} | (
        {"bias": bias} if spec.bias and bias is not None else {}
    )
    loads = [f"{role} = {_load(where, stored.get(role, ''))}" for role, where in roles.items()]
    imports, _, rest = script.body.partition("\n\n")
    lines = imports.splitlines()
    if "import numpy as np" not in lines:
        lines.insert(0, "import numpy as np")
    needed = dict(variables or {})
    if "import theano" in lines:
        # Theano looks for numpy.distutils' BLAS, which today's numpy has not, unless told
        # otherwise.
        needed["THEANO_FLAGS"] = ",".join(
            filter(None, ["blas__ldflags=", needed.get("THEANO_FLAGS")])
        )
    if needed:
        lines = ["import os", "", *(_set(name, value) for name, value in needed.items()), *lines]
    end = f"np.save({output!r}, output)" if output is not None else "print(output)"
    return "\n".join([f"# {spec}", *lines, "", *loads, "", rest.rstrip("\n"), end]) + "\n"


def _set(name: str, value: str) -> str:
    return (
        f'os.environ.setdefault("{name}", "{value}")'
        if name == "THEANO_FLAGS"
        else f'os.environ["{name}"] = "{value}"'
    )


def _load(where: str, stored: str) -> str:
    file, _, key = where.rpartition(":")
    text = f"np.load({file!r})[{key!r}]" if file.endswith(".npz") else f"np.load({where!r})"
    if stored == "bfloat16":
        return f"({text}.view(np.uint16).astype(np.uint32) << 16).view(np.float32)  # bfloat16"
    return text
