"""Every path that this machine has gives exactly the reference on integers, for everything that it
can do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from convdiff.backends.fleet import Fleet, Job
from convdiff.dialects import Unsupported, write
from convdiff.execution_paths import PATHS, ExecutionPath, unmet_need
from convdiff.numerics.reference import truth
from convdiff.records import Answer, Stored
from convdiff.spec.canonical import user_output
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.padding import word_pair
from tests.dialects.conftest import environment
from tests.specs import SPECS, arrays, random_specs

# What a path cannot do, beyond what its backend cannot; anything else that is refused is a fault of
# ours.
UNSUPPORTED: dict[str, Callable[[ConvSpec], bool]] = {
    "numpy:cpu": lambda spec: spec.dtype == "bfloat16",
    "torch:cpu/channels_last": lambda spec: spec.rank == 1,
    "jax:cpu/float32-sums": lambda spec: spec.dtype in ("float32", "float64"),
    "scipy:signal/direct": lambda spec: spec.dtype == "bfloat16",
    "scipy:signal/fft": lambda spec: spec.dtype == "bfloat16",
    "scipy:ndimage": lambda spec: spec.dtype == "bfloat16",
    "onnxruntime:cpu": lambda spec: spec.dtype in ("float64", "bfloat16"),
    "onnxruntime:cpu/auto_pad": lambda spec: not said_by_auto_pad(spec),
    "onnxruntime:cpu/unoptimized": lambda spec: spec.dtype in ("float64", "bfloat16"),
    "theano:cpu/corrmm": lambda spec: spec.dtype == "bfloat16",
    "theano:cpu/convop": lambda spec: spec.dtype == "bfloat16" or spec.rank == 3,
}
# Those that compile every call anew get every eighth of the table.
SLOW = ("torch:cpu/inductor",)
WIDER = ("jax:cpu/float32-sums", "jax:gpu/float32-sums")  # their output stays as wide as their sums


# An FFT's errors are bounded over the whole array only.
BY_FFT = {"scipy:signal/fft": {"float16": 0.1, "float32": 1e-3, "float64": 1e-9}}


def said_by_auto_pad(spec: ConvSpec) -> bool:
    """VALID, SAME_UPPER or SAME_LOWER, in ONNX Runtime without dilation."""
    if spec.dtype not in ("float32", "float16") or spec.pad_mode != "constant":
        return False
    if spec.padding == ((0, 0),) * spec.rank:
        return all(added < s for added, s in zip(spec.output_padding, spec.stride, strict=True))
    if max(spec.dilation) > 1 or max(spec.output_padding) > 0:
        return False
    sizes = [(n - 1) * r + 1 for n, r in zip(spec.input_size, spec.input_dilation, strict=True)]
    if spec.transposed:
        sizes = [n * s for n, s in zip(spec.input_size, spec.stride, strict=True)]
        if tuple(sizes) != spec.output_size or any(
            k < s for k, s in zip(spec.kernel_size, spec.stride, strict=True)
        ):
            return False
    return spec.padding in [
        tuple(
            word_pair(word, n, k, s)
            for n, k, s in zip(sizes, spec.kernel_size, spec.stride, strict=True)
        )
        for word in ("same", "same_lower")
    ]


def named(path: ExecutionPath) -> str:
    return f"{path.backend}:{path.name}"


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=pytest.mark.xdist_group(path.backend)) for path in PATHS],
    ids=named,
)
def test_exact(path: ExecutionPath) -> None:
    place = replace(environment(path.backend), variables=path.variables)
    with Fleet([place], timeout=300) as fleet:
        hello = fleet.wait()[place.process]
        assert not isinstance(hello, str), hello
        reason = missing(path, hello.missing)
        if reason is not None:
            pytest.skip(reason)
        titles = list(SPECS)[:: 8 if named(path) in SLOW else 1]
        table = {title: SPECS[title] for title in titles}
        count = (
            {"torch": 75, "tensorflow": 40}.get(path.backend, 10) if named(path) not in SLOW else 3
        )
        table |= {
            f"random {number}": spec for number, spec in enumerate(random_specs(count, seed=5))
        }
        wrong = [
            said
            for title, spec in table.items()
            if (said := fault(fleet, place.process, path, spec)) and print(title, said) is None
        ]
    assert not wrong, wrong[0]


def fault(fleet: Fleet, process: str, path: ExecutionPath, spec: ConvSpec) -> str | None:
    """What is wrong with the path's answer; None where nothing is."""
    refuses = UNSUPPORTED.get(named(path), lambda _: False)(spec)
    try:
        body = write(path.backend, spec, path).body
    except Unsupported as why:
        return None if refuses else f"{spec}: refused: {why}"
    if refuses:
        return f"{spec}: not refused\n{body}"
    data = arrays(spec)
    stored = {role: Stored(array, array.dtype.name) for role, array in data.items()}
    (answer,) = fleet.run(
        [Job("it", "backend", path.backend, body, "body", process=process)], stored
    )
    return judged(
        answer,
        path,
        spec,
        user_output(spec, truth(spec, data["input"], data["kernel"], data.get("bias")).output),
        body,
    )


def judged(
    answer: Answer, path: ExecutionPath, spec: ConvSpec, expected: np.ndarray, body: str
) -> str | None:  # type: ignore[type-arg]
    if answer.status != "ok" or answer.output is None:
        return f"{spec}: {answer.message}\n{body}"
    dtype = "float32" if spec.dtype == "bfloat16" or named(path) in WIDER else spec.dtype
    if named(path) in BY_FFT and answer.output.dtype == dtype:
        return (
            None
            if np.abs(answer.output - expected).max() <= BY_FFT[named(path)][spec.dtype]
            else f"{spec}: too far off\n{body}"
        )
    if answer.output.dtype != dtype or not np.array_equal(answer.output, expected):
        return f"{spec}: another answer\n{body}"
    return None
