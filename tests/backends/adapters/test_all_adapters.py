"""Each framework in a worker: its greeting, results and errors, and that jobs do not interfere."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest

from convdiff.backends.fleet import Fleet, Job
from convdiff.execution_paths import built_in_paths
from convdiff.pipeline.self_test import describe_backends
from convdiff.records import Answer
from tests.backends.support import PATIENCE, environment, run_with_memory, stored

ARRAYS = {
    "input": stored(np.arange(1, 17, dtype=np.float32).reshape(1, 1, 4, 4)),
    "kernel": stored(np.ones((1, 1, 2, 2), np.float32)),
}
EXPECTED = np.array([[14, 18, 22], [30, 34, 38], [46, 50, 54]], np.float32).reshape(1, 1, 3, 3)
BFLOAT16 = np.full(2, 1.0078125)  # 1 + 2**-7, which bfloat16 has

RESULTS = {
    "torch": {
        "tensor": "F.conv2d(torch.from_numpy(input), torch.from_numpy(kernel))",
        "with gradient": "nn.Parameter(F.conv2d(torch.tensor(input), torch.tensor(kernel))) * 1",
        "in a list": "[[F.conv2d(torch.tensor(input), torch.tensor(kernel))[0, 0]]]",
        "lazily negated": "torch.complex(-torch.tensor(kernel), "
        "torch.tensor(kernel)).conj().imag[:0].sum()"
        " + F.conv2d(torch.tensor(input), torch.tensor(kernel))",
        "channels last": "F.conv2d(torch.tensor(input).to(memory_format=torch.channels_last), "
        "torch.tensor(kernel))",
        "sparse": "F.conv2d(torch.tensor(input), torch.tensor(kernel)).to_sparse()",
    },
    "tensorflow": {
        "tensor": "tf.transpose(tf.nn.conv2d(input.reshape(1, 4, 4, 1), kernel.reshape(2, 2, 1, "
        "1), 1, 'VALID'), (0, 3, 1, 2))",
        "variable": "tf.Variable(tf.nn.conv2d(input.reshape(1, 4, 4, 1), kernel.reshape(2, 2, 1, "
        "1), 1, 'VALID')[None, ..., 0])",
    },
    "jax": {
        "array": "lax.conv(input, kernel, (1, 1), 'VALID')",
        "compiled": "jax.jit(lambda x, w: lax.conv(x, w, (1, 1), 'VALID'))(jnp.asarray(input), "
        "kernel)",
    },
    "theano": {
        "variable": "T.nnet.conv2d(theano.shared(input), theano.shared(kernel), filter_flip=False)",
        "shared": "theano.shared(T.nnet.conv2d(theano.shared(input), kernel).eval())",
        "function": "(lambda x: theano.function([x], T.nnet.conv2d(x, "
        "kernel)))(T.tensor4(dtype='float32'))(input)",
    },
}
WIDENED = {
    "torch": "torch.full((2,), 1.0078125, dtype=torch.bfloat16)",
    "tensorflow": "tf.fill((2,), tf.constant(1.0078125, tf.bfloat16))",
    "jax": "jnp.full(2, 1.0078125, jnp.bfloat16)",
}
ERRORS = {
    "torch": (
        "F.conv2d(torch.tensor(input), torch.tensor(kernel)[0])",
        r"^RuntimeError: .*\(line 1: F.conv2d",
    ),
    "tensorflow": (
        "tf.nn.conv2d(input, np.ones((2, 2, 3, 1), 'f4'), 1, 'VALID')",
        r"^\w+Error: (?!\{)[^\[]*\(line 1: tf.nn",
    ),
    "jax": ("lax.conv(input, kernel[0], (1, 1), 'VALID')", r"^\w+Error: .*\(line 1: lax"),
    "theano": (
        "T.nnet.conv2d(theano.shared(input), np.ones((1, 2, 2, 2), 'f4'))",
        r"^\w+Error: .*\(line 1: T.nnet|^ValueError: ",
    ),
}
SETTINGS = {
    "torch": (
        "torch.set_default_dtype(torch.float64); torch.backends.cudnn.allow_tf32 = False; "
        "torch.set_num_threads(1)\n"
        "torch.backends.mkldnn.enabled = False; torch.set_float32_matmul_precision('medium'); "
        "torch.set_grad_enabled(False)\noutput = 1",
        "[torch.get_default_dtype() == torch.float32, torch.backends.cudnn.allow_tf32, "
        "torch.is_grad_enabled(),"
        " torch.backends.mkldnn.enabled, torch.get_float32_matmul_precision() == 'highest']",
    ),
    "tensorflow": (
        "tf.config.experimental.enable_tensor_float_32_execution(False); "
        "tf.config.run_functions_eagerly(True)\noutput = 1",
        "[tf.config.experimental.tensor_float_32_execution_enabled(), not "
        "tf.config.functions_run_eagerly()]",
    ),
    "jax": (
        "jax.config.update('jax_enable_x64', True); "
        "jax.config.update('jax_default_matmul_precision', 'bfloat16')\noutput = 1",
        "[not jax.config.jax_enable_x64, jax.config.jax_default_matmul_precision is None, "
        "jnp.ones(1, 'float64').dtype == 'float32']",
    ),
    "theano": ("theano.config.floatX = 'float32'\noutput = 1", "theano.config.floatX == 'float64'"),
}


@pytest.fixture(scope="module", params=sorted(RESULTS))
def backend(request: pytest.FixtureRequest) -> Iterator[tuple[str, Fleet]]:
    with Fleet([environment(request.param)], timeout=PATIENCE) as fleet:
        fleet.start()
        yield request.param, fleet


def ask(backend: tuple[str, Fleet], *codes: str, mode: str = "expression") -> list[Answer]:
    name, fleet = backend
    jobs = [Job(str(i), "call", name, code, mode) for i, code in enumerate(codes)]  # type: ignore[arg-type]
    return [run_with_memory(fleet, job, ARRAYS) for job in jobs]


def test_the_greeting_has_versions_and_devices(backend: tuple[str, Fleet]) -> None:
    name, fleet = backend
    fleet.wait()
    hello = fleet.hello(name)
    assert hello is not None and re.match(r"\d+\.\d+", hello.version) and hello.seconds > 0
    assert hello.devices and hello.numpy and hello.python.startswith("3.")


def test_every_kind_of_result_becomes_an_array(backend: tuple[str, Fleet]) -> None:
    codes = RESULTS[backend[0]]
    for what, answer in zip(codes, ask(backend, *codes.values()), strict=True):
        assert answer.status == "ok", (what, answer.message)
        assert answer.output is not None and str(answer.path).partition("/")[0] in ("cpu", "gpu")
        np.testing.assert_array_equal(np.asarray(answer.output), EXPECTED, err_msg=what)


def test_bfloat16_results_are_widened(backend: tuple[str, Fleet]) -> None:
    if backend[0] not in WIDENED:
        pytest.skip("has no bfloat16")
    [answer] = ask(backend, WIDENED[backend[0]])
    assert answer.output is not None and (answer.output.dtype, answer.stored) == (
        np.float32,
        "bfloat16",
    )
    np.testing.assert_array_equal(answer.output, BFLOAT16)


def test_an_error_is_one_line(backend: tuple[str, Fleet]) -> None:
    code, message = ERRORS[backend[0]]
    [answer] = ask(backend, code)
    assert answer.status == "failed" and re.search(message, str(answer.message)), answer.message
    assert len(str(answer.message).splitlines()) == 1


def test_settings_are_restored_after_a_job(backend: tuple[str, Fleet]) -> None:
    code, check = SETTINGS[backend[0]]
    changed, after = ask(backend, code, "output = " + check, mode="body")
    assert changed.status == after.status == "ok", (changed.message, after.message)
    assert np.all(np.asarray(after.output)), after.output


def test_a_crashed_worker_is_replaced(backend: tuple[str, Fleet]) -> None:
    bad, good = ask(
        backend, "__import__('ctypes').string_at(0)", next(iter(RESULTS[backend[0]].values()))
    )
    assert (bad.status, good.status) == ("crashed", "ok") and str(bad.message).startswith(
        "SIGSEGV (segmentation fault) at line 1"
    )


def test_a_file_of_the_frameworks_name_beside_a_function_is_not_imported(
    backend: tuple[str, Fleet], tmp_path_factory: pytest.TempPathFactory
) -> None:
    name, _ = backend
    folder = tmp_path_factory.mktemp("port")
    (folder / f"{name}.py").write_text(
        f"import {name} as framework\ndef conv(x, w):\n    assert framework.__version__\n    "
        "return x\n"
    )
    [answer] = ask(backend, f"{folder}/{name}.py:conv", mode="function")
    assert answer.status == "ok", answer.message


def test_the_self_test_describes_every_backend() -> None:
    descriptions = describe_backends(timeout=PATIENCE, progress=lambda names: None)
    assert descriptions[0].environment.name == "numpy" and descriptions[0].hello is not None
    for described, hello, reason, tested, paths in descriptions:
        assert (hello is None) == (tested is None) == (reason is not None), described
        assert hello is None or (tested is not None and tested.text == "exact"), (
            described,
            tested,
        )
        assert len(paths) == (len(built_in_paths(described.backend)) if hello else 0)
