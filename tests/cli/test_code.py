"""`convdiff code`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Invoke, Spawn


@pytest.mark.parametrize("arrays", [("x.npy", "w.npy"), ("all.npz:x", "all.npz:w")])
def test_the_script_computes_the_convolution(
    arrays: tuple[str, str], invoke: Invoke, spawn: Spawn
) -> None:
    result = invoke("code", *arrays, "--padding", "1", "--for", "numpy")
    assert result.exit_code == 0
    Path("script.py").write_text(result.stdout + "np.save('output.npy', output)\n")
    done = spawn("-W", "error", "script.py")
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load("output.npy"), np.load("y.npy"), atol=1e-4)


def test_a_convolution_that_the_framework_cannot_do_is_an_error(invoke: Invoke) -> None:
    np.save("x4.npy", np.ones((1, 1, 5, 5, 5), np.float32))
    np.save("w4.npy", np.ones((1, 1, 3, 3, 3), np.float32))
    result = invoke("code", "x4.npy", "w4.npy", "--dtype", "bfloat16", "--for", "theano")
    assert result.exit_code == 2
    assert result.stderr.startswith("convdiff: --for theano: it cannot do this convolution: ")


def test_only_a_flat_bias_is_accepted(invoke: Invoke) -> None:
    np.save("b4.npy", np.load("b.npy").reshape(1, 4, 1, 1))
    assert invoke("run", "x.npy", "w.npy", "--bias", "b4.npy", "--backend", "numpy").exit_code == 0
    assert (
        "found shape (1, 4, 1, 1), expected (4,)"
        in invoke("code", "x.npy", "w.npy", "--bias", "b4.npy", "--for", "numpy").stderr
    )
