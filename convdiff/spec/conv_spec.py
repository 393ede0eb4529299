"""`ConvSpec`: one convolution as numbers, its text form on one line, and its normal form."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import NamedTuple

from convdiff.errors import ConvdiffError, SpecError, one_of
from convdiff.spec.layout import check_layout, spatial_axes
from convdiff.spec.pad_mode import (
    PAD_MODES,
    PadMode,
    joined_pad_modes,
    pad_mode_text,
    pad_modes_of_axes,
)
from convdiff.spec.pad_value import PadValue, channel_values, pad_value_text
from convdiff.spec.padding import Pair, kernel_span

DTYPES = ("float32", "float64", "float16", "bfloat16", "complex64", "complex128")
# The type of the real and the imaginary part of a complex type.
PART_DTYPES = {"complex64": "float32", "complex128": "float64"}


class Correlation(NamedTuple):
    """The normal form: every convolution here is one cross-correlation. Along each spatial axis

        y[p] = sum over k of xpad[p stride + k dilation] w[k]
        xpad = pad(dilate(x, input_dilation), padding)

    where a negative (lo, hi) crops, and `pad_mode` is that of all axes or has one for each.
    Constant padding holds `pad_value`, a number or one for each input channel. A transposed
    convolution has the stride as its input dilation, stride 1, padding d(k-1) - p, and a kernel
    that is flipped, with its input and output channels exchanged within each group.
    """

    stride: tuple[int, ...]
    padding: tuple[Pair, ...]
    dilation: tuple[int, ...]
    input_dilation: tuple[int, ...]
    pad_mode: PadMode
    pad_value: PadValue = 0


@dataclass(frozen=True, kw_only=True)
class ConvSpec:
    """A convolution as numbers only: no padding words, nothing left to infer.

    Per-axis tuples follow the spatial axes in the order of `input_layout`. Channel counts are
    totals, not per group. The constructor holds these invariants and raises `SpecError` with the
    number of the first that is broken:

    1. The layouts are well formed and name the same one to three spatial axes; every per-axis
       tuple has one value per spatial axis.
    2. The batch, the channel counts and groups, the input size and the kernel size are at least 1.
    3. Stride, dilation and input dilation are at least 1.
    4. The number of groups divides the input channels and the output channels.
    5. The output size, which follows from the other numbers, is at least 1 along every axis.
    6. The pad mode is known, one for all axes or one for each; equal ones become one.  A mode other
       than constant has something of the input left to repeat.
       A transposed convolution pads with zeros only and dilates its input by its stride only.
       A pad value other than 0 is for constant padding, along one axis at least, and has one number
       or one per input channel.
    7. Output padding is not negative, and 0 unless the convolution is transposed.
    8. An axis that a layout leaves out has size 1.
    9. A depthwise kernel layout (with M) has one group per input channel.
    10. The compute dtype is known.
    """

    input_layout: str
    kernel_layout: str
    output_layout: str
    batch: int
    in_channels: int
    out_channels: int
    groups: int
    input_size: tuple[int, ...]
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[Pair, ...]
    dilation: tuple[int, ...]
    input_dilation: tuple[int, ...]
    output_padding: tuple[int, ...]
    pad_mode: PadMode = "constant"
    pad_value: PadValue = 0
    transposed: bool = False
    flip: bool = False
    bias: bool = False
    dtype: str = "float32"

    def __post_init__(self) -> None:
        # In this order: a later check may rely on what an earlier one has established.
        self._check_layouts()
        self._check_tuple_lengths()
        self._check_sizes()
        self._check_absent_axes()
        self._check_strides()
        self._check_groups()
        self._check_pad_mode()
        self._check_pad_value()
        self._check_transposed()
        self._check_output_padding()
        self._check_depthwise_layout()
        self._check_dtype()
        self._check_output_size()

    def _check_layouts(self) -> None:
        for role in ("input", "kernel", "output"):
            try:
                check_layout(getattr(self, f"{role}_layout"), role)
            except ConvdiffError as error:
                raise SpecError(1, str(error)) from None
        for role in ("kernel", "output"):
            layout = getattr(self, f"{role}_layout")
            space = spatial_axes(layout)
            if sorted(space) != sorted(self.axes):
                raise SpecError(
                    1,
                    f"--{role}-layout {layout}: found the spatial axes {space}, expected "
                    f"{self.axes}, those of the input layout {self.input_layout}",
                )

    def _check_tuple_lengths(self) -> None:
        for name in (
            "input_size",
            "kernel_size",
            "stride",
            "padding",
            "dilation",
            "input_dilation",
            "output_padding",
        ):
            length = len(getattr(self, name))
            if length != self.rank:
                raise SpecError(
                    1,
                    f"{name}: found {length} values, expected {self.rank}, one per spatial axis "
                    f"{self.axes}",
                )

    def _check_sizes(self) -> None:
        for name, size in (
            ("batch", self.batch),
            ("in_channels", self.in_channels),
            ("out_channels", self.out_channels),
            ("groups", self.groups),
            ("input_size", min(self.input_size)),
            ("kernel_size", min(self.kernel_size)),
        ):
            if size < 1:
                raise SpecError(2, f"{name}: found {size}, expected at least 1")

    def _check_absent_axes(self) -> None:
        for role, letter, size in (
            ("input", "N", self.batch),
            ("input", "C", self.in_channels),
            ("output", "N", self.batch),
            ("output", "C", self.out_channels),
            ("kernel", "I", self.kernel_in),
            ("kernel", "O", self.kernel_out),
        ):
            layout = getattr(self, f"{role}_layout")
            # A depthwise kernel has its output channels along M.
            if letter not in layout.replace("M", "O") and size != 1:
                raise SpecError(
                    8,
                    f"--{role}-layout {layout}: found no axis {letter}, expected one because "
                    f"{letter} is {size}",
                )

    def _check_strides(self) -> None:
        for name in ("stride", "dilation", "input_dilation"):
            least = min(getattr(self, name))
            if least < 1:
                option = f"--{name.replace('_', '-')}"
                raise SpecError(3, f"{option}: found {least}, expected at least 1 (1 means none)")

    def _check_groups(self) -> None:
        for name, channels in (("input", self.in_channels), ("output", self.out_channels)):
            if channels % self.groups:
                raise SpecError(
                    4,
                    f"--groups: found {self.groups}, expected a divisor of the {channels} {name} "
                    "channels",
                )

    def _check_pad_mode(self) -> None:
        for mode in pad_modes_of_axes(self.pad_mode, 1):
            if mode not in PAD_MODES:
                raise SpecError(6, str(one_of("--pad-mode", mode, PAD_MODES)))
        text = pad_mode_text(self.pad_mode)
        if len(self.pad_modes) != self.rank:
            raise SpecError(
                1,
                f"--pad-mode {text}: found {len(self.pad_modes)} modes, expected {self.rank}, one "
                f"per spatial axis {self.axes}",
            )
        # A frozen dataclass can be changed in no other way.
        object.__setattr__(self, "pad_mode", joined_pad_modes(self.pad_modes))
        for mode, n, r, (lo, hi) in zip(
            self.pad_modes, self.input_size, self.input_dilation, self.padding, strict=True
        ):
            if mode != "constant" and (n - 1) * r + 1 + min(lo, 0) + min(hi, 0) < 1:
                raise SpecError(
                    6,
                    f"--pad-mode {text}: found padding {lo}:{hi}, which crops all {n} of "
                    "the input, expected some of it left to repeat",
                )

    def _check_pad_value(self) -> None:
        if self.pad_value == 0:
            return
        text = pad_value_text(self.pad_value)
        if self.transposed:
            raise SpecError(
                6,
                f"--pad-value {text}: found it with --transposed, expected no pad value: the "
                "padding of a transposed convolution crops",
            )
        if "constant" not in self.pad_modes:
            raise SpecError(
                6,
                f"--pad-value {text}: found it with --pad-mode {pad_mode_text(self.pad_mode)}, "
                "expected --pad-mode constant: other modes repeat the input",
            )
        numbers = len(channel_values(self.pad_value))
        if numbers not in (1, self.in_channels):
            raise SpecError(
                6,
                f"--pad-value {text}: found {numbers} numbers, expected 1 or {self.in_channels}, "
                "one per input channel",
            )

    def _check_transposed(self) -> None:
        if self.transposed and self.pad_mode != "constant":
            raise SpecError(
                6,
                f"--pad-mode {pad_mode_text(self.pad_mode)}: found it with --transposed, expected "
                "no pad mode: the padding of a transposed convolution crops",
            )
        if self.transposed and max(self.input_dilation) > 1:
            raise SpecError(
                6,
                f"--input-dilation: found {max(self.input_dilation)} with --transposed, expected "
                "--stride, by which a transposed convolution dilates its input",
            )

    def _check_output_padding(self) -> None:
        least = min(self.output_padding)
        if least < 0:
            raise SpecError(
                7, f"--output-padding: found {least}, expected at least 0; crop with --padding"
            )
        if not self.transposed and max(self.output_padding) > 0:
            raise SpecError(
                7,
                f"--output-padding {numbers_text(self.output_padding)}: expected --transposed "
                "with it",
            )

    def _check_depthwise_layout(self) -> None:
        if "M" in self.kernel_layout and self.groups != self.in_channels:
            raise SpecError(
                9,
                f"--kernel-layout {self.kernel_layout}: found {self.groups} groups, expected "
                f"{self.in_channels}, one per input channel, as the layout is depthwise",
            )

    def _check_dtype(self) -> None:
        if self.dtype not in DTYPES:
            raise SpecError(10, str(one_of("--dtype", self.dtype, DTYPES)))

    def _check_output_size(self) -> None:
        for axis, size, kernel, dilation, padding, n, r in zip(
            self.axes,
            self.output_size,
            self.kernel_size,
            self.dilation,
            self.padding,
            self.input_size,
            self.input_dilation,
            strict=True,
        ):
            if size >= 1:
                continue
            lo, hi = padding
            if self.transposed:
                raise SpecError(
                    5,
                    f"the output would be empty along {axis}: padding {lo}:{hi} crops all of it; "
                    "crop less with --padding",
                )
            raise SpecError(
                5,
                f"the output would be empty along {axis}: the kernel spans "
                f"{kernel_span(kernel, dilation)} positions, the input with padding {lo}:{hi} has "
                f"{(n - 1) * r + 1 + lo + hi}; pad more with --padding",
            )

    @cached_property
    def axes(self) -> str:
        """The spatial letters, in the order of every per-axis tuple."""
        return spatial_axes(self.input_layout)

    @cached_property
    def rank(self) -> int:
        """The number of spatial axes."""
        return len(self.axes)

    @property
    def pad_modes(self) -> tuple[str, ...]:
        """The pad mode of each spatial axis."""
        return pad_modes_of_axes(self.pad_mode, self.rank)

    @property
    def pads_with_zeros(self) -> bool:
        """Whether the padding, if there is any, holds zeros."""
        return self.pad_mode == "constant" and self.pad_value == 0

    @property
    def depthwise(self) -> bool:
        """Whether every input channel is a group by itself.

        With a single input channel, only a kernel layout with M makes it depthwise.
        """
        return "M" in self.kernel_layout or self.groups == self.in_channels > 1

    @property
    def is_complex(self) -> bool:
        """Whether it is computed in complex numbers."""
        return self.dtype in PART_DTYPES

    @property
    def kernel_in(self) -> int:
        """The length of the kernel's I axis: the input channels per group.

        A transposed or depthwise (M) kernel has all input channels along I.
        """
        whole = self.transposed or "M" in self.kernel_layout
        return self.in_channels if whole else self.in_channels // self.groups

    @property
    def kernel_out(self) -> int:
        """The length of the kernel's O (or M) axis: all output channels.

        A transposed or depthwise (M) kernel has the output channels per group there.
        """
        per_group = self.transposed or "M" in self.kernel_layout
        return self.out_channels // self.groups if per_group else self.out_channels

    @property
    def output_size(self) -> tuple[int, ...]:
        """The spatial size of the output, one length per axis.

        A length below 1 occurs only until the constructor has checked the invariants.
        """
        lengths = []
        for n, k, s, (lo, hi), d, r, extra in zip(
            self.input_size,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.input_dilation,
            self.output_padding,
            strict=True,
        ):
            if self.transposed:
                lengths.append((n - 1) * s + kernel_span(k, d) - lo - hi + extra)
            else:
                lengths.append(((n - 1) * r + 1 + lo + hi - kernel_span(k, d)) // s + 1)
        return tuple(lengths)

    @property
    def terms(self) -> int:
        """The number of products summed into one output element, plus 1 if a bias is added.

        An upper bound: products with padding are counted.
        """
        count = self.in_channels // self.groups
        for k in self.kernel_size:
            count *= k
        return count + self.bias

    def shape(self, role: str) -> tuple[int, ...]:
        """The shape of the "input", "kernel" or "output" array in its own layout."""
        if role == "kernel":
            lengths = {"O": self.kernel_out, "M": self.kernel_out, "I": self.kernel_in}
            size = self.kernel_size
        else:
            lengths = {
                "N": self.batch,
                "C": self.in_channels if role == "input" else self.out_channels,
            }
            size = self.input_size if role == "input" else self.output_size
        lengths.update(zip(self.axes, size, strict=True))
        return tuple(lengths[letter] for letter in getattr(self, f"{role}_layout"))

    def correlation(self) -> Correlation:
        """The normal form, which slides the kernel that `canonical.normal_kernel` returns."""
        if not self.transposed:
            return Correlation(
                self.stride,
                self.padding,
                self.dilation,
                self.input_dilation,
                self.pad_mode,
                self.pad_value,
            )
        pairs = tuple(
            (kernel_span(k, d) - 1 - lo, kernel_span(k, d) - 1 - hi + extra)
            for k, d, (lo, hi), extra in zip(
                self.kernel_size, self.dilation, self.padding, self.output_padding, strict=True
            )
        )
        return Correlation((1,) * self.rank, pairs, self.dilation, self.stride, "constant")

    def __str__(self) -> str:
        words = [f"conv{self.rank}d" + ("-transposed" if self.transposed else "")]
        words += [
            f"{role}={getattr(self, f'{role}_layout')}:{'x'.join(map(str, self.shape(role)))}"
            for role in ("input", "kernel", "output")
        ]
        if self.groups > 1 and "M" not in self.kernel_layout:
            words.append(f"groups={self.groups}")
        ones, none = (1,) * self.rank, (0,) * self.rank
        words.append(f"padding={pairs_text(self.padding)}")
        for name, default in (
            ("stride", ones),
            ("dilation", ones),
            ("input_dilation", ones),
            ("output_padding", none),
        ):
            value = getattr(self, name)
            if value != default:
                words.append(f"{name}={numbers_text(value)}")
        if self.pad_mode != "constant":
            words.append(f"pad_mode={pad_mode_text(self.pad_mode)}")
        if self.pad_value != 0:
            words.append(f"pad_value={pad_value_text(self.pad_value)}")
        words += [name for name in ("flip", "bias") if getattr(self, name)]
        words.append(self.dtype)
        return " ".join(words)

    def to_dict(self) -> dict[str, object]:
        """Every field, and what follows from them, as plain numbers, lists and strings."""
        entries: dict[str, object] = {
            "line": str(self),
            "rank": self.rank,
            "depthwise": self.depthwise,
        }
        for field in fields(self):
            value = getattr(self, field.name)
            entries[field.name] = (
                [list(v) if isinstance(v, tuple) else v for v in value]
                if isinstance(value, tuple)
                else value
            )
        entries["output_size"] = list(self.output_size)
        return entries


def pairs_text(pairs: tuple[Pair, ...]) -> str:
    """Padding as --padding takes it: `1` if every side of every axis is 1, else `0:1,0:1`."""
    if len({side for pair in pairs for side in pair}) == 1:
        return str(pairs[0][0])
    return ",".join(f"{lo}:{hi}" for lo, hi in pairs)


def numbers_text(numbers: tuple[int, ...]) -> str:
    """One number per axis as --stride takes them: `2` if all are 2, else `2,1`."""
    return str(numbers[0]) if len(set(numbers)) == 1 else ",".join(map(str, numbers))
