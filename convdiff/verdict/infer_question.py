"""The asked convolution where the options leave it open: saved outputs are evidence for it.

A bare `convdiff run x.npy k.npy --saved other=y.npy` asks nothing but why the output differs. If it
has not the size that the options' defaults give, the padding (or the layouts, or a transposed
convolution) under which it has that size is taken for the question, and a note says so. What the
options say is never changed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

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

# What may be wrong with an output that still shows by its values which reading is meant.
VARIANTS = ("as it is", "flipped", "padded otherwise")

Options = dict[str, object]


class Reading(NamedTuple):
    """A convolution that may be meant, and the options that ask for it beside the given ones."""

    spec: ConvSpec
    options: Options


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
    search = _Search(input, kernel, bias, settings, dtype)
    asked, error = search.asked()
    if asked is not None and (settings.padding is not None or not saved):
        return asked
    found: dict[str, Reading] = {}
    for name, stored in saved:
        if asked is None or not _has_shape(stored, asked.spec):
            reading = search.reading(stored, must_agree=asked is None)
            if reading is not None:
                found[name] = reading
    if error is not None and not found:
        raise error
    question = asked
    if question is None or len(found) == len(saved):
        question = search.question(next(iter(found.values())), asked)
    others = [(name, reading) for name, reading in found.items() if reading.spec != question.spec]
    notes = [f"{name} is {_note(reading, question.spec)}" for name, reading in others]
    return Question(
        question.spec,
        (*question.notes, *notes),
        tuple((name, reading.spec) for name, reading in others),
    )


class _Search:
    """The readings of one case's arrays, which are listed when an output needs them."""

    def __init__(
        self, input: Stored, kernel: Stored, bias: Stored | None, settings: Settings, dtype: str
    ) -> None:
        self._input, self._kernel, self._bias = input, kernel, bias
        self._settings, self._dtype = settings, dtype
        self._questions: list[Reading] | None = None

    def asked(self) -> tuple[Question | None, ConvdiffError | None]:
        """The convolution that the settings alone ask for, or why they ask for none."""
        try:
            return self._read({}), None
        except ConvdiffError as error:
            return None, error

    def question(self, reading: Reading, asked: Question | None) -> Question:
        """The reading as the asked convolution, with notes; `asked` is what the settings ask."""
        notes = self._read(reading.options).notes
        if asked is not None and _layouts(asked.spec) == _layouts(reading.spec):
            notes = asked.notes
        note = _note(reading, None if asked is None else asked.spec)
        return Question(reading.spec, (*notes, note))

    def _read(self, options: Options) -> Question:
        spec, notes = read_spec(
            self._input.array.shape,
            self._kernel.array.shape,
            replace(self._settings, **options),  # type: ignore[arg-type]
            bias=self._bias is not None,
            dtype=self._dtype,
        )
        return Question(spec, tuple(notes))

    def reading(self, output: Stored, *, must_agree: bool) -> Reading | None:
        """The likeliest convolution with the output's shape; of several the one that agrees.

        With `must_agree`, several of which none agrees are no reading.
        """
        if self._questions is None:
            self._questions = [
                Reading(spec, options)
                for spec, options in other_questions(
                    self._input.array.shape,
                    self._kernel.array.shape,
                    self._settings,
                    bias=self._bias is not None,
                    dtype=self._dtype,
                )
            ]
        fitting: dict[ConvSpec, Reading] = {}
        for reading in self._questions:
            if _has_shape(output, reading.spec):
                fitting.setdefault(reading.spec, reading)
        if len(fitting) > 1:
            for kind in VARIANTS:
                for reading in fitting.values():
                    if any(self._agrees(spec, output) for spec in _variants(reading.spec, kind)):
                        return reading
            if must_agree and len({_layouts(spec) for spec in fitting}) > 1:
                return None
        return next(iter(fitting.values()), None)

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
    if kind == "as it is":
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


def _note(reading: Reading, asked: ConvSpec | None) -> str:
    """What was taken for the question, and the options that ask for something else."""
    spec, options = reading
    said, others = [], []
    if options.get("transposed"):
        said.append("transposed")
    if asked is None or _layouts(asked) != _layouts(spec):
        said.append(f"input {spec.input_layout}, kernel {spec.kernel_layout}")
        others += ["--input-layout", "--kernel-layout"]
    for name in ("padding", "output_padding"):
        if name in options:
            said.append(f"{name.replace('_', ' ')} {options[name]}")
            others.append(f"--{name.replace('_', '-')}")
    *first, last = others
    pick = f"{', '.join(first)} and {last} pick others" if first else f"{last} picks another"
    return f"read as {', '.join(said)}: the saved output has that size; {pick}"
