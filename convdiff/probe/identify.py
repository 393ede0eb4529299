"""From a function to the convolution that it is: form after form, until one is understood and
reproduced.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from convdiff.probe.caller import FunctionCaller
from convdiff.probe.comparison import After, apart, expected, reproduces, slope_of, spec_of
from convdiff.probe.description import Description, descriptions, usual
from convdiff.probe.geometry import Axis
from convdiff.probe.nature import depends
from convdiff.probe.outcome import Identified
from convdiff.probe.precision import digits
from convdiff.probe.roles import Roles, Settled, Unclear
from convdiff.probe.rules import RuleMatch, hold
from convdiff.probe.shapes import ShapeForm
from convdiff.probe.taps import Taps
from convdiff.probe.trials import Plan, Trial, Trials
from convdiff.spec.layout import Array, sizes, total
from convdiff.spec.settings import Settings

# Forms that are taken but not understood: more of them would say nothing new.
MOST_TAKEN = 16
# Elements of an input that is not tried once others were taken: it is for functions with many
# groups, which took none.
LARGE = 5000
# Forms refused in the very same words: it is not the shapes.
MOST_ALIKE = 250


@dataclass(frozen=True)
class Unknown:
    """No convolution was recognised.  `form` is the first that the function took, with the bias it
    was given; None: it took none.
    """

    why: str
    form: ShapeForm | None = None
    bias: Array | None = None


def identify(
    asker: FunctionCaller, forms: Iterable[ShapeForm], *, biased: bool, fixed: bool
) -> Identified | Unknown:
    """What it is.

    `biased` gives it a bias; `fixed` asks it in no other sizes.  Raises ConvdiffError where it
    cannot be asked at all.
    """
    unknown: Unknown | None = None
    misread: list[tuple[str, Trial]] = []
    refusals = Counter[str]()
    for form in forms:
        if unknown is not None and total(form.input_shape) > LARGE:
            continue
        bias = np.arange(1, form.out + 1, dtype=np.float64) if biased else None
        reply = asker.ask(np.zeros(form.input_shape), np.zeros(form.kernel_shape), bias)
        still = reply.output
        if still is None or still.size == 0:
            refusals[reply.message] += 1
            if len(refusals) == 1 and refusals.total() >= MOST_ALIKE:
                break
            continue
        try:
            found = _understood(asker, form, bias, np.asarray(still, np.float64), fixed)
            return _reconciled(found, misread) or unknown or found
        except Settled as error:
            return Unknown(str(error), form, bias)
        except Unclear as error:
            unknown = unknown or Unknown(str(error), form, bias)
            misread += [
                (str(error), trial) for trial in [_trial(asker, form, bias)] if trial is not None
            ]
        if unknown.form is form and not all(depends(asker, form, bias)):
            return unknown
        if len(misread) >= MOST_TAKEN:
            break
    return unknown or Unknown("it takes arrays of none of the shapes that a convolution may have")


def _trial(asker: FunctionCaller, form: ShapeForm, bias: Array | None) -> Trial | None:
    plan = Plan(
        form.input_layout,
        form.kernel_layout,
        sizes(form.input_layout, form.input_shape),
        sizes(form.kernel_layout, form.kernel_shape),
        None if bias is None else len(bias),
    )
    return Trials(asker).ask("data", plan)


def _reconciled(found: Identified, misread: list[tuple[str, Trial]]) -> Identified | None:
    """The finding, unless calls that it should explain, which were taken before and not understood,
    are something else.

    A function that goes wrong on kernels of other sizes is still what it is on these: that is
    noted.
    """
    notes = list(found.notes)
    for why, trial in misread:
        settings = _regrouped(found.settings, trial)
        if spec_of(settings, trial) is None or reproduces(settings, [trial], found.after):
            continue
        here, there = found.trials[0].kernel.shape, trial.kernel.shape
        channels = [at for at, letter in enumerate(found.spec.kernel_layout) if letter in "OIM"]
        if (
            any(here[at] != there[at] for at in channels)
            or min(found.spec.kernel_size) < 3
            or here == there
        ):
            return None
        notes.append(f"with a kernel of {'x'.join(map(str, there))} it is something else: {why}")
    return replace(found, notes=tuple(notes))


def _regrouped(settings: Settings, trial: Trial) -> Settings:
    """The settings with as many groups as a trial's shapes say, since it was taken."""
    x, w = settings.input_layout or "", settings.kernel_layout or ""
    if (
        settings.transposed
        or "C" not in x
        or "I" not in w
        or (len(x), len(w)) != (trial.input.ndim, trial.kernel.ndim)
    ):
        return settings
    channels, inner = trial.input.shape[x.index("C")], trial.kernel.shape[w.index("I")]
    return (
        replace(settings, groups=channels // inner)
        if channels % inner == 0 and "M" not in w
        else settings
    )


def _understood(
    asker: FunctionCaller, form: ShapeForm, bias: Array | None, still: Array, fixed: bool
) -> Identified:
    taps = Taps(asker, form, bias, still)
    roles, axes = taps.read()
    after = _after(roles, taps, still)
    plan = Plan(
        roles.input_layout,
        roles.kernel_layout,
        sizes(roles.input_layout, form.input_shape),
        sizes(roles.kernel_layout, form.kernel_shape),
        None if bias is None else len(bias),
    )
    inner = plan.input.get("C", 1)
    outer = sizes(roles.output_layout, still.shape).get("C", 1)
    known = list(descriptions(roles, axes, inner, outer, plan.kernel))
    maker = Trials(asker)
    if fixed:
        trials = [
            trial for _ in range(3) if (trial := maker.ask("data", plan, repeat=2)) is not None
        ]
    else:
        trials = maker.all(plan, max(axis.stride for axis in axes))
    held, after = _held(known, trials, after)
    if not held:
        raise Unclear("its taps are those of a convolution, but their sum is not its output")
    sayings = tuple(saying for _, one in held for saying in one.settings)
    asked = held[0][1].trials
    spec = spec_of(sayings[0], asked[0])
    assert spec is not None
    if bias is not None and after.biased:
        spec = replace(spec, bias=True)
    worst = max(apart(sayings[0], trial, after) or 0.0 for trial in asked)
    real = maker.ask("data", plan, scale=0.25)
    narrow = digits(sayings[0], real, after) if real is not None else None
    by_shapes = not fixed and _by_shapes(maker, plan, held[0][1].settings, after)
    return Identified(
        spec,
        roles,
        sayings,
        asked,
        after,
        held[0][0].modes,
        _untold(axes),
        by_shapes,
        worst,
        narrow,
        _notes(trials, held[0][1], fixed),
    )


def _after(roles: Roles, taps: Taps, still: Array) -> After:
    """What is there without any input: the bias it was given, or numbers of its own."""
    after = After(factor=taps.factor)
    if not np.any(still):
        return after
    if "C" in roles.output_layout:
        rows = np.moveaxis(still, roles.output_layout.index("C"), 0).reshape(
            still.shape[roles.output_layout.index("C")], -1
        )
    else:
        rows = still.reshape(1, -1)
    if np.any(np.ptp(rows, axis=1)):
        raise Unclear("an input of zeros gives different numbers in one channel")
    per_channel = rows[:, 0]
    if taps.bias is not None and np.array_equal(per_channel, taps.bias):
        return replace(after, biased=True)
    return replace(after, added=float(per_channel[0]) if np.ptp(per_channel) == 0 else per_channel)


def _held(
    known: list[Description], trials: list[Trial], after: After
) -> tuple[list[tuple[Description, RuleMatch]], After]:
    """The descriptions that hold, with what comes after the convolution: if nothing does, a slope
    for negative values.
    """
    for slope in (None, "fitted"):
        made = []
        for description in known:
            this = after
            if slope is not None:
                fitted = _slope(description, trials, after)
                if fitted is None:
                    continue
                this = replace(after, slope=fitted)
            one = hold(description, trials, this)
            if one is not None:
                made.append((description, one, this))
        if made:
            most = max(len(one.trials) for _, one, _ in made)
            best = [
                (description, one, this)
                for description, one, this in made
                if len(one.trials) == most
            ]
            best.sort(key=lambda entry: not usual(entry[0]))
            return [(description, one) for description, one, _ in best], best[0][2]
    return [], after


def _slope(description: Description, trials: list[Trial], after: After) -> float | None:
    choice = [axis[0] for axis in description.choices]
    extra = tuple(more for _, _, more in choice)
    mode = next(iter(sorted(description.modes)))
    settings = replace(
        description.settings,
        padding=tuple((lo, hi) for lo, hi, _ in choice),
        pad_mode=mode,
        output_padding=extra if any(extra) else None,
    )
    return slope_of(settings, trials[0], after) if trials else None


def _by_shapes(maker: Trials, plan: Plan, settings: tuple[Settings, ...], after: After) -> bool:
    """Whether arrays of twice the groups are taken, and convolved in as many."""
    if (
        settings[0].transposed
        or "M" in plan.kernel_layout
        or "C" not in plan.input
        or np.ndim(after.added)
    ):
        return False
    trial = maker.ask("data", plan.doubled())
    if trial is None:
        return False
    groups = plan.input["C"] // plan.kernel.get("I", 1)
    made = expected(replace(settings[0], groups=2 * groups), trial, after)
    return made is not None and bool(
        np.abs(made - trial.output).max() < 0.25 + 1e-2 * np.abs(made).max()
    )


def _untold(axes: tuple[Axis, ...]) -> dict[str, str]:
    untold = {}
    if all(axis.flip is None for axis in axes):
        untold["flip"] = untold["dilation"] = "not to be told from a kernel of one element"
    return untold


def _notes(trials: list[Trial], held: RuleMatch, fixed: bool) -> tuple[str, ...]:
    if fixed:
        return ("asked in one shape only: in another its padding may follow another rule",)
    notes = []
    for kind, words in (("sizes", "inputs of other sizes"), ("kernel", "kernels of other sizes")):
        if not any(trial.kind == kind for trial in trials):
            notes.append(f"it takes no {words} than those asked first")
        elif not any(trial.kind == kind for trial in held.trials):
            notes.append(f"{words} it treats in another way: this holds for these alone")
    return tuple(notes)
