"""Arrays in the normal form: (N, C, *space) and (O, I per group, *space), flips applied."""

from __future__ import annotations

import numpy as np

from convdiff.spec.canonical import normal_input, normal_kernel, normal_output, user_output
from tests.specs import arrays, conv


def test_arrays_have_channels_before_space() -> None:
    spec = conv("NHWC HWIO", n=(4, 5), k=(2, 3), c=2, o=3)
    array, kernel = arrays(spec)["input"], arrays(spec)["kernel"]
    assert np.array_equal(normal_input(spec, array), array.transpose(0, 3, 1, 2))
    assert np.array_equal(normal_kernel(spec, kernel), kernel.transpose(3, 2, 0, 1))


def test_an_output_comes_back_in_the_users_layout() -> None:
    spec = conv("HWC HWIO NHWC", n=4, k=2, c=2, o=3)
    output = np.arange(27.0).reshape(spec.shape("output"))
    assert normal_output(spec, output).shape == (1, 3, 3, 3)
    assert np.array_equal(user_output(spec, normal_output(spec, output)), output)


def test_a_flip_reverses_space() -> None:
    spec = conv(n=5, k=3, c=2, o=3, flip=True)
    kernel = arrays(spec)["kernel"]
    assert np.array_equal(normal_kernel(spec, kernel), kernel[:, :, ::-1, ::-1])


def test_a_transposed_kernel_is_flipped_with_its_channels_exchanged_in_each_group() -> None:
    spec = conv("NCW IOW", n=5, k=3, c=4, o=6, groups=2, transposed=True)
    kernel = arrays(spec)["kernel"]
    normal = normal_kernel(spec, kernel)
    assert kernel.shape == (4, 3, 3)
    assert normal.shape == (6, 2, 3)
    for group in range(2):
        for output in range(3):
            for input in range(2):
                assert np.array_equal(
                    normal[group * 3 + output, input], kernel[group * 2 + input, output, ::-1]
                )


def test_a_flip_undoes_that_of_a_transposed_convolution() -> None:
    spec = conv("W W", n=5, k=3, transposed=True, flip=True)
    kernel = arrays(spec)["kernel"]
    assert np.array_equal(normal_kernel(spec, kernel)[0, 0], kernel)
