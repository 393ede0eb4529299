"""One probe with its worker running: which forms, with or without a bias, and what is made of the
answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from convdiff.backends.environments import Environment
from convdiff.backends.fleet import Fleet, call_job
from convdiff.errors import ConvdiffError, one_of
from convdiff.probe.caller import FunctionCaller
from convdiff.probe.claims import check
from convdiff.probe.identify import Unknown, identify
from convdiff.probe.nature import nature
from convdiff.probe.outcome import Identified, ProbeOutcome
from convdiff.probe.request import ProbeRequest
from convdiff.probe.shapes import ShapeForm, forms, only
from convdiff.records import Call
from convdiff.spec.conv_spec import PAD_MODES
from convdiff.spec.layout import AXES_OF_RANK, check_layout
from convdiff.spec.padding import parse_padding
from convdiff.spec.settings import Settings, axis_numbers

DTYPES = ("float16", "float32", "float64")


def question(
    request: ProbeRequest, fleet: Fleet, environment: Environment, code: str
) -> ProbeOutcome:
    """The outcome.  Raises ConvdiffError where the function cannot be asked, or takes nothing that
    a convolution takes.
    """
    settings = request.settings
    dtype = settings.dtype or "float32"
    if dtype not in DTYPES:
        raise one_of("--dtype", dtype, DTYPES)
    for role in ("input", "kernel", "output"):
        layout = getattr(settings, f"{role}_layout")
        if layout:
            check_layout(layout, role)
    _check_numbers(settings)
    shapes = (
        _shape("--input-shape", request.input_shape),
        _shape("--kernel-shape", request.kernel_shape),
    )
    if (shapes[0] is None) != (shapes[1] is None):
        raise ConvdiffError(
            "--input-shape, --kernel-shape: found one of them, expected both or neither"
        )
    call = Call(environment.name, code, f"{environment.name}-call")
    asker = FunctionCaller(fleet, call, environment.backend, call_job(call).mode, dtype)

    def tries() -> Iterable[ShapeForm]:
        return (
            forms(settings)
            if shapes[0] is None or shapes[1] is None
            else only(shapes[0], shapes[1], settings)
        )

    fixed = shapes[0] is not None
    answer: Identified | Unknown = Unknown("")
    # A text without the word needs none; a function may ask for one.
    for biased in _biases(code, call_job(call).mode):
        answer = identify(asker, tries(), biased=biased, fixed=fixed)
        if isinstance(answer, Identified) or answer.form is not None:
            break
    hello = fleet.hello(environment.name)
    version = hello.version if hello else None
    if isinstance(answer, Unknown):
        if answer.form is None:
            raise ConvdiffError(
                f"{environment.name}={code}: {answer.why}; the first try said: {asker.message}; "
                "name the layouts (--input-layout, --kernel-layout) or the shapes that it takes "
                "(--input-shape, --kernel-shape)"
            )
        known = nature(asker, answer.form, answer.bias)
        return ProbeOutcome(
            environment.name,
            version,
            code,
            request.command,
            asker.count,
            _arrays(asker),
            known=known,
            why=_why(answer.why, known),
        )
    found, said, differences = check(answer, settings)
    return ProbeOutcome(
        environment.name,
        version,
        code,
        request.command,
        asker.count,
        _arrays(asker),
        found,
        said,
        differences,
    )


def _biases(code: str, mode: str) -> tuple[bool, ...]:
    if mode == "function":
        return False, True
    return (True, False) if re.search(r"\bbias\b(?!\s*=\s*None)", code) else (False,)


def _why(why: str, known: dict[str, str]) -> str:
    if "deterministic" in known:
        return "asked again it answers differently"
    if known.get("depends on the kernel") == "no":
        return "it does not depend on the kernel"
    if known.get("depends on the input") == "no":
        return "it does not depend on the input"
    if known.get("an input of zeros", "").startswith("gives what depends"):
        return f"an input of zeros {known['an input of zeros']}"
    for side in ("input", "kernel"):
        if known.get(f"linear in the {side}", "").startswith("no:"):
            return f"it is not linear in the {side}{known[f'linear in the {side}'][2:]}"
    return why


def _arrays(asker: FunctionCaller) -> str:
    made = f", through {asker.wrap}" if asker.wrap else ""
    return f"asked with {asker.dtype.name} arrays of numpy's{made}"


def _check_numbers(settings: Settings) -> None:
    """ConvdiffError for numbers and words that say nothing in any rank."""
    if settings.pad_mode is not None and settings.pad_mode not in PAD_MODES:
        raise one_of("--pad-mode", settings.pad_mode, PAD_MODES)
    wrong = None
    for rank in AXES_OF_RANK:
        try:
            for name in ("stride", "dilation", "input_dilation", "output_padding", "output_size"):
                axis_numbers(f"--{name.replace('_', '-')}", getattr(settings, name), rank, 1)
            if settings.padding is not None:
                parse_padding(settings.padding, rank)
        except ConvdiffError as error:
            wrong = error
        else:
            return
    if wrong is not None:
        raise wrong


def _shape(option: str, text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        sizes = tuple(int(part) for part in re.split(r"[,x]", text))
    except ValueError:
        sizes = (0,)
    if min(sizes) < 1:
        raise ConvdiffError(
            f"{option}: found {text!r}, expected whole numbers of at least 1, as in 1,3,8,8"
        )
    return sizes
