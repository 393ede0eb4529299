"""`ConvSpec`: one convolution in numbers, its one-line text form, and its normal form."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from functools import cached_property
from typing import NamedTuple

from convdiff.errors import ConvdiffError, SpecError, one_of
from convdiff.spec.layout import check_layout, spatial_axes
from convdiff.spec.padding import Pair, reach

PAD_MODES = ("constant", "edge", "reflect", "symmetric", "wrap")
DTYPES = ("float32", "float64", "float16", "bfloat16")


class Correlation(NamedTuple):
    """The normal form: every convolution here is one cross-correlation, per spatial axis

        y[p] = sum over k of  xpad[p stride + k dilation] w[k],   xpad = pad(dilate(x, input_dilation), padding)

    with padding (lo, hi) that crops where negative.  A transposed convolution is the same with the
    stride as input dilation, stride 1, padding d(k-1) - p, and its kernel flipped, in and out
    channels swapped in each group.
    """

    stride: tuple[int, ...]
    padding: tuple[Pair, ...]
    dilation: tuple[int, ...]
    input_dilation: tuple[int, ...]
    pad_mode: str


@dataclass(frozen=True, kw_only=True)
class ConvSpec:
    """A convolution in numbers only: no words, nothing left to infer.

    Per-axis tuples follow the spatial axes in the order of `input_layout`.  Channels are totals,
    not per group. Invariants, each raising `SpecError` with its number:

    1. Layouts are well formed, of one rank from 1 to 3, with the same spatial axes; every tuple has
    that length. 2. Batch, channel counts, input and kernel sizes are at least 1. 3. Stride,
    dilation and input dilation are at least 1. 4. Groups divide the input channels and the output
    channels. 5. The output's size is what the other numbers make it, and at least 1 along every
    axis. 6. The pad mode is known and, unless constant, finds something of the input left to
    repeat; a transposed convolution
       pads with nothing but zeros and dilates by its stride only.
    7. Output padding belongs to transposed convolution and is not negative.
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
    pad_mode: str = "constant"
    transposed: bool = False
    flip: bool = False
    bias: bool = False
    dtype: str = "float32"

    def __post_init__(self) -> None:
        self._check_layouts()
        self._check_numbers()
        for axis, size in zip(self.axes, self.output_size, strict=True):
            if size < 1:
                raise SpecError(5, self._empty(axis))

    def _check_layouts(self) -> None:
        for role in ("input", "kernel", "output"):
            try:
                check_layout(getattr(self, f"{role}_layout"), role)
            except ConvdiffError as error:
                raise SpecError(1, str(error)) from None
        for role in ("kernel", "output"):
            if sorted(spatial_axes(getattr(self, f"{role}_layout"))) != sorted(self.axes):
                raise SpecError(
                    1,
                    f"--{role}-layout {getattr(self, f'{role}_layout')}: its spatial axes differ "
                    f"from the input's {self.axes}",
                )
        for name in (
            "input_size",
            "kernel_size",
            "stride",
            "padding",
            "dilation",
            "input_dilation",
            "output_padding",
        ):
            if len(getattr(self, name)) != self.rank:
                raise SpecError(
                    1,
                    f"{name}: found {len(getattr(self, name))} values, expected {self.rank}, one "
                    f"per spatial axis {self.axes}",
                )
        absent = [
            ("N", self.input_layout, self.batch),
            ("C", self.input_layout, self.in_channels),
            ("N", self.output_layout, self.batch),
            ("C", self.output_layout, self.out_channels),
            ("I", self.kernel_layout, self.kernel_in),
            ("O", self.kernel_layout.replace("M", "O"), self.kernel_out),
        ]
        for letter, layout, size in absent:
            if letter not in layout and size != 1:
                raise SpecError(
                    8,
                    f"layout {layout}: it has no {letter} axis, but {letter} is {size}; name the "
                    "axis in the layout",
                )

    def _check_numbers(self) -> None:
        counts = {
            "batch": self.batch,
            "in_channels": self.in_channels,
            "out_channels": self.out_channels,
            "groups": self.groups,
        }
        for name, sizes in [(n, (v,)) for n, v in counts.items()] + [
            ("input_size", self.input_size),
            ("kernel_size", self.kernel_size),
        ]:
            if min(sizes) < 1:
                raise SpecError(2, f"{name}: found {min(sizes)}, expected at least 1")
        for name in ("stride", "dilation", "input_dilation"):
            if min(getattr(self, name)) < 1:
                raise SpecError(
                    3,
                    f"--{name.replace('_', '-')}: found {min(getattr(self, name))}, expected at "
                    "least 1 (1 is none)",
                )
        for name, channels in (("input", self.in_channels), ("output", self.out_channels)):
            if channels % self.groups:
                raise SpecError(
                    4, f"--groups {self.groups}: does not divide the {channels} {name} channels"
                )
        if self.pad_mode not in PAD_MODES:
            raise SpecError(6, str(one_of("--pad-mode", self.pad_mode, PAD_MODES)))
        for n, r, (lo, hi) in zip(self.input_size, self.input_dilation, self.padding, strict=True):
            if self.pad_mode != "constant" and (n - 1) * r + 1 + min(lo, 0) + min(hi, 0) < 1:
                raise SpecError(
                    6,
                    f"--pad-mode {self.pad_mode}: padding {lo}:{hi} crops all {n} of the input, "
                    "nothing is left to repeat",
                )
        if self.transposed and self.pad_mode != "constant":
            raise SpecError(
                6,
                f"--pad-mode {self.pad_mode}: a transposed convolution crops, it has nothing to "
                "fill; leave it out",
            )
        if self.transposed and max(self.input_dilation) > 1:
            raise SpecError(
                6,
                "--input-dilation: a transposed convolution dilates its input by its stride; say "
                "it with --stride",
            )
        if min(self.output_padding) < 0:
            raise SpecError(
                7,
                f"--output-padding: found {min(self.output_padding)}, expected at least 0; crop "
                "with --padding",
            )
        if not self.transposed and max(self.output_padding) > 0:
            raise SpecError(
                7,
                f"--output-padding {numbers_text(self.output_padding)}: expected --transposed "
                "with it",
            )
        if "M" in self.kernel_layout and self.groups != self.in_channels:
            raise SpecError(
                9,
                f"--kernel-layout {self.kernel_layout}: depthwise, so groups must be the "
                f"{self.in_channels} input channels, "
                f"found --groups {self.groups}",
            )
        if self.dtype not in DTYPES:
            raise SpecError(10, str(one_of("--dtype", self.dtype, DTYPES)))

    def _empty(self, axis: str) -> str:
        at = self.axes.index(axis)
        lo, hi = self.padding[at]
        span = reach(self.kernel_size[at], self.dilation[at])
        if self.transposed:
            return (
                f"the output would be empty along {axis}: padding {lo}:{hi} crops all of it; "
                "crop less with --padding"
            )
        return (
            f"the output would be empty along {axis}: the kernel spans {span} positions, the "
            f"input with padding {lo}:{hi} "
            f"has {(self.input_size[at] - 1) * self.input_dilation[at] + 1 + lo + hi}; pad more "
            "with --padding"
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
    def depthwise(self) -> bool:
        """One group per input channel (and more than one of them, or a kernel laid out with a
        multiplier).
        """
        return "M" in self.kernel_layout or self.groups == self.in_channels > 1

    @property
    def kernel_in(self) -> int:
        """The length of the kernel's I axis: input channels per group; all of them where transposed
        or with M.
        """
        whole = self.transposed or "M" in self.kernel_layout
        return self.in_channels if whole else self.in_channels // self.groups

    @property
    def kernel_out(self) -> int:
        """The length of the kernel's O (or M) axis: all output channels; per group where transposed
        or with M.
        """
        per_group = self.transposed or "M" in self.kernel_layout
        return self.out_channels // self.groups if per_group else self.out_channels

    @property
    def output_size(self) -> tuple[int, ...]:
        """The output's spatial size; may be below 1 only while the invariants are being checked."""
        made = []
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
                made.append((n - 1) * s + reach(k, d) - lo - hi + extra)
            else:
                made.append(((n - 1) * r + 1 + lo + hi - reach(k, d)) // s + 1)
        return tuple(made)

    @property
    def terms(self) -> int:
        """The products summed into one output element at most, one more where a bias is added."""
        count = self.in_channels // self.groups
        for k in self.kernel_size:
            count *= k
        return count + self.bias

    def shape(self, role: str) -> tuple[int, ...]:
        """The shape of the "input", "kernel" or "output" array in its own layout."""
        if role == "kernel":
            known = {"O": self.kernel_out, "M": self.kernel_out, "I": self.kernel_in}
            size = self.kernel_size
        else:
            known = {
                "N": self.batch,
                "C": self.in_channels if role == "input" else self.out_channels,
            }
            size = self.input_size if role == "input" else self.output_size
        known.update(zip(self.axes, size, strict=True))
        return tuple(known[letter] for letter in getattr(self, f"{role}_layout"))

    def correlation(self) -> Correlation:
        """The normal form (`Correlation`), for a kernel brought to (O, I per group, *space) as it
        says there.
        """
        if not self.transposed:
            return Correlation(
                self.stride, self.padding, self.dilation, self.input_dilation, self.pad_mode
            )
        pairs = tuple(
            (reach(k, d) - 1 - lo, reach(k, d) - 1 - hi + extra)
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
            words.append(f"pad_mode={self.pad_mode}")
        words += [name for name in ("flip", "bias") if getattr(self, name)]
        words.append(self.dtype)
        return " ".join(words)

    def to_dict(self) -> dict[str, object]:
        """Every field, and the output's size, as plain numbers, lists and strings."""
        named: dict[str, object] = {
            "line": str(self),
            "rank": self.rank,
            "depthwise": self.depthwise,
        }
        for field in fields(self):
            value = getattr(self, field.name)
            named[field.name] = (
                [list(v) if isinstance(v, tuple) else v for v in value]
                if isinstance(value, tuple)
                else value
            )
        named["output_size"] = list(self.output_size)
        return named


def pairs_text(pairs: tuple[Pair, ...]) -> str:
    """`1` where every side of every axis is 1, else `0:1,0:1`: the form that --padding takes."""
    if len({side for pair in pairs for side in pair}) == 1:
        return str(pairs[0][0])
    return ",".join(f"{lo}:{hi}" for lo, hi in pairs)


def numbers_text(numbers: tuple[int, ...]) -> str:
    """`2` where all are 2, else `2,1`: the form that --stride takes."""
    return str(numbers[0]) if len(set(numbers)) == 1 else ",".join(map(str, numbers))


def parse(line: str) -> ConvSpec:
    """The spec whose text form `line` is: parse(str(spec)) == spec.  Raises ConvdiffError for any
    other text.
    """
    words = line.split()
    head = re.fullmatch(r"conv([123])d(-transposed)?", words[0]) if words else None
    if head is None or words[-1] not in DTYPES:
        raise ConvdiffError(
            f"spec line {line!r}: expected conv1d, conv2d or conv3d (-transposed) first and a "
            "dtype last"
        )
    rank = int(head[1])
    flags = {word for word in words[1:-1] if "=" not in word}
    given = dict(word.split("=", 1) for word in words[1:-1] if "=" in word)
    try:
        layouts, shapes = {}, {}
        for role in ("input", "kernel", "output"):
            layouts[role], dims = given[role].split(":")
            shapes[role] = dict(zip(layouts[role], map(int, dims.split("x")), strict=True))
        axes = spatial_axes(layouts["input"])
        channels = shapes["input"].get("C", 1)
        spec = ConvSpec(
            input_layout=layouts["input"],
            kernel_layout=layouts["kernel"],
            output_layout=layouts["output"],
            batch=shapes["input"].get("N", 1),
            in_channels=channels,
            out_channels=shapes["output"].get("C", 1),
            groups=channels if "M" in layouts["kernel"] else int(given.get("groups", 1)),
            input_size=tuple(shapes["input"][a] for a in axes),
            kernel_size=tuple(shapes["kernel"][a] for a in axes),
            padding=_parse_pairs(given["padding"], rank),
            stride=_parse_numbers(given.get("stride", "1"), rank),
            dilation=_parse_numbers(given.get("dilation", "1"), rank),
            input_dilation=_parse_numbers(given.get("input_dilation", "1"), rank),
            output_padding=_parse_numbers(given.get("output_padding", "0"), rank),
            pad_mode=given.get("pad_mode", "constant"),
            transposed=head[2] is not None,
            flip="flip" in flags,
            bias="bias" in flags,
            dtype=words[-1],
        )
    except (KeyError, ValueError):
        raise ConvdiffError(f"spec line {line!r}: a field is missing or not a number") from None
    if str(spec) != " ".join(words):
        raise ConvdiffError(f"spec line {line!r}: does not add up; these numbers make {spec}")
    return spec


def _parse_numbers(text: str, rank: int) -> tuple[int, ...]:
    numbers = tuple(int(part) for part in text.split(","))
    return numbers * rank if len(numbers) == 1 else numbers


def _parse_pairs(text: str, rank: int) -> tuple[Pair, ...]:
    if ":" not in text:
        return ((int(text), int(text)),) * rank
    return tuple((int(lo), int(hi)) for lo, hi in (part.split(":") for part in text.split(",")))
