"""The asked convolution where the options leave it open: saved outputs are evidence for it.

A bare `convdiff run x.npy k.npy --saved other=y.npy` asks nothing but why the output differs. If it
has not the size that the options' defaults give, the padding (or the layouts, the stride, or a
transposed convolution) under which it has that size is taken for the question, and a note says so.
What the options say is never changed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from convdiff.errors import ConvdiffError, SpecError
from convdiff.numerics.agreement import is_output_of
from convdiff.records import Stored
from convdiff.spec.conv_spec import ConvSpec, pairs_text
from convdiff.spec.infer_layouts import channel_layouts, with_items_apart
from convdiff.spec.infer_spec import EMPTY_OUTPUT, bias_vector, read_spec
from convdiff.spec.layout import Array, axis_sizes, element_count, spatial_axes
from convdiff.spec.other_questions import (
    Options,
    Shapes,
    other_questions,
    strided_questions,
    transposed_questions,
)
from convdiff.spec.pad_mode import PAD_MODES
from convdiff.spec.settings import Settings
from convdiff.verdict.judge import with_unit_axes
from convdiff.verdict.unflatten import unflattened

# Multiplications beyond which a convolution is not computed to choose among several.
MAX_PRODUCTS = 1 << 25
# The elements of a saved output that are needed to choose a reading by its values.
MIN_ELEMENTS = 4

EXCHANGED_NOTE = (
    "read with input and kernel exchanged, as the kernel is longer than the input; --padding says "
    "that it is not so"
)
# What may be wrong with an output that still shows by its values which reading is meant.
VARIANTS = ("as it is", "flipped", "padded otherwise")


class Proposal(NamedTuple):
    """A convolution that may be meant, and the options that ask for it beside the given ones."""

    spec: ConvSpec
    options: Options


@dataclass(frozen=True)
class Question:
    """The asked convolution, and notes on what was inferred.

    `other_specs` are those of saved outputs that have another size, by the output's name.  With
    `exchanged`, the kernel was given as the input and the input as the kernel.  `kernel` is there
    where the given one, which has no channel axis, is meant for every channel: then it has one.
    """

    spec: ConvSpec
    notes: tuple[str, ...] = ()
    other_specs: tuple[tuple[str, ConvSpec], ...] = ()
    exchanged: bool = False
    kernel: Stored | None = None


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
    settings = with_items_apart(settings, input.array.shape, kernel.array.shape)
    proposals = _Proposals(input, kernel, bias, settings, dtype)
    _, error = proposals.asked()
    if _may_be_exchanged(settings, error) and not any(
        proposals.agreeing(stored) for _, stored in saved
    ):
        exchanged = _exchanged_question(
            _Proposals(kernel, input, bias, settings, dtype), settings, saved
        )
        if exchanged is not None:
            return exchanged
    may_spread = input.array.ndim - kernel.array.ndim in (1, 2)
    if may_spread and not any(proposals.fits(stored) for _, stored in saved):
        spread = _spread_question(input, kernel, bias, settings, saved, dtype)
        if spread is not None:
            return spread
    return _question(proposals, settings, saved)


def _question(
    proposals: _Proposals, settings: Settings, saved: Sequence[tuple[str, Stored]]
) -> Question:
    """The convolution of the arrays in the order in which they are given."""
    asked, error = proposals.asked()
    if asked is not None and (settings.padding is not None or not saved):
        return proposals.in_other_layouts(asked, saved) or asked
    found: dict[str, Proposal] = {}
    for name, stored in saved:
        if asked is None or not _has_shape(stored, asked.spec):
            proposal = proposals.of_output(stored, asked.spec if asked else None)
            if proposal is not None:
                found[name] = proposal
    if error is not None and not found:
        raise error
    if asked is not None and len(found) < len(saved):
        question = asked
    else:
        question = proposals.question(next(iter(found.values())), asked)
    others = [
        (name, proposal) for name, proposal in found.items() if proposal.spec != question.spec
    ]
    other_notes = [f"{name} is {_note(proposal, question.spec)}" for name, proposal in others]
    return Question(
        question.spec,
        (*question.notes, *other_notes),
        tuple((name, proposal.spec) for name, proposal in others),
    )


def _may_be_exchanged(settings: Settings, error: ConvdiffError | None) -> bool:
    """Whether the first array may be the kernel: it is the shorter one, and nothing is said."""
    return (
        isinstance(error, SpecError)
        and error.invariant == EMPTY_OUTPUT
        and settings.padding is settings.input_layout is settings.kernel_layout is None
    )


def _exchanged_question(
    exchanged: _Proposals, settings: Settings, saved: Sequence[tuple[str, Stored]]
) -> Question | None:
    """The convolution of the exchanged arrays; None where no saved output has its size."""
    try:
        question = _question(exchanged, settings, saved)
    except ConvdiffError:
        return None
    if not any(_has_shape(stored, question.spec) for _, stored in saved):
        return None
    return replace(question, notes=(EXCHANGED_NOTE, *question.notes), exchanged=True)


def _spread_question(
    input: Stored,
    kernel: Stored,
    bias: Stored | None,
    settings: Settings,
    saved: Sequence[tuple[str, Stored]],
    dtype: str,
) -> Question | None:
    """The convolution of a plain kernel that is meant for every channel of the input.

    It filters each channel alone, or sums over them; a saved output has the size that one gives,
    or None is returned.
    """
    if settings.kernel_layout or settings.groups or settings.transposed or settings.as_:
        return None
    found: list[Question] = []
    for layout in channel_layouts(input.array.shape, kernel.array.ndim):
        if settings.input_layout not in (None, layout):
            continue
        space = spatial_axes(layout)
        channels = axis_sizes(layout, input.array.shape)["C"]
        array = np.broadcast_to(kernel.array, (channels, *kernel.array.shape)).copy()
        spread = replace(kernel, array=array)
        for axis, words in (("O", "filters each channel alone"), ("I", "sums over the channels")):
            given = replace(settings, input_layout=layout, kernel_layout=f"{axis}{space}")
            proposals = _Proposals(input, spread, bias, given, dtype)
            try:
                question = _question(proposals, given, saved)
            except ConvdiffError:
                continue
            if not any(_has_shape(stored, question.spec) for _, stored in saved):
                continue
            note = f"read as input {layout}, kernel {space}: the kernel {words}"
            question = replace(question, notes=(note, *question.notes), kernel=spread)
            if any(proposals.agrees(question.spec, stored) for _, stored in saved):
                return question
            found.append(question)
    return found[0] if found else None


class _Proposals:
    """The readings of one case's arrays, which are listed when an output needs them."""

    def __init__(
        self, input: Stored, kernel: Stored, bias: Stored | None, settings: Settings, dtype: str
    ) -> None:
        self._input, self._kernel, self._bias = input, kernel, bias
        self._settings, self._dtype = settings, dtype
        self._shapes = Shapes(input.array.shape, kernel.array.shape, bias is not None, dtype)
        self._all: list[Proposal] | None = None

    def asked(self) -> tuple[Question | None, ConvdiffError | None]:
        """The convolution that the settings alone ask for, or why they ask for none."""
        try:
            return self._read({}), None
        except ConvdiffError as error:
            return None, error

    def question(self, proposal: Proposal, asked: Question | None) -> Question:
        """The proposal as the asked convolution, with notes; `asked` is what the settings ask."""
        notes = self._read(proposal.options).notes
        known = asked
        if known is None and self._settings.padding is None:
            # The layouts that are read anyway need not be said: only the output would be empty.
            try:
                known = self._read({"padding": "full"})
            except ConvdiffError:
                known = None
        if known is not None and _layouts(known.spec) == _layouts(proposal.spec):
            notes = known.notes
        note = _note(proposal, None if known is None else known.spec)
        return Question(proposal.spec, (*notes, note))

    def _read(self, options: Options) -> Question:
        spec, notes = read_spec(
            self._input.array.shape,
            self._kernel.array.shape,
            replace(self._settings, **options),  # type: ignore[arg-type]
            bias=self._bias is not None,
            dtype=self._dtype,
        )
        return Question(spec, tuple(notes))

    def of_output(self, output: Stored, asked: ConvSpec | None) -> Proposal | None:
        """The likeliest convolution with the output's shape; of several the one that agrees.

        Where the settings ask for none (`asked`), several of which none agrees are no reading.
        """
        fitting = self._fitting(output)
        if len(fitting) > 1:
            for kind in VARIANTS:
                for proposal in fitting:
                    if any(self.agrees(spec, output) for spec in _variants(proposal.spec, kind)):
                        return proposal
            if asked is None and len({_layouts(proposal.spec) for proposal in fitting}) > 1:
                return None
        if fitting and isinstance(fitting[0].options.get("padding"), int):
            # Few pad by so much that no word says it: a transposed convolution is as likely.
            return self._of_strided_output(output, asked, only_agreeing=True) or fitting[0]
        if fitting:
            return fitting[0]
        if asked is not None:
            for proposal in self._all or ():
                same_layouts = _layouts(proposal.spec) == _layouts(asked)
                if same_layouts and _lacks_channels(output, proposal.spec):
                    return None if proposal.spec == asked else proposal
        in_order = None if asked is None else self._of_output_in_another_order(output, asked)
        return in_order or self._of_strided_output(output, asked)

    def _with_output_layout(self, output: Stored, proposal: Proposal) -> Proposal | None:
        """The proposal with the output's channels elsewhere, if nobody said where and it agrees."""
        said = self._settings
        if said.input_layout or said.kernel_layout or said.output_layout or said.as_:
            return None
        for spec in _with_channels_moved(proposal.spec):
            if spec != proposal.spec and self.agrees(spec, output):
                return Proposal(spec, {**proposal.options, "output_layout": spec.output_layout})
        return None

    def _of_strided_output(
        self, output: Stored, asked: ConvSpec | None, *, only_agreeing: bool = False
    ) -> Proposal | None:
        """The convolution with a stride or a dilation that gives an output of this shape.

        One that agrees; else, without `only_agreeing`, the likeliest with the only stride that
        gives the size.
        """
        fitting: dict[ConvSpec, Proposal] = {}
        for spec, options in (
            *strided_questions(self._shapes, output.array.shape, self._settings),
            *transposed_questions(self._shapes, self._settings),
        ):
            # At stride 1 a transposed convolution is a direct one with a flipped kernel.
            if _has_shape(output, spec) and max(*spec.stride, *spec.dilation) > 1:
                fitting.setdefault(spec, Proposal(spec, options))
        for kind in VARIANTS:
            for proposal in fitting.values():
                if any(self.agrees(spec, output) for spec in _variants(proposal.spec, kind)):
                    return proposal
        if only_agreeing:
            return None
        direct = [each for each in fitting.values() if not each.options.get("transposed")]
        kinds = {(_layouts(each.spec), each.spec.stride, each.spec.dilation) for each in direct}
        # A smaller output may also be cropped: the diagnosis tells.
        is_cropped = asked is not None and any(
            self.agrees(spec, output) for spec in _cropped_to(output, asked)
        )
        if len(kinds) == 1 and direct and max(direct[0].spec.stride) > 1 and not is_cropped:
            return direct[0]
        return None

    def _of_output_in_another_order(self, output: Stored, asked: ConvSpec) -> Proposal | None:
        """The padding, or the output's layout, with which an output has the asked sizes.

        In another order, or with merged axes.
        """
        if _has_sizes(output, asked):
            return self._with_output_layout(output, Proposal(asked, {}))
        fitting = [each for each in self._all or () if _has_sizes(output, each.spec)]
        for proposal in fitting:
            if _layouts(proposal.spec) == _layouts(asked):
                return self._with_output_layout(output, proposal) or proposal
        # An output in the layout of the kernel's framework, where the input has another.
        for proposal in fitting:
            if any(self.agrees(spec, output) for spec in _with_channels_moved(proposal.spec)):
                return self._with_output_layout(output, proposal) or proposal
        return None

    def in_other_layouts(
        self, asked: Question, saved: Sequence[tuple[str, Stored]]
    ) -> Question | None:
        """The convolution in other layouts under which every saved output agrees; None if none is.

        For layouts that nobody gave, such as NCHW with HWIO, whose sizes fit OIHW by chance.
        """
        if not saved or any(_has_shape(stored, asked.spec) for _, stored in saved):
            return None
        for proposal in self._fitting(saved[0][1]):
            only_layouts = not proposal.options.keys() - {"input_layout", "kernel_layout"}
            if only_layouts and all(self.agrees(proposal.spec, stored) for _, stored in saved):
                return self.question(proposal, asked)
        if not _has_sizes(saved[0][1], asked.spec):
            return None
        moved = self._with_output_layout(saved[0][1], Proposal(asked.spec, {}))
        if moved is None or not all(self.agrees(moved.spec, stored) for _, stored in saved):
            return None
        return self.question(moved, asked)

    def fits(self, output: Stored) -> bool:
        """Whether an output has the shape of any convolution that the settings leave room for."""
        return bool(self._fitting(output))

    def agreeing(self, output: Stored) -> bool:
        """Whether the output is that of any convolution that the settings leave room for."""
        return any(self.agrees(proposal.spec, output) for proposal in self._fitting(output))

    def _fitting(self, output: Stored) -> list[Proposal]:
        """The convolutions with the output's shape, the likeliest first."""
        if self._all is None:
            self._all = [
                Proposal(spec, options)
                for spec, options in other_questions(self._shapes, self._settings)
            ]
        fitting: dict[ConvSpec, Proposal] = {}
        for proposal in self._all:
            if _has_shape(output, proposal.spec):
                fitting.setdefault(proposal.spec, proposal)
        return list(fitting.values())

    def agrees(self, spec: ConvSpec, output: Stored) -> bool:
        """Whether rounding explains the first batch item; False for what is too large to compute.

        One item is enough to choose among a few convolutions, of which each is judged afterwards.
        """
        obtained = with_unit_axes(output.array, spec)
        # Tokens: channels that were flattened together with positions are another order's fault.
        if obtained.shape != spec.shape("output") and spec.out_channels in obtained.shape:
            flattened = unflattened(obtained, spec)
            if flattened is not None and flattened[1] == spec.output_layout:
                obtained = flattened[0]
        if (
            obtained.size < MIN_ELEMENTS
            or obtained.dtype.kind not in "fiubc"
            or obtained.shape != spec.shape("output")
        ):
            return False
        try:
            bias = None if self._bias is None else bias_vector(self._bias.array, spec, "bias")
        except ConvdiffError:
            return False
        item = replace(spec, batch=1)
        products = element_count(item.shape("output")) * math.prod(spec.kernel_size)
        if products * spec.in_channels // spec.groups > MAX_PRODUCTS:
            return False
        x = _first_item(self._input.array, spec.input_layout)
        y = _first_item(obtained, spec.output_layout)
        return is_output_of(item, x, self._kernel.array, bias, y, output.stored)


def _first_item(array: Array, layout: str) -> Array:
    """The first batch item, with its batch axis."""
    return array[tuple(slice(1) if letter == "N" else slice(None) for letter in layout)]


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
                variants.append(replace(spec, pad_mode=mode, pad_value=0))
            except SpecError:
                continue
    return variants


def _with_channels_moved(spec: ConvSpec) -> list[ConvSpec]:
    """The convolution with the output's channels first and last; [] where it has none."""
    if "C" not in spec.output_layout:
        return []
    batch = "N" if "N" in spec.output_layout else ""
    layouts = (f"{batch}C{spec.axes}", f"{batch}{spec.axes}C")
    return [replace(spec, output_layout=layout) for layout in layouts]


def _cropped_to(output: Stored, asked: ConvSpec) -> list[ConvSpec]:
    """The asked convolution, flipped or not, without as much of its border as the output lacks."""
    sizes = with_unit_axes(output.array, asked).shape
    if len(sizes) != len(asked.output_layout):
        return []
    lengths = dict(zip(asked.output_layout, sizes, strict=True))
    padding = []
    for axis, size, (lo, hi) in zip(asked.axes, asked.output_size, asked.padding, strict=True):
        lacking = size - lengths[axis]
        padding.append((lo - lacking // 2, hi - lacking + lacking // 2))
    try:
        cropped = replace(asked, padding=tuple(padding))
    except SpecError:
        return []
    return [cropped, replace(cropped, flip=not cropped.flip)]


def _has_shape(stored: Stored, spec: ConvSpec) -> bool:
    """Whether the output has the asked shape, up to axes of size 1."""
    return with_unit_axes(stored.array, spec).shape == spec.shape("output")


def _lacks_channels(stored: Stored, spec: ConvSpec) -> bool:
    """Whether an output of several channels lacks their axis, as the magnitude of them does."""
    sizes = list(zip(spec.output_layout, spec.shape("output"), strict=True))
    lacking = tuple(size for letter, size in sizes if letter != "C")
    of_one = tuple(1 if letter == "C" else size for letter, size in sizes)
    return spec.out_channels > 1 and stored.array.shape in (lacking, of_one)


def _has_sizes(stored: Stored, spec: ConvSpec) -> bool:
    """Whether the output has the asked shape with its axes in another order, or some merged."""
    sizes, asked = (
        [n for n in shape if n != 1] for shape in (stored.array.shape, spec.shape("output"))
    )
    return sorted(sizes) == sorted(asked) or unflattened(stored.array, spec) is not None


def _layouts(spec: ConvSpec) -> tuple[str, str, bool, int]:
    return spec.input_layout, spec.kernel_layout, spec.transposed, spec.groups


def _note(proposal: Proposal, asked: ConvSpec | None) -> str:
    """What was taken for the question, and the options that ask for something else."""
    spec, options = proposal
    said, others = [], []
    if options.get("transposed"):
        said.append("transposed")
    if asked is None or _layouts(asked) != _layouts(spec):
        said.append(f"input {spec.input_layout}, kernel {spec.kernel_layout}")
        others += ["--input-layout", "--kernel-layout"]
    if "output_layout" in options:
        said.append(f"output {spec.output_layout}")
        others.append("--output-layout")
    for name in ("groups", "stride", "dilation", "padding", "output_padding"):
        if name in options:
            said.append(f"{name.replace('_', ' ')} {options[name]}")
            others.append(f"--{name.replace('_', '-')}")
    if not said:
        said.append(f"padding {pairs_text(spec.padding)}")
    if not others:
        others = ["--padding"]
    *first, last = others
    pick = f"{', '.join(first)} and {last} pick others" if first else f"{last} picks another"
    has_words = "its axes in that order" if others == ["--output-layout"] else "that size"
    return f"read as {', '.join(said)}: the saved output has {has_words}; {pick}"
