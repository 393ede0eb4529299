"""The table of backends: what each imports, how long that takes, and the pins that install it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from convdiff.errors import one_of


class Backend(NamedTuple):
    """One row of the table.

    `module` is what the adapter imports.  `seconds` is a typical import time: the slowest backend
    is started first.  `steps` are the arguments of consecutive `pip install` calls, with exact pins
    that are known to work together; `pythons` are the first and last minor version of Python 3 that
    these pins install on.  `gpu` marks a backend that runs on a GPU only.  `adapter` and `reason`
    are set for a backend of another package: the path of its adapter, or why the package cannot be
    used.
    """

    name: str
    module: str
    seconds: float
    steps: tuple[tuple[str, ...], ...]
    pythons: tuple[int, int]
    gpu: bool = False
    adapter: Path | None = None
    reason: str | None = None

    @property
    def package(self) -> str:
        """The name under which pip knows the module."""
        requirements = (
            [argument for argument in self.steps[-1] if not argument.startswith("-")]
            if self.steps
            else [self.module]
        )
        return re.split(r"[=<>]", requirements[0])[0]


# Theano-PyMC builds from source.  Its setup needs distutils as setuptools had it before version 60,
# and numpy before 1.24 (np.bool): hence no build isolation, and Python 3.11 at most.
BACKENDS = (
    Backend("numpy", "numpy", 0.1, (), (7, 99)),
    Backend("scipy", "scipy", 0.4, (("scipy==1.17.1", "numpy==2.4.6"),), (11, 14)),
    Backend("torch", "torch", 1.4, (("torch==2.13.0", "numpy==2.4.6"),), (11, 14)),
    Backend(
        "tensorflow", "tensorflow", 3.3, (("tensorflow-cpu==2.21.0", "numpy==2.4.6"),), (11, 13)
    ),
    Backend("jax", "jax", 0.6, (("jax==0.10.2", "numpy==2.4.6"),), (11, 14)),
    Backend(
        "onnxruntime",
        "onnxruntime",
        0.2,
        (("onnxruntime==1.31.1", "onnx==1.23.2", "numpy==2.4.6"),),
        (11, 14),
    ),
    Backend(
        "cudnn",
        "cudnn",
        0.5,
        (
            (
                "nvidia-cudnn-frontend==1.32.0",
                "nvidia-cudnn-cu12==9.28.0.42",
                "nvidia-cuda-runtime-cu12==12.9.79",
                "cuda-bindings==12.9.10",
                "ml_dtypes==0.6.0",
                "numpy==2.4.6",
            ),
        ),
        (11, 13),
        gpu=True,
    ),
    Backend(
        "theano",
        "theano",
        0.5,
        (
            ("setuptools==59.8.0", "wheel==0.48.0", "numpy==1.23.5"),
            ("--no-build-isolation", "theano-pymc==1.1.2", "numpy==1.23.5", "scipy==1.15.3"),
        ),
        (10, 11),
    ),
)
NAMES = tuple(row.name for row in BACKENDS)


def all_backends() -> tuple[Backend, ...]:
    """The rows of the table, then those of other packages (`convdiff.plugins`)."""
    # Looking for plugins takes a while, and most commands name only backends of the table.
    from convdiff.plugins import plugins

    others = [
        Backend(name, "", 0.0, (), (7, 99), reason=plugin)
        if isinstance(plugin, str)
        else Backend(
            name,
            plugin.module,
            plugin.seconds,
            plugin.steps,
            plugin.pythons,
            adapter=plugin.adapter,
        )
        for name, plugin in plugins().items()
        if name not in NAMES
    ]
    return (*BACKENDS, *others)


def find_backend(name: str) -> Backend:
    """The row for an environment's name: that of `torch` for both `torch` and `torch@1.13`.

    Raises ConvdiffError for a name that has no row.
    """
    base = name.partition("@")[0]
    for row in BACKENDS if base in NAMES else all_backends():
        if row.name == base:
            return row
    raise one_of("backend", name, [row.name for row in all_backends()])
