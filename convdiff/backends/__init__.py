"""The frameworks convdiff can ask, one visible row each, and the environments and worker processes
they run in.

A backend is a framework and an interpreter that can import it.  `convdiff` itself imports none of
them: each runs in a worker process (`worker.py`), with the adapter that knows it
(`adapters/NAME_adapter.py`).  A new backend is a row here, an adapter there and a dialect.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple


class Backend(NamedTuple):
    """One row: what to import, in which order to start it, and how to build an environment for it.

    `module` is also what the adapter imports.  `seconds` is a typical import time: the slowest is
    started first. `steps` are the arguments of one `pip install` after another; `pythons` the first
    and last minor version of Python 3 that these pins install on.  `gpu` marks what runs on a GPU
    only.  `adapter` is the adapter's file where it is another package's, and `reason` why such a
    package's backend cannot be had.
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
        wanted = (
            [argument for argument in self.steps[-1] if not argument.startswith("-")]
            if self.steps
            else [self.module]
        )
        return re.split(r"[=<>]", wanted[0])[0]


# Theano-PyMC builds from source: its setup needs distutils as setuptools below 60 has it, and numpy
# before 1.24 (np.bool). Hence no build isolation, and Python 3.11 at most.  SciPy gets a bound
# because newer ones leave numpy 1.23.
BACKENDS = (
    Backend("numpy", "numpy", 0.1, (), (7, 99)),
    Backend("scipy", "scipy", 0.4, (("scipy>=1.11,<2", "numpy"),), (9, 99)),
    Backend("torch", "torch", 1.4, (("torch==2.13.0", "numpy"),), (10, 14)),
    Backend("tensorflow", "tensorflow", 3.3, (("tensorflow-cpu>=2.21,<2.22",),), (10, 13)),
    Backend("jax", "jax", 0.6, (("jax==0.10.2",),), (11, 14)),
    Backend(
        "onnxruntime",
        "onnxruntime",
        0.2,
        (("onnxruntime==1.31.1", "onnx>=1.23,<2", "numpy"),),
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
                "cuda-bindings==12.9.*",
                "ml_dtypes",
                "numpy",
            ),
        ),
        (10, 13),
        gpu=True,
    ),
    Backend(
        "theano",
        "theano",
        0.5,
        (
            ("setuptools<60", "wheel", "numpy==1.23.5"),
            ("--no-build-isolation", "theano-pymc==1.1.2", "numpy==1.23.5", "scipy<1.16"),
        ),
        (9, 11),
    ),
)
NAMES = tuple(row.name for row in BACKENDS)


def backends() -> tuple[Backend, ...]:
    """All rows: those above, and those of other packages."""
    from convdiff.plugins import plugins

    others = [
        Backend(name, "", 0.0, (), (7, 99), reason=found)
        if isinstance(found, str)
        else Backend(
            name, found.module, found.seconds, found.steps, found.pythons, adapter=found.adapter
        )
        for name, found in plugins().items()
        if name not in NAMES
    ]
    return (*BACKENDS, *others)


def backend(name: str) -> Backend:
    """The row of an environment's name: that of `torch` for `torch` and for `torch@1.13`.
    ConvdiffError if there is none.
    """
    base = name.partition("@")[0]
    for row in BACKENDS if base in NAMES else backends():
        if row.name == base:
            return row
    from convdiff.errors import one_of

    raise one_of("backend", name, [row.name for row in backends()])
