"""Reads the arrays of a request and checks them against the convolution: a `Case`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from convdiff.arrays import compute_dtype, nonfinite_notes, read
from convdiff.pipeline.request import Request
from convdiff.pipeline.row_names import call_name, parse_saved, saved_names, unique
from convdiff.pipeline.select_backends import SelectedBackends
from convdiff.records import Call, Case, Stored
from convdiff.spec.infer_spec import bias_vector
from convdiff.spec.layout import Array, spatial_axes
from convdiff.spec.padding import Pair
from convdiff.verdict.degenerate_arrays import blind_spots
from convdiff.verdict.infer_question import infer_question

NOTHING_TO_COMPARE = (
    "nothing to compare with: give --saved FILE, --call NAME=CODE or --backend NAME"
)


def load_case(
    request: Request,
    selected: SelectedBackends,
    crop: Sequence[Pair] = (),
    cut: Sequence[Pair] = (),
) -> Case:
    """The case that `request` describes.

    `crop` and `cut` are (lo, hi) per spatial axis: how much to take off the ends of the input, and
    off the ends of the saved outputs.  Raises ConvdiffError where the files and options do not make
    a convolution.
    """
    input, kernel = read(request.input, "input"), read(request.kernel, "kernel")
    settings = request.settings
    if crop and settings.input_layout:
        input = replace(input, array=_cropped(input.array, settings.input_layout, crop))
    bias = read(request.bias, "--bias") if request.bias is not None else None
    dtype = compute_dtype(input, kernel, settings.dtype, bias)
    backends = [backend.name for backend in selected.backends]
    saved = _saved(request, backends)
    question = infer_question(input, kernel, bias, settings, saved if request.infer else (), dtype)
    spec = question.spec
    if question.exchanged:
        input, kernel = kernel, input
    kernel = question.kernel or kernel
    if bias is not None:
        bias = replace(bias, array=bias_vector(bias.array, spec, f"--bias {bias.name}"))
    if cut:
        saved = tuple(
            (name, replace(stored, array=_cropped(stored.array, spec.output_layout, cut)))
            for name, stored in saved
        )
    calls = _calls(selected, [*backends, *(name for name, _ in saved)])
    case_notes = [*request.notes, *question.notes]
    if settings.dtype is None and {input.stored, kernel.stored} != {dtype}:
        case_notes.append(
            f"{input.stored} input, {kernel.stored} kernel: computed in {dtype} (--dtype picks "
            "another)"
        )
    arrays = [("input", input), ("kernel", kernel), *([("bias", bias)] if bias else []), *saved]
    case_notes += [note for name, stored in arrays for note in nonfinite_notes(stored, name)]
    case_notes += blind_spots(spec, input.array, kernel.array)
    case_notes += selected.notes
    if not (saved or calls or backends):
        case_notes.append(NOTHING_TO_COMPARE)
    return Case(
        spec,
        input,
        kernel,
        bias,
        saved,
        calls,
        tuple(case_notes),
        other_specs=question.other_specs,
    )


def _cropped(array: Array, layout: str, crop: Sequence[Pair]) -> Array:
    """`array` without the first lo and last hi positions of each spatial axis.

    An array with another number of axes than `layout` is left alone: the diagnosis says what is
    wrong with it.
    """
    if array.ndim != len(layout):
        return array
    pairs = dict(zip(spatial_axes(layout), crop, strict=True))
    ends = [pairs.get(letter, (0, 0)) for letter in layout]
    return array[
        tuple(slice(lo, size - hi) for size, (lo, hi) in zip(array.shape, ends, strict=True))
    ]


def _saved(request: Request, backends: list[str]) -> tuple[tuple[str, Stored], ...]:
    """The saved outputs with their rows' names.

    They may have any shape, even none: what is wrong with it is for the diagnosis to say.
    """
    options = [parse_saved(text) for text in request.saved]
    names = saved_names(options, backends)
    return tuple(
        (name, read(option.file, "--saved", any_shape=True))
        for name, option in zip(names, options, strict=True)
    )


def _calls(selected: SelectedBackends, taken: list[str]) -> tuple[Call, ...]:
    """The user's calls, with names for their rows that are not `taken`."""
    calls: list[Call] = []
    for environment, code in selected.calls:
        name = unique(call_name(environment.name, code), [*taken, *(call.name for call in calls)])
        calls.append(Call(environment.name, code, name))
    return tuple(calls)
