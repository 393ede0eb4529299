"""One probe with its worker running: the options checked, the function called, the outcome made."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from convdiff.backends.environments import Environment
from convdiff.backends.fleet import Fleet, call_job
from convdiff.errors import ConvdiffError, one_of
from convdiff.probe.function_caller import FunctionCaller
from convdiff.probe.function_properties import FunctionProperties, function_properties
from convdiff.probe.given_options import check_given_options
from convdiff.probe.identification import Unidentified, identify
from convdiff.probe.outcome import Identified, ProbeOutcome
from convdiff.probe.request import ProbeRequest
from convdiff.probe.shape_guesses import ShapeGuess, guesses_of_shapes, shape_guesses
from convdiff.records import Call
from convdiff.spec.layout import AXES_OF_RANK, check_layout
from convdiff.spec.pad_mode import parse_pad_mode
from convdiff.spec.pad_value import parse_pad_value
from convdiff.spec.padding import parse_padding
from convdiff.spec.settings import Settings, axis_numbers

DTYPES = ("float16", "float32", "float64")
Shape = tuple[int, ...]


def run_probe(
    request: ProbeRequest, fleet: Fleet, environment: Environment, code: str
) -> ProbeOutcome:
    """The outcome of a probe.

    Raises ConvdiffError where the function cannot be called, or accepts nothing that a convolution
    accepts.
    """
    settings = request.settings
    _check_settings(settings)
    shapes = _shapes(request)
    call = Call(environment.name, code, f"{environment.name}-call")
    mode = call_job(call).mode
    caller = FunctionCaller(fleet, call, environment.backend, mode, settings.dtype or "float32")
    result = _identify(caller, settings, shapes, code, mode)
    properties = FunctionProperties({}, None)
    if isinstance(result, Unidentified):
        if result.guess is None:
            raise ConvdiffError(
                f"{environment.name}={code}: {result.reason}; the first call failed with: "
                f"{caller.first_error}; give the layouts (--input-layout, --kernel-layout) or the "
                "shapes that it takes (--input-shape, --kernel-shape)"
            )
        properties = function_properties(caller, result.guess, result.bias)
    hello = fleet.hello(environment.name)
    outcome = ProbeOutcome(
        backend=environment.name,
        version=hello.version if hello else None,
        code=code,
        command=request.command,
        calls=caller.count,
        arrays=_arrays(caller),
    )
    if isinstance(result, Unidentified):
        reason = properties.reason or result.reason
        return replace(outcome, properties=properties.texts, reason=reason)
    found, agreeing, mismatches = check_given_options(result, settings)
    return replace(outcome, found=found, agreeing=agreeing, mismatches=mismatches)


def _identify(
    caller: FunctionCaller,
    settings: Settings,
    shapes: tuple[Shape, Shape] | None,
    code: str,
    mode: str,
) -> Identified | Unidentified:
    """Identifies the function, without and with a bias where its code does not tell."""

    def guesses() -> Iterator[ShapeGuess]:
        return shape_guesses(settings) if shapes is None else guesses_of_shapes(*shapes, settings)

    result: Identified | Unidentified = Unidentified("")
    for with_bias in _bias_attempts(code, mode):
        result = identify(caller, guesses(), with_bias=with_bias, fixed_shapes=shapes is not None)
        if isinstance(result, Identified) or result.guess is not None:
            break
    return result


def _bias_attempts(code: str, mode: str) -> tuple[bool, ...]:
    """Whether to give a bias, in the order to try.

    An expression takes one only if it names it; a function may require one.
    """
    if mode == "function":
        return False, True
    return (True, False) if re.search(r"\bbias\b(?!\s*=\s*None)", code) else (False,)


def _arrays(caller: FunctionCaller) -> str:
    through = f", through {caller.array_constructor}" if caller.array_constructor else ""
    return f"called with {caller.dtype.name} numpy arrays{through}"


def _check_settings(settings: Settings) -> None:
    """Raises ConvdiffError for options that have no meaning for arrays of any rank."""
    if settings.dtype is not None and settings.dtype not in DTYPES:
        raise one_of("--dtype", settings.dtype, DTYPES)
    for role in ("input", "kernel", "output"):
        layout = getattr(settings, f"{role}_layout")
        if layout:
            check_layout(layout, role)
    parse_pad_value(settings.pad_value)
    error = None
    for rank in AXES_OF_RANK:
        try:
            for name in ("stride", "dilation", "input_dilation", "output_padding", "output_size"):
                axis_numbers(f"--{name.replace('_', '-')}", getattr(settings, name), rank, 1)
            parse_pad_mode(settings.pad_mode, rank)
            if settings.padding is not None:
                parse_padding(settings.padding, rank)
        except ConvdiffError as rank_error:
            error = rank_error
        else:
            return
    assert error is not None
    raise error


def _shapes(request: ProbeRequest) -> tuple[Shape, Shape] | None:
    """The shapes that the user gave; None if none are given."""
    input_shape = _parse_shape("--input-shape", request.input_shape)
    kernel_shape = _parse_shape("--kernel-shape", request.kernel_shape)
    if input_shape is None and kernel_shape is None:
        return None
    if input_shape is None or kernel_shape is None:
        raise ConvdiffError(
            "--input-shape, --kernel-shape: found one of them, expected both or neither"
        )
    return input_shape, kernel_shape


def _parse_shape(option: str, text: str | None) -> Shape | None:
    if text is None:
        return None
    try:
        shape = tuple(int(part) for part in re.split(r"[,x]", text))
    except ValueError:
        shape = (0,)
    if min(shape) < 1:
        raise ConvdiffError(
            f"{option}: found {text!r}, expected whole numbers of at least 1, as in 1,3,8,8"
        )
    return shape
