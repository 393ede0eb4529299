"""Every execution path of this machine gives exactly the reference on integers, where it can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from convdiff.backends.fleet import Fleet, Job
from convdiff.dialects import Unsupported, write
from convdiff.execution_paths import PATHS, ExecutionPath, unmet_need
from convdiff.numerics.reference import compute_reference
from convdiff.records import Answer, Stored
from convdiff.spec.canonical import user_output
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array
from convdiff.spec.padding import word_pair
from tests.backends.support import PATIENCE, run_with_memory
from tests.dialects.conftest import environment
from tests.specs import SPECS, arrays, random_specs

# What a path cannot compute; anything else that is rejected is an error in convdiff.
UNSUPPORTED: dict[str, Callable[[ConvSpec], bool]] = {
    "numpy:cpu": lambda spec: spec.dtype == "bfloat16",
    "torch:cpu/channels_last": lambda spec: spec.rank == 1,
    "jax:cpu/float32-sums": lambda spec: spec.dtype in ("float32", "float64"),
    "scipy:signal/direct": lambda spec: spec.dtype == "bfloat16",
    "scipy:signal/fft": lambda spec: spec.dtype == "bfloat16",
    "scipy:ndimage": lambda spec: spec.dtype == "bfloat16",
    "onnxruntime:cpu": lambda spec: spec.dtype in ("float64", "bfloat16"),
    "onnxruntime:cpu/auto_pad": lambda spec: not has_auto_pad(spec),
    "onnxruntime:cpu/unoptimized": lambda spec: spec.dtype in ("float64", "bfloat16"),
    "theano:cpu/corrmm": lambda spec: spec.dtype == "bfloat16",
    "theano:cpu/convop": lambda spec: spec.dtype == "bfloat16" or spec.rank == 3,
}
# Paths that compile every call get every eighth spec of the table.
SLOW = ("torch:cpu/inductor",)
# Paths whose output has the type of their sums.
WIDER = ("jax:cpu/float32-sums", "jax:gpu/float32-sums")
# The largest error of paths by a Fourier transform, whose errors are bounded over the whole array.
FFT_TOLERANCE = {"scipy:signal/fft": {"float16": 0.1, "float32": 1e-3, "float64": 1e-9}}


def has_auto_pad(spec: ConvSpec) -> bool:
    """Whether the padding is VALID, SAME_UPPER or SAME_LOWER, the last two without dilation."""
    if spec.dtype not in ("float32", "float16") or not spec.pads_with_zeros:
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


def full_name(path: ExecutionPath) -> str:
    return f"{path.backend}:{path.name}"


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=pytest.mark.xdist_group(path.backend)) for path in PATHS],
    ids=full_name,
)
def test_every_path_is_exact(path: ExecutionPath) -> None:
    path_environment = replace(environment(path.backend), variables=path.variables)
    with Fleet([path_environment], timeout=PATIENCE) as fleet:
        hello = fleet.wait()[path_environment.process]
        assert not isinstance(hello, str), hello
        reason = unmet_need(path, hello.missing)
        if reason is not None:
            pytest.skip(reason)
        titles = list(SPECS)[:: 8 if full_name(path) in SLOW else 1]
        table = {title: SPECS[title] for title in titles}
        count = (
            {"torch": 75, "tensorflow": 40}.get(path.backend, 10)
            if full_name(path) not in SLOW
            else 3
        )
        table |= {
            f"random {number}": spec for number, spec in enumerate(random_specs(count, seed=5))
        }
        wrong = [
            f"{title}: {message}"
            for title, spec in table.items()
            if (message := fault(fleet, path_environment.process, path, spec))
        ]
    assert not wrong, "\n\n".join(wrong)


def fault(fleet: Fleet, process: str, path: ExecutionPath, spec: ConvSpec) -> str | None:
    """What is wrong with the path's answer, None where it is right."""
    unsupported = UNSUPPORTED.get(full_name(path), lambda _: False)(spec)
    try:
        body = write(path.backend, spec, path).body
    except Unsupported as why:
        return None if unsupported else f"{spec}: rejected: {why}"
    if unsupported:
        return f"{spec}: not rejected\n{body}"
    data = arrays(spec)
    stored = {role: Stored(array, array.dtype.name) for role, array in data.items()}
    job = Job("path", "backend", path.backend, body, "body", process=process)
    answer = run_with_memory(fleet, job, stored)
    reference = compute_reference(spec, data["input"], data["kernel"], data.get("bias")).output
    return difference(answer, path, spec, user_output(spec, reference), body)


def difference(
    answer: Answer, path: ExecutionPath, spec: ConvSpec, expected: Array, body: str
) -> str | None:
    """How an answer differs from the expected output, None where it does not."""
    if answer.status != "ok" or answer.output is None:
        return f"{spec}: {answer.message}\n{body}"
    dtype = "float32" if spec.dtype == "bfloat16" or full_name(path) in WIDER else spec.dtype
    if full_name(path) in FFT_TOLERANCE and answer.output.dtype == dtype:
        error = np.abs(answer.output - expected).max()
        tolerance = FFT_TOLERANCE[full_name(path)][spec.dtype]
        return None if error <= tolerance else f"{spec}: an error of {error}\n{body}"
    if answer.output.dtype != dtype or not np.array_equal(answer.output, expected):
        return f"{spec}: another answer\n{body}"
    return None
