"""Complex convolutions as real ones of twice the channels, which everything else computes with.

Each channel becomes two neighbors, its real part and its imaginary part.  With x = a + ib and
w = c + id

    Re(x w) = a c - b d        Im(x w) = a d + b c

so each weight becomes the 2 x 2 block [[c, -d], [d, c]] (output part, input part).  The spatial
axes, the groups and the geometry stay as they are.

An element's scale S is the same for both parts: the sum of (|a| + |b|) (|c| + |d|), which is at
least the sum of the products' magnitudes and at most twice that.  Both ways to multiply complex
numbers stay within the bound: four real products per complex one are 2n real terms of each part,
and three (K. F. Gauss; torch computes so) add up parts before they multiply, which costs
`EXTRA_ROUNDINGS` more (Higham, section 23.2.4).  So each part of an element is off by no more
than rounding allows, and its distance in the complex plane by no more than sqrt(2) times that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from convdiff.numerics.reference import Reference
from convdiff.spec.canonical import normal_input, normal_output
from convdiff.spec.conv_spec import PART_DTYPES, ConvSpec
from convdiff.spec.layout import Array, kernel_to_order, to_order
from convdiff.spec.pad_value import PadValue, parse_pad_value, values_of_channels

# Roundings of sums of parts, where three real products make a complex one.
EXTRA_ROUNDINGS = 4
# The complex type whose parts hold the values of a real type.
_COMPLEX_TYPES = {"float64": "complex128", "complex128": "complex128"}


@dataclass(frozen=True)
class RealParts:
    """A convolution of complex arrays as one of real arrays, in the layouts of `spec`."""

    spec: ConvSpec
    input: Array
    kernel: Array
    bias: Array | None


def is_complex(*arrays: Array | None) -> bool:
    """Whether any of the arrays, which may be None, holds complex numbers."""
    return any(array is not None and array.dtype.kind == "c" for array in arrays)


def complex_dtype(dtype: str) -> str:
    """The complex type for sums that are computed in `dtype`."""
    return _COMPLEX_TYPES.get(dtype, "complex64")


def part_dtype(dtype: str) -> str:
    """The type of the parts of a complex type; a real type itself."""
    return PART_DTYPES.get(dtype, dtype)


def real_parts(spec: ConvSpec, input: Array, kernel: Array, bias: Array | None) -> RealParts:
    """The convolution of `spec` with its parts as channels: NC and OI (IO if transposed), space."""
    first = "IO" if spec.transposed else "OI"
    parts = replace(
        spec,
        input_layout="NC" + spec.axes,
        kernel_layout=first + spec.axes,
        output_layout="NC" + spec.axes,
        in_channels=2 * spec.in_channels,
        out_channels=2 * spec.out_channels,
        pad_value=_pad_value_parts(spec),
        dtype=part_dtype(spec.dtype),
    )
    if spec.transposed:
        weights = to_order(kernel, spec.kernel_layout.replace("M", "O"), "IO" + spec.axes)
    else:
        weights = kernel_to_order(kernel, spec.kernel_layout, spec.axes)
    return RealParts(
        parts,
        channel_parts(normal_input(spec, input)),
        kernel_parts(weights, input_first=spec.transposed),
        None if bias is None else channel_parts(bias.reshape(1, -1)).reshape(-1),
    )


def _pad_value_parts(spec: ConvSpec) -> PadValue:
    """What the padding of the parts holds: the number of each channel, and no imaginary part."""
    numbers = values_of_channels(spec.pad_value, spec.in_channels)
    return parse_pad_value([part for number in numbers for part in (number, 0)])


def output_parts(spec: ConvSpec, output: Array) -> Array:
    """An output in the layout of `spec`, which need not have its shape, as `real_parts` has it."""
    return channel_parts(normal_output(spec, output))


def channel_parts(array: Array) -> Array:
    """(N, C, ...) as (N, 2C, ...): each channel's real part, then its imaginary part."""
    batch, channels, *space = array.shape
    stacked = np.stack(_parts(array), axis=2)
    return stacked.reshape(batch, 2 * channels, *space)


def joined_parts(array: Array) -> Array:
    """The complex array of which `channel_parts` gives (N, 2C, ...)."""
    real, imaginary = array[:, 0::2], array[:, 1::2]
    joined = np.empty(real.shape, np.result_type(real.dtype, np.complex64))
    joined.real, joined.imag = real, imaginary
    return joined


def kernel_parts(kernel: Array, *, input_first: bool = False) -> Array:
    """A kernel (O, I, *space) as (2 O, 2 I, *space); (I, O, *space) with `input_first`."""
    real, imaginary = _parts(kernel)
    first, second, *space = kernel.shape
    blocks = np.empty((first, 2, second, 2, *space), real.dtype)
    blocks[:, 0, :, 0] = blocks[:, 1, :, 1] = real
    blocks[:, 0, :, 1] = imaginary if input_first else -imaginary
    blocks[:, 1, :, 0] = -imaginary if input_first else imaginary
    return blocks.reshape(2 * first, 2 * second, *space)


def with_common_scale(reference: Reference) -> Reference:
    """The reference of (N, 2C, *space) with one scale for both parts of an element."""
    scale = reference.scale[:, 0::2] + reference.scale[:, 1::2]
    return Reference(reference.output, np.repeat(scale, 2, axis=1))


def parts_along(array: Array, axis: int) -> Array:
    """The real and then the imaginary parts of a complex array along `axis`; a real one itself."""
    if array.dtype.kind != "c":
        return array
    return np.concatenate(_parts(array), axis=axis)


def with_whole_nonfinite(parts: Array) -> Array:
    """Parts (N, 2C, ...) with NaN for both parts of an element of which one is NaN or infinite.

    Which part of a sum a NaN or an infinity reaches depends on how complex numbers are multiplied
    (C99, annex G: a number with an infinite part is infinite, whatever its other part is).
    """
    finite = np.isfinite(parts)
    if finite.all():
        return parts
    both = finite[:, 0::2] & finite[:, 1::2]
    return np.where(np.repeat(both, 2, axis=1), parts, np.nan).astype(parts.dtype)


def _parts(array: Array) -> tuple[Array, Array]:
    """The real and the imaginary part; integers become float64."""
    if array.dtype.kind == "c":
        return array.real, array.imag
    real = array if array.dtype.kind == "f" else array.astype(np.float64)
    return real, np.zeros_like(real)
