"""A framework's message that it has no kernel makes a backend unsupported, any other failed."""

from __future__ import annotations

import pytest

from convdiff.backends.failures import exit_message, says_unsupported
from convdiff.backends.fleet import Fleet
from tests.backends.support import ARRAYS, PATIENCE, Run, environment, job

MESSAGES = {
    "RuntimeError: \"slow_conv2d_cpu\" not implemented for 'Half' (line 6: y = F.conv2d(x))": True,
    "NotImplemented: [ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : Could not find an implementation "
    "for Conv(22)": True,
    "cudnnGraphNotSupportedError: No valid engine configs": True,
    "RuntimeError: Given groups=1, weight of size [4, 4]": False,
    "NameError: name 'NotImplementedErrors' is not defined": False,
}


@pytest.mark.parametrize("message", MESSAGES)
def test_messages_that_mean_unsupported(message: str) -> None:
    assert says_unsupported(message) == MESSAGES[message]


def test_a_missing_kernel_makes_a_backend_unsupported_and_a_call_failed(run: Run) -> None:
    code = "raise NotImplementedError('no such kernel')"
    backend, call = run(job(code, "backend"), job(code, "call", kind="call"))
    assert (backend.status, call.status) == ("unsupported", "failed")
    assert "no such kernel" in str(backend.message)


@pytest.mark.parametrize(
    ("returncode", "message"),
    [
        (None, "it closed the file descriptors of its worker"),
        (3, "it ended its process with status 3"),
        (-9, "killed (out of memory?)"),
        (-11, "SIGSEGV (segmentation fault)"),
        (-15, "ended by SIGTERM"),
        (-200, "ended by signal 200"),
    ],
)
def test_how_a_process_ended(returncode: int | None, message: str) -> None:
    assert exit_message(returncode) == message


def test_onnxruntime_without_a_kernel_is_unsupported() -> None:
    code = (
        "output = "
        "ort.InferenceSession(helper.make_model(helper.make_graph([helper.make_node('Conv', "
        "['x', 'x'], ['y'])], 'g', "
        "[helper.make_tensor_value_info('x', 11, [1, 1, 3, 3])], "
        "[helper.make_tensor_value_info('y', 11, None)]), "
        "opset_imports=[helper.make_opsetid('', 17)], ir_version=8).SerializeToString())"
    )
    with Fleet([environment("onnxruntime")], timeout=PATIENCE) as fleet:
        (answer,) = fleet.run([job(code, "onnxruntime", backend="onnxruntime")], ARRAYS)
    assert answer.status == "unsupported" and "Conv" in str(answer.message)
