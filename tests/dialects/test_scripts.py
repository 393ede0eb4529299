"""The text of scripts, which is shown to users: idiomatic, short, and without needless steps."""

from __future__ import annotations

import ast
import builtins
import contextlib
from collections.abc import Iterator
from dataclasses import replace

import pytest

from convdiff.dialects import DIALECTS, Unsupported, write
from convdiff.dialects.script import parse
from convdiff.errors import ConvdiffError
from convdiff.spec.conv_spec import ConvSpec
from tests.specs import SPECS, conv


def bodies(name: str) -> Iterator[tuple[ConvSpec, str]]:
    """Every spec of the table with its script."""
    for spec in SPECS.values():
        with contextlib.suppress(Unsupported):
            yield spec, write(name, spec).body


@pytest.mark.parametrize("name", DIALECTS)
def test_every_name_is_defined_and_used(name: str) -> None:
    for spec, body in bodies(name):
        nodes = list(ast.walk(parse(body)))
        names = [node for node in nodes if isinstance(node, ast.Name)]
        bound = {node.id for node in names if isinstance(node.ctx, ast.Store)}
        bound |= {
            alias.asname or alias.name
            for node in nodes
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        bound |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        bound |= {node.arg for node in nodes if isinstance(node, ast.arg)}
        read = {node.id for node in names if isinstance(node.ctx, ast.Load)}
        given = {"input", "kernel"} | ({"bias"} if spec.bias else set())
        assert read - bound - set(dir(builtins)) - given == set() and given <= read, body
        assert (
            "input" in read and "output" in bound and bound - read - {"data_ptr", "output"} == set()
        ), body


@pytest.mark.parametrize("name", DIALECTS)
def test_lines_are_short(name: str) -> None:
    for _, body in bodies(name):
        assert max(map(len, body.splitlines())) <= 120, body


@pytest.mark.parametrize(
    ("name", "layouts"),
    [("torch", "NCHW OIHW"), ("theano", "NCHW OIHW"), ("tensorflow", "NHWC HWIO")],
)
def test_nothing_is_permuted_in_the_frameworks_own_layouts(name: str, layouts: str) -> None:
    script = write(name, conv(layouts, n=6, k=3, c=2, o=3, padding=1, bias=True))
    assert (
        "permute" not in script.body
        and "transpose" not in script.body
        and "pad(" not in script.body
    )
    assert set(script.aligned) <= {"filter_flip=False"}


@pytest.mark.parametrize("name", ["numpy", "torch", "tensorflow", "jax"])
def test_a_kernel_of_size_1_is_not_flipped(name: str) -> None:
    spec = conv(n=6, k=1, c=2, o=3)
    assert write(name, replace(spec, flip=True)) == write(name, spec)


@pytest.mark.parametrize(
    ("name", "spec", "text"),
    [
        ("torch", conv(n=6, k=3, padding=1), "padding=1"),
        ("torch", conv(n=6, k=(3, 5), padding=((1, 1), (2, 2))), "padding=(1, 2)"),
        ("torch", conv(n=6, k=3, padding=((0, 1), (2, 3))), "F.pad(x, (2, 3, 0, 1))"),
        (
            "torch",
            conv(n=6, k=3, padding=1, pad_mode="wrap"),
            'F.pad(x, (1, 1, 1, 1), mode="circular")',
        ),
        (
            "torch",
            conv("NCHW IOHW", n=6, k=3, stride=2, padding=1, output_padding=1, transposed=True),
            "padding=1, output_padding=1",
        ),
        ("tensorflow", conv("NHWC HWIO", n=8, k=3, stride=2, padding=(0, 1)), 'padding="SAME"'),
        (
            "tensorflow",
            conv("NHWC HWIO", n=8, k=3, stride=2, padding=1),
            "padding=[[0, 0], [1, 1], [1, 1], [0, 0]]",
        ),
        ("tensorflow", conv("NHWC HWIO", n=8, k=3), 'padding="VALID"'),
        (
            "tensorflow",
            conv("NHWC HWIM", n=8, k=3, c=2, o=2, groups=2),
            "tf.nn.depthwise_conv2d(x, w,",
        ),
        (
            "tensorflow",
            conv("NHWC HWOI", n=4, k=3, stride=2, padding=(0, 1), transposed=True),
            '(1, 8, 8, 1), strides=2, padding="SAME"',
        ),
        (
            "jax",
            conv("CHWN IHWO NHWC", n=8, k=3, padding=(0, 1)),
            'dimension_numbers=("CHWN", "IHWO", "NHWC")',
        ),
        ("jax", conv(n=8, k=3, dtype="float64"), 'jax.config.update("jax_enable_x64", True)'),
        ("theano", conv(n=8, k=3, padding=1), "border_mode=1, filter_flip=False"),
        (
            "theano",
            conv(n=8, k=3, padding=((0, 1), (1, 1)), flip=True),
            "border_mode=((0, 1), (1, 1)))",
        ),
        (
            "numpy",
            conv("W W", n=8, k=3, padding=2, flip=True),
            'np.convolve(input.astype(np.float32), kernel.astype(np.float32), "full")',
        ),
        ("numpy", conv("W W", n=8, k=3, padding=1), '"same")'),
        ("numpy", conv("W W", n=8, k=3), '"valid")'),
        (
            "numpy",
            conv("NHWC HWIO", n=8, k=3, c=2),
            'np.einsum("nhwcrs,rsco->nhwo", windows, w, optimize=True)',
        ),
    ],
)
def test_a_script_uses_the_frameworks_own_arguments(name: str, spec: ConvSpec, text: str) -> None:
    assert text in write(name, spec).body


def test_a_complete_body() -> None:
    script = write(
        "torch",
        conv("NHWC HWIO", n=8, k=3, c=2, o=3, stride=2, padding=(0, 1), flip=True, bias=True),
    )
    assert (
        script.body
        == """\
import torch
import torch.nn.functional as F

x = torch.tensor(input, dtype=torch.float32).permute(0, 3, 1, 2)
x = F.pad(x, (0, 1, 0, 1))  # last axis first
w = torch.tensor(kernel, dtype=torch.float32).permute(3, 2, 0, 1).flip(2, 3)
b = torch.tensor(bias, dtype=torch.float32)
y = F.conv2d(x, w, b, stride=2)
output = y.permute(0, 2, 3, 1).cpu().numpy()
"""
    )
    assert script.aligned == ("padded by hand", "kernel flipped", "NCHW/OIHW")


def test_the_error_for_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(
        ConvdiffError,
        match=r"found 'pytorch', expected one of cudnn, jax, .*; did you mean torch\?",
    ):
        write("pytorch", conv(n=8, k=3))
