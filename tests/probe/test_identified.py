"""Functions whose convolution is known, recovered from nothing; what `run` is told reproduces each."""

from __future__ import annotations

import pytest

from convdiff.probe.words import options
from tests.probe.conftest import Ask

SIGNAL = '__import__("scipy.signal").signal'
IMAGES = '__import__("scipy.ndimage").ndimage'
TORCH = "--input-layout NCHW --kernel-layout OIHW"
LAST = "--input-layout NHWC --kernel-layout HWIO"
XLA = 'lax.conv_general_dilated(input, kernel, {}, dimension_numbers=("NHWC", "HWIO", "NHWC"){})'

CASES = [
    ("torch", "F.conv2d(input, kernel)", TORCH),
    (
        "torch",
        "F.conv2d(torch.tensor(input), torch.tensor(kernel), padding=1)",
        f"{TORCH} --padding 1",
    ),
    (
        "torch",
        "F.conv2d(input, kernel, stride=(2, 3), padding=(2, 1))",
        f"{TORCH} --stride 2,3 --padding 2:2,1:1",
    ),
    ("torch", "F.conv2d(input, kernel, bias, dilation=2)", f"{TORCH} --dilation 2 --bias FILE"),
    (
        "torch",
        "F.conv2d(input, kernel, groups=3, padding='same')",
        f"{TORCH} --groups 3 --padding same",
    ),
    ("torch", "F.conv2d(input, kernel, groups=input.shape[1])", f"{TORCH} --depthwise"),
    (
        "torch",
        "F.conv2d(input.permute(0, 3, 1, 2), kernel).permute(0, 2, 3, 1)",
        "--input-layout NHWC --kernel-layout OIHW",
    ),
    ("torch", "F.conv2d(input, kernel.flip(2, 3))", f"{TORCH} --flip"),
    (
        "torch",
        "F.conv2d(F.pad(input, (2, 2, 2, 2), mode='reflect'), kernel)",
        f"{TORCH} --padding 2 --pad-mode reflect",
    ),
    (
        "torch",
        "F.conv1d(input, kernel, padding=2, stride=3)",
        "--input-layout NCW --kernel-layout OIW --stride 3 --padding 2",
    ),
    (
        "torch",
        "F.conv3d(input, kernel, padding=1, dilation=(1, 1, 2))",
        "--input-layout NCDHW --kernel-layout OIDHW --dilation 1,1,2 --padding 1",
    ),
    (
        "torch",
        "F.conv_transpose2d(input, kernel, stride=2, padding=1, output_padding=1)",
        "--input-layout NCHW --kernel-layout IOHW --transposed --stride 2 --padding 1 "
        "--output-padding 1",
    ),
    (
        "torch",
        "F.conv_transpose1d(input, kernel, stride=3, groups=2)",
        "--input-layout NCW --kernel-layout IOW --transposed --stride 3 --groups 2",
    ),
    (
        "torch",
        "F.conv_transpose2d(input, kernel)",
        "--input-layout NCHW --kernel-layout IOHW --transposed",
    ),
    ("tensorflow", "tf.nn.conv2d(input, kernel, 2, 'SAME')", f"{LAST} --stride 2 --padding same"),
    (
        "tensorflow",
        "tf.nn.conv1d(input, kernel, 1, 'VALID')",
        "--input-layout NWC --kernel-layout WIO",
    ),
    (
        "tensorflow",
        "tf.nn.depthwise_conv2d(input, kernel, (1, 1, 1, 1), 'SAME')",
        "--input-layout NHWC --kernel-layout HWIM --padding same",
    ),
    (
        "tensorflow",
        "tf.nn.conv2d_transpose(input, kernel, (input.shape[0], 2 * input.shape[1], 2 * "
        "input.shape[2], kernel.shape[2]), 2, 'SAME')",
        "--input-layout NHWC --kernel-layout HWOI --transposed --stride 2 --padding same",
    ),
    ("jax", XLA.format("(2, 1), 'SAME'", ""), f"{LAST} --stride 2,1 --padding same"),
    (
        "jax",
        XLA.format("(1, 1), ((1, 2), (0, 3))", ", feature_group_count=2"),
        f"{LAST} --groups 2 --padding 1:2,0:3",
    ),
    (
        "jax",
        XLA.format("(1, 1), ((2, 2), (2, 2))", ", lhs_dilation=(2, 2)"),
        f"{LAST} --input-dilation 2 --padding 2",
    ),
    (
        "numpy",
        "np.convolve(input, kernel)",
        "--input-layout W --kernel-layout W --flip --padding full",
    ),
    (
        "numpy",
        "np.convolve(input, kernel, 'same')",
        "--input-layout W --kernel-layout W --flip --padding same_lower",
    ),
    ("numpy", "np.correlate(input, kernel, 'valid')", "--input-layout W --kernel-layout W"),
    (
        "numpy",
        f"{SIGNAL}.convolve2d(input, kernel, boundary='wrap', mode='same')",
        "--input-layout HW --kernel-layout HW --flip --padding same_lower --pad-mode wrap",
    ),
    (
        "numpy",
        f"{SIGNAL}.convolve2d(input, kernel, boundary='symm', mode='same')",
        "--input-layout HW --kernel-layout HW --flip --padding same_lower --pad-mode symmetric",
    ),
    (
        "numpy",
        f"{SIGNAL}.fftconvolve(input, kernel, mode='valid')",
        "--input-layout HW --kernel-layout HW --flip",
    ),
    (
        "numpy",
        f"{IMAGES}.convolve(input, kernel, mode='mirror')",
        "--input-layout HW --kernel-layout HW --flip --padding same --pad-mode reflect",
    ),
    (
        "numpy",
        f"{IMAGES}.correlate(input, kernel, mode='constant')",
        "--input-layout HW --kernel-layout HW --padding same_lower",
    ),
]


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [pytest.param(*case, marks=pytest.mark.xdist_group(case[0])) for case in CASES],
)
def test_recovered_from_nothing(name: str, code: str, said: str, ask: Ask) -> None:
    outcome = ask(name, code)
    assert outcome.found is not None, (outcome.why, outcome.known)
    assert " ".join(options(outcome.found)) == said
    assert outcome.exit_code == 0
    assert len(outcome.found.trials) >= 2
