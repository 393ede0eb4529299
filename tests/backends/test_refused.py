"""What a framework says it has no kernel for is unsupported, in its own words; anything else that
fails has failed.
"""

from __future__ import annotations

import pytest
from backends_support import ARRAYS, Run, environment, job

from convdiff.backends.failures import refused
from convdiff.backends.fleet import Fleet

SAID = {
    "RuntimeError: \"slow_conv2d_cpu\" not implemented for 'Half' (line 6: y = F.conv2d(x, w))": True,
    "NotImplemented: [ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : Could not find an implementation "
    "for Conv(22)": True,
    "cudnnGraphNotSupportedError: No valid engine configs": True,
    "RuntimeError: Given groups=1, weight of size [4, 4]": False,
    "NameError: name 'NotImplementedErrors' is not defined": False,
}


@pytest.mark.parametrize("message", SAID)
def test_which_words_are_refusals(message: str) -> None:
    assert refused(message) == SAID[message]


def test_a_backend_s_refusal_is_unsupported_and_a_call_s_is_not(run: Run) -> None:
    code = "raise NotImplementedError('no such kernel')"
    of_backend, of_call = run(job(code, "backend"), job(code, "call", kind="call"))
    assert (of_backend.status, of_call.status) == ("unsupported", "failed")
    assert "no such kernel" in str(of_backend.message)


def test_a_real_one() -> None:
    code = (
        "output = "
        "ort.InferenceSession(helper.make_model(helper.make_graph([helper.make_node('Conv', "
        "['x', 'x'], ['y'])], 'g', "
        "[helper.make_tensor_value_info('x', 11, [1, 1, 3, 3])], "
        "[helper.make_tensor_value_info('y', 11, None)]), "
        "opset_imports=[helper.make_opsetid('', 17)], ir_version=8).SerializeToString())"
    )
    with Fleet([environment("onnxruntime")], timeout=60) as fleet:
        (answer,) = fleet.run([job(code, "onnxruntime", backend="onnxruntime")], ARRAYS)
    assert answer.status == "unsupported" and "Conv" in str(answer.message)
