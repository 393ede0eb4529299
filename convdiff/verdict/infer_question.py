"""The convolution that is asked, where the options leave it open: saved outputs are evidence for it.

A bare `convdiff run x.npy k.npy --saved other=y.npy` asks nothing but why the output differs. If it
has not the size that the options' defaults give, the padding (or the layouts, or a transposed
convolution) under which it has that size is taken for the question, and a note says so. What the
options say is never changed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from convdiff.errors import ConvdiffError, SpecError
from convdiff.numerics.arithmetic import rounding_as_asked, stored_dtype
from convdiff.numerics.reference import compute_reference
from convdiff.records import Stored
from convdiff.spec.canonical import normal_output
from convdiff.spec.conv_spec import PAD_MODES, ConvSpec
from convdiff.spec.infer_spec import bias_vector, read_spec
from convdiff.spec.layout import element_count
from convdiff.spec.other_questions import other_questions
from convdiff.spec.settings import Settings
from convdiff.verdict.judge import with_unit_axes

# Multiplications beyond which a convolution is not computed to choose among several.
MAX_PRODUCTS = 1 << 26
# The elements of a saved output that are needed to choose a reading by its values.
MIN_ELEMENTS = 4

Options = dict[str, object]


@dataclass(frozen=True)
class Question:
    """The asked convolution, and notes on what was inferred.

    `other_specs` are those of saved outputs that have another size, by the output's name.
    """

    spec: ConvSpec
    notes: tuple[str, ...] = ()
    other_specs: tuple[tuple[str, ConvSpec], ...] = ()


def infer_question(
    input: Stored,
    kernel: Stored,
    bias: Stored | None,
    settings: Settings,
    saved: Sequence[tuple[str, Stored]],
    dtype: str,
) -> Question:
    """The convolution of `input` and `kernel` that `settings` ask for, or that the outputs show.

    Raises ConvdiffError where the shapes make none, or several that no output tells apart.
    """
    shapes = input.array.shape, kernel.array.shape
    asked: tuple[ConvSpec, list[str]] | None = None
    error: ConvdiffError | None = None
    try:
        asked = read_spec(*shapes, settings, bias=bias is not None, dtype=dtype)
    except ConvdiffError as refused:
        error = refused
    if asked is not None and settings.padding is not None:
        return Question(asked[0], tuple(asked[1]))
    if error is not None and not _may_be_ambiguous(settings, error):
        raise error
    search = _Search(input, kernel, bias, settings, dtype)
    found: dict[str, tuple[ConvSpec, Options]] = {}
    for name, stored in saved:
        if asked is not None and _has_shape(stored, asked[0]):
            continue
        reading = search.reading(stored, must_agree=error is not None)
        if reading is not None:
            found[name] = reading
    if asked is not None and (len(found) < len(saved) or not found):
        spec, notes = asked
    elif found:
        name, (spec, options) = next(iter(found.items()))
        if asked is None:
            try:
                notes = read_spec(
                    *shapes,
                    replace(settings, **options),  # type: ignore[arg-type]
                    bias=bias is not None,
                    dtype=dtype,
                )[1]
            except ConvdiffError:
                notes = []
        else:
            same_layouts = (asked[0].input_layout, asked[0].kernel_layout) == (
                spec.input_layout,
                spec.kernel_layout,
            )
            notes = asked[1] if same_layouts else []
        notes = [*notes, _note(options, spec, asked and asked[0], "")]
    else:
        assert error is not None
        raise error
    others = []
    for name, (other, options) in found.items():
        if other != spec:
            notes = [*notes, _note(options, other, spec, f"{name} is ")]
            others.append((name, other))
    return Question(spec, tuple(notes), tuple(others))


def _may_be_ambiguous(settings: Settings, error: ConvdiffError) -> bool:
    """Whether a saved output may tell how arrays are meant that are refused as they stand."""
    return not (settings.input_layout and settings.kernel_layout) or isinstance(error, SpecError)


class _Search:
    """The readings of one case's arrays, which are listed when an output needs them."""

    def __init__(
        self, input: Stored, kernel: Stored, bias: Stored | None, settings: Settings, dtype: str
    ) -> None:
        self._input, self._kernel, self._bias = input, kernel, bias
        self._settings, self._dtype = settings, dtype
        self._questions: list[tuple[ConvSpec, Options]] | None = None

    def reading(self, output: Stored, *, must_agree: bool) -> tuple[ConvSpec, Options] | None:
        """The likeliest convolution with the output's shape; of several the one that agrees.

        With `must_agree`, several of which none agrees are no reading.
        """
        if self._questions is None:
            self._questions = list(
                other_questions(
                    self._input.array.shape,
                    self._kernel.array.shape,
                    self._settings,
                    bias=self._bias is not None,
                    dtype=self._dtype,
                )
            )
        fitting: dict[ConvSpec, Options] = {}
        for spec, options in self._questions:
            if _has_shape(output, spec):
                fitting.setdefault(spec, options)
        if len(fitting) > 1:
            for variants in ("asked", "flipped", "padded otherwise"):
                for spec, options in fitting.items():
                    if any(self._agrees(v, output) for v in _variants(spec, variants)):
                        return spec, options
            if must_agree and len({_layouts(spec) for spec in fitting}) > 1:
                return None
        return next(iter(fitting.items()), None)

    def _agrees(self, spec: ConvSpec, output: Stored) -> bool:
        """Whether rounding explains every element; False for what is too large to compute."""
        products = element_count(spec.shape("output")) * math.prod(spec.kernel_size)
        obtained = with_unit_axes(output.array, spec)
        if (
            products * spec.in_channels // spec.groups > MAX_PRODUCTS
            or obtained.size < MIN_ELEMENTS
            or obtained.dtype.kind not in "fiub"
            or obtained.shape != spec.shape("output")
        ):
            return False
        try:
            bias = None if self._bias is None else bias_vector(self._bias.array, spec, "bias")
        except ConvdiffError:
            return False
        with np.errstate(all="ignore"):
            expected = compute_reference(spec, self._input.array, self._kernel.array, bias)
            rounding = rounding_as_asked(spec, stored_dtype(obtained, output.stored))
            return rounding.explains_all(
                normal_output(spec, obtained).astype(np.float64), expected.output, expected.scale
            )


def _variants(spec: ConvSpec, kind: str) -> list[ConvSpec]:
    """The convolution itself, flipped, or with each of the other pad modes."""
    if kind == "asked":
        return [spec]
    if kind == "flipped":
        return [replace(spec, flip=not spec.flip)]
    variants = []
    for mode in PAD_MODES:
        if mode != spec.pad_mode and any(map(any, spec.padding)):
            try:
                variants.append(replace(spec, pad_mode=mode))
            except SpecError:
                continue
    return variants


def _has_shape(stored: Stored, spec: ConvSpec) -> bool:
    """Whether the output has the asked shape, up to axes of size 1."""
    return with_unit_axes(stored.array, spec).shape == spec.shape("output")


def _layouts(spec: ConvSpec) -> tuple[str, str, bool]:
    return spec.input_layout, spec.kernel_layout, spec.transposed


def _note(options: Options, spec: ConvSpec, asked: ConvSpec | None, subject: str) -> str:
    """What was taken for the question, and the options that ask for something else."""
    said, other = [], []
    if options.get("transposed"):
        said.append("transposed")
        other.append("--input-layout and --kernel-layout")
    if "input_layout" in options and (asked is None or _layouts(asked) != _layouts(spec)):
        said.append(f"input {spec.input_layout}, kernel {spec.kernel_layout}")
        other.append("--input-layout and --kernel-layout")
    for name in ("padding", "output_padding"):
        if name in options:
            said.append(f"{name.replace('_', ' ')} {options[name]}")
            other.append(f"--{name.replace('_', '-')}")
    if not said:
        said = [f"input {spec.input_layout}, kernel {spec.kernel_layout}"]
        other = ["--input-layout and --kernel-layout"]
    picks = " and ".join(dict.fromkeys(other))
    verb = "picks" if len(set(other)) == 1 and " and " not in picks else "pick"
    return (
        f"{subject}read as {', '.join(said)}: the saved output has that size; {picks} {verb} "
        "another"
    )
