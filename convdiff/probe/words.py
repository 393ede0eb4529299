"""A finding in words: its properties, and the options that say it to `convdiff run`."""

from __future__ import annotations

from typing import Any

import numpy as np

from convdiff.diagnose.core.padding_names import padding_name
from convdiff.probe.outcome import Identified
from convdiff.spec.conv_spec import ConvSpec, numbers_text, pairs_text
from convdiff.spec.settings import Settings

RULES = {
    "same": "the odd one at the end, as TensorFlow's SAME",
    "same_lower": "as SAME, the odd one at the start",
    "half": "half the kernel on both sides",
    "full": "every overlap",
    "causal": "all at the start",
    "valid": "TensorFlow's VALID",
}
# In what a repeated border is called elsewhere.
ELSEWHERE = {
    "reflect": "scipy.ndimage's mirror",
    "symmetric": "scipy.signal's symm, scipy.ndimage's reflect",
    "edge": "torch's replicate",
    "wrap": "circular",
}
NAMES = {-1.0: "absolute value", 0.0: "relu"}


def option_value(name: str, value: Any) -> str:
    """A setting as the command line takes it; empty for a flag."""
    if value is True or (name == "flip" and value is False):
        return ""
    if isinstance(value, tuple):
        return pairs_text(value) if value and isinstance(value[0], tuple) else numbers_text(value)
    return str(value)


def properties(found: Identified) -> list[tuple[str, str, str]]:
    """(name, value, remark) of each, in the order in which they are shown."""
    spec, after = found.spec, found.after
    kind = (
        "transposed convolution"
        if spec.transposed
        else "convolution"
        if spec.flip
        else "cross-correlation"
    )
    kind = "convolution or cross-correlation" if "flip" in found.untold else kind
    lines = [("operation", f"{spec.rank}-D {kind}", "depthwise" if spec.depthwise else "")]
    for role in ("input", "kernel", "output"):
        layout = getattr(spec, f"{role}_layout")
        guessed = [letter for letter in layout if letter in found.roles.supposed]
        remark = f"{' and '.join(guessed)} of size 1: supposed" if guessed else ""
        lines.append((f"{role} layout", layout, remark))
    flip = found.untold.get("flip")
    how = "beside what transposing does" if spec.transposed else ""
    lines.append(("flip", "not told" if flip else "yes" if spec.flip else "no", flip or how))
    lines.append(("stride", numbers_text(spec.stride), ""))
    lines.append(
        (
            "dilation",
            "not told" if "dilation" in found.untold else numbers_text(spec.dilation),
            found.untold.get("dilation", ""),
        )
    )
    if max(spec.input_dilation) > 1:
        lines.append(("input dilation", numbers_text(spec.input_dilation), ""))
    lines.append(("groups", str(spec.groups), _groups(found)))
    lines.append(("padding", *_padding(found)))
    if max(spec.output_padding):
        lines.append(("output padding", numbers_text(spec.output_padding), ""))
    lines.append(("pad mode", *_mode(found)))
    lines.append(("bias", *_bias(found)))
    if after.factor != 1:
        lines.append(("scale", f"{after.factor:.6g}", "times the convolution"))
    linear = "yes" if after.slope == 1 else "no"
    lines.append(
        (
            "linear",
            linear,
            "" if after.slope == 1 else f"what is negative becomes {_activation(after.slope)}",
        )
    )
    lines.append(("depends on the kernel", "yes, linearly", ""))
    if not all(trial.steady for trial in found.trials):
        lines.append(("deterministic", "no", "asked again it answers differently, within rounding"))
    if found.digits:
        lines.append(
            ("precision", found.digits, "fractions come back rounded to about as many digits")
        )
    return lines


def _activation(slope: float) -> str:
    return (
        "0: relu"
        if slope == 0
        else "positive: its absolute value"
        if slope == -1
        else f"{slope:.4g} times that: leaky relu"
    )


def _groups(found: Identified) -> str:
    if not found.by_shapes:
        return ""
    return (
        "one per input channel, however many"
        if found.spec.depthwise
        else "as the shapes have it: C / I"
    )


def _padding(found: Identified) -> tuple[str, str]:
    """In numbers here, and whose rule it is."""
    spec, rule = found.spec, found.settings.padding
    here = pairs_text(spec.padding)
    if isinstance(rule, str):
        if not spec.transposed:
            return rule, f"{RULES[rule]}; {here} here"
        return (
            rule,
            "the output is "
            f"{'the input times the stride' if rule == 'same' else 'all that the kernel reaches'}; "
            ""
            ""
            f"{here} here",
        )
    others = [
        saying.padding
        for saying in found.sayings[1:]
        if isinstance(saying.padding, str) and saying.transposed == spec.transposed
    ]
    tried = {trial.kind for trial in found.trials}
    held = "in every size" if {"sizes", "kernel"} <= tried else ""
    if others and not max((side for pair in spec.padding for side in pair), default=0):
        return here, "none"
    name = None if spec.transposed or held else padding_name(spec, spec.padding)
    also = (
        f"or {', '.join(str(other) for other in others)}: not to be told apart here"
        if others and not held
        else ""
    )
    return here, "; ".join(part for part in (name or "", held, also) if part)


def _mode(found: Identified) -> tuple[str, str]:
    modes = sorted(found.modes)
    if len(modes) == 1:
        return (
            ("constant", "zeros")
            if modes == ["constant"]
            else (modes[0], ELSEWHERE.get(modes[0], ""))
        )
    if len(modes) == 5:
        return "none", "nothing is padded"
    return " or ".join(modes), "the same here: so little is padded"


def _bias(found: Identified) -> tuple[str, str]:
    after = found.after
    if after.biased:
        return "yes", "one per output channel"
    own = np.atleast_1d(after.added)
    if np.any(own):
        return "its own", ", ".join(f"{value:.4g}" for value in own[:8]) + (
            ", ..." if own.size > 8 else ""
        )
    return ("no", "given one, it adds none") if found.trials[0].bias is not None else ("none", "")


def options(found: Identified) -> list[str]:
    """The options of `convdiff run` for the same convolution, each with its value."""
    settings, spec = found.settings, found.spec
    words = [f"--input-layout {spec.input_layout}", f"--kernel-layout {spec.kernel_layout}"]
    if spec.output_layout != _usual_output(spec):
        words.append(f"--output-layout {spec.output_layout}")
    words += ["--transposed"] if spec.transposed else []
    words += ["--flip"] if spec.flip and "flip" not in found.untold else []
    for name, none in (("stride", 1), ("dilation", 1), ("input_dilation", 1)):
        if max(getattr(spec, name)) > none:
            words.append(f"--{name.replace('_', '-')} {numbers_text(getattr(spec, name))}")
    if spec.groups > 1 and "M" not in spec.kernel_layout:
        words.append(
            "--depthwise" if found.by_shapes and spec.depthwise else f"--groups {spec.groups}"
        )
    words += _padding_options(settings, spec)
    if spec.pad_mode != "constant":
        words.append(f"--pad-mode {spec.pad_mode}")
    words += ["--bias FILE"] if spec.bias or np.any(found.after.added) else []
    return words


def _padding_options(settings: Settings, spec: ConvSpec) -> list[str]:
    if isinstance(settings.padding, str):
        return [f"--padding {settings.padding}"]
    words = (
        [f"--padding {pairs_text(spec.padding)}"]
        if any(side for pair in spec.padding for side in pair)
        else []
    )
    return words + (
        [f"--output-padding {numbers_text(spec.output_padding)}"]
        if max(spec.output_padding)
        else []
    )


def _usual_output(spec: ConvSpec) -> str | None:
    return spec.input_layout if "C" in spec.input_layout or spec.out_channels == 1 else None


def proof(found: Identified) -> str:
    """How much was reproduced."""
    count = sum(trial.output.size for trial in found.trials)
    shapes = len({(trial.input.shape, trial.kernel.shape) for trial in found.trials})
    exact = (
        "exactly" if found.worst == 0 else f"to within {found.worst:.2g}, all of them whole numbers"
    )
    sizes = f"of {shapes} sizes" if shapes > 1 else "of one size"
    return (
        f"{count:,} of {count:,} elements reproduced {exact}, on {len(found.trials)} fresh "
        f"calls {sizes}"
    )


def to_json(found: Identified) -> dict[str, object]:
    """The finding as an object."""
    spec, after = found.spec, found.after
    return {
        **spec.to_dict(),
        "flip": None if "flip" in found.untold else spec.flip,
        "dilation": None if "dilation" in found.untold else list(spec.dilation),
        "padding_rule": found.settings.padding if isinstance(found.settings.padding, str) else None,
        "pad_modes": sorted(found.modes),
        "supposed_axes": sorted(found.roles.supposed),
        "groups_follow_the_shapes": found.by_shapes,
        "bias": "given" if after.biased else "own" if np.any(after.added) else "none",
        "own_bias": np.atleast_1d(after.added).tolist() if np.any(after.added) else None,
        "factor": after.factor,
        "linear": after.slope == 1,
        "negative_slope": after.slope,
        "depends_on_kernel": True,
        "deterministic": all(trial.steady for trial in found.trials),
        "precision": found.digits or "full",
        "options": " ".join(options(found)),
        "calls": len(found.trials),
        "elements": sum(trial.output.size for trial in found.trials),
        "worst": found.worst,
        "notes": list(found.notes),
    }
