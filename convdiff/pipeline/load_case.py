"""From a request to the case: every array read and checked against the convolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from convdiff.arrays import compute_dtype, nonfinite_notes, read
from convdiff.pipeline.request import Request
from convdiff.pipeline.row_names import call_name, parse_saved, saved_names, unique
from convdiff.pipeline.select_backends import SelectedBackends
from convdiff.records import Call, Case, Stored
from convdiff.spec.infer_spec import bias_vector, read_spec
from convdiff.spec.layout import Array, spatial_axes
from convdiff.spec.padding import Pair
from convdiff.verdict.degenerate_arrays import blind_spots


def read_case(
    request: Request, chosen: SelectedBackends, crop: Sequence[Pair] = (), cut: Sequence[Pair] = ()
) -> Case:
    """The case that `request` describes, its input without `crop` and its saved outputs without
    `cut` at the ends of each axis of space.

    ConvdiffError for files and options that make none.
    """
    input, kernel = read(request.input, "input"), read(request.kernel, "kernel")
    if crop and request.settings.input_layout:
        input = replace(input, array=_cropped(input.array, request.settings.input_layout, crop))
    bias = read(request.bias, "--bias") if request.bias is not None else None
    settings = request.settings
    dtype = compute_dtype(input, kernel, settings.dtype)
    spec, said = read_spec(
        input.array.shape, kernel.array.shape, settings, bias=bias is not None, dtype=dtype
    )
    if bias is not None:
        bias = replace(bias, array=bias_vector(bias.array, spec, f"--bias {bias.name}"))
    if settings.dtype is None and {input.stored, kernel.stored} != {dtype}:
        said = [
            *said,
            f"{input.stored} input, {kernel.stored} kernel: computed in {dtype} (--dtype picks "
            "another)",
        ]
    backends = [asked.name for asked in chosen.asked]
    saved = _saved(request, backends)
    if cut:
        saved = tuple(
            (name, replace(stored, array=_cropped(stored.array, spec.output_layout, cut)))
            for name, stored in saved
        )
    arrays = [("input", input), ("kernel", kernel), *([("bias", bias)] if bias else []), *saved]
    odd = [note for name, stored in arrays for note in nonfinite_notes(stored, name)]
    calls = _calls(chosen, [*backends, *(name for name, _ in saved)])
    alone = (
        []
        if saved or calls or backends
        else ["nothing to compare with: give --saved FILE, --call NAME=CODE or --backend NAME"]
    )
    unseen = blind_spots(spec, input.array, kernel.array)
    return Case(
        spec,
        input,
        kernel,
        bias,
        saved,
        calls,
        (*request.notes, *said, *odd, *unseen, *chosen.notes, *alone),
    )


def _cropped(array: Array, layout: str, crop: Sequence[Pair]) -> Array:
    if array.ndim != len(layout):
        return array
    pairs = dict(zip(spatial_axes(layout), crop, strict=True))
    ends = [pairs.get(letter, (0, 0)) for letter in layout]
    return array[
        tuple(slice(lo, size - hi) for size, (lo, hi) in zip(array.shape, ends, strict=True))
    ]


def _saved(request: Request, backends: list[str]) -> tuple[tuple[str, Stored], ...]:
    """Saved outputs may have any shape, none and empty ones too: that is for the diagnosis to tell."""
    parsed = [parse_saved(text) for text in request.saved]
    names = saved_names(parsed, backends)
    return tuple(
        (name, read(file, "--saved", any_shape=True))
        for name, (_, file) in zip(names, parsed, strict=True)
    )


def _calls(chosen: SelectedBackends, taken: list[str]) -> tuple[Call, ...]:
    calls: list[Call] = []
    for environment, code in chosen.calls:
        name = unique(call_name(environment.name, code), [*taken, *(call.name for call in calls)])
        calls.append(Call(environment.name, code, name))
    return tuple(calls)
