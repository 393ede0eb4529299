"""Known convolutions identified from calls alone.

They also cover the steps between the calls and the outcome: `one_hot_calls`, `axis_roles`,
`partial_settings`, `trials` and `precision`.
"""

from __future__ import annotations

import pytest

from convdiff.probe.outcome_text import options, properties
from tests.probe.conftest import FUNCTIONS, Probe

SIGNAL = '__import__("scipy.signal").signal'
IMAGES = '__import__("scipy.ndimage").ndimage'
TORCH = "--input-layout NCHW --kernel-layout OIHW"
LAST = "--input-layout NHWC --kernel-layout HWIO"
XLA = 'lax.conv_general_dilated(input, kernel, {}, dimension_numbers=("NHWC", "HWIO", "NHWC"){})'

# Framework, code, and the options of `convdiff run` for the same convolution.
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
        "F.conv2d(F.pad(input, (1, 1, 1, 1), value=5), kernel)",
        f"{TORCH} --padding 1 --pad-value 5",
    ),
    (
        "torch",
        "F.conv2d(F.pad(input, (0, 1, 0, 1), value=-0.1), kernel, bias, stride=2)",
        f"{TORCH} --stride 2 --padding 0:1,0:1 --pad-value -0.1 --bias FILE",
    ),
    (
        "torch",
        "F.conv2d(F.pad(input - (torch.arange(input.shape[1]) - 0.5).view(-1, 1, 1), "
        "(1, 1, 1, 1)) + (torch.arange(input.shape[1]) - 0.5).view(-1, 1, 1), kernel)",
        f"{TORCH} --padding 1 --pad-value -0.5,0.5,1.5,2.5",
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
        f"{IMAGES}.correlate(input, kernel, mode='constant', cval=128)",
        "--input-layout HW --kernel-layout HW --padding same_lower --pad-value 128",
    ),
    (
        "numpy",
        f"{IMAGES}.correlate(input, kernel, mode='constant')",
        "--input-layout HW --kernel-layout HW --padding same_lower",
    ),
]


@pytest.mark.parametrize(
    ("name", "code", "expected"),
    [pytest.param(*case, marks=pytest.mark.xdist_group(case[0])) for case in CASES],
)
def test_a_frameworks_convolution_is_identified(
    name: str, code: str, expected: str, probe: Probe
) -> None:
    outcome = probe(name, code)
    assert outcome.found is not None, (outcome.reason, outcome.properties)
    assert " ".join(options(outcome.found)) == expected
    assert outcome.exit_code == 0
    assert len(outcome.found.trials) >= 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("biased", {"bias": "yes", "kernel layout": "OIHW"}),
        ("own_bias", {"bias": "its own"}),
        ("halved", {"scale": "0.5", "linear": "yes"}),
        ("relu", {"linear": "no", "padding": "0", "bias": "none"}),
        ("leaky_relu", {"linear": "no"}),
        ("padded_with_edges", {"pad mode": "edge", "padding": "2"}),
        ("panorama", {"pad mode": "constant,wrap", "padding": "2"}),
        ("kernels_of_3x3_only", {"kernel layout": "OIHW"}),
        ("unbatched", {"input layout": "CHW", "output layout": "CHW"}),
        (
            "cuda_convnet_layout",
            {"input layout": "CHWN", "kernel layout": "IHWO", "output layout": "CHWN"},
        ),
        ("float16_output", {"precision": "TF32 or float16"}),
    ],
)
def test_a_functions_properties_are_identified(
    name: str, expected: dict[str, str], probe: Probe
) -> None:
    outcome = probe("numpy", f"{FUNCTIONS}:{name}")
    assert outcome.found is not None, (outcome.reason, outcome.properties)
    assert outcome.exit_code == 0
    values = {name: value for name, value, _ in properties(outcome.found)}
    assert expected.items() <= values.items()


def test_nothing_is_claimed_of_sizes_that_the_function_refuses(probe: Probe) -> None:
    found = probe("numpy", f"{FUNCTIONS}:kernels_of_3x3_only").found
    assert found is not None
    assert any("kernels of other sizes" in note for note in found.notes)


def test_axes_of_size_1_are_assumed(probe: Probe) -> None:
    outcome = probe(
        "numpy", f"{FUNCTIONS}:images_of_8x8_only", input_shape="1,1,8,8", kernel_shape="1,1,3,3"
    )
    assert outcome.found is not None
    assert "called in one shape only" in outcome.found.notes[0]
    assert outcome.found.roles.assumed == {"N", "C", "I", "O"}


def test_a_kernel_of_one_element_leaves_flip_and_dilation_undetermined(probe: Probe) -> None:
    outcome = probe("numpy", f"{FUNCTIONS}:plain", input_shape="2,4,9,8", kernel_shape="5,4,1,1")
    assert outcome.found is not None
    values = {name: value for name, value, _ in properties(outcome.found)}
    assert values["flip"] == values["dilation"] == "not determined"
    assert not any("flip" in word for word in options(outcome.found))
