"""An identified convolution in words: its properties, the options for it, and the proof."""

from __future__ import annotations

from typing import Any

import numpy as np

from convdiff.diagnose.core.padding_names import padding_name
from convdiff.probe.outcome import Identified
from convdiff.spec.conv_spec import ConvSpec, numbers_text, pairs_text
from convdiff.spec.pad_mode import PAD_MODES, pad_mode_text
from convdiff.spec.pad_value import pad_value_text
from convdiff.spec.settings import Settings

# What each padding word means.
WORD_MEANINGS = {
    "same": "the odd one at the end, as TensorFlow's SAME",
    "same_lower": "as SAME, the odd one at the start",
    "half": "half the kernel on both sides",
    "full": "every overlap",
    "causal": "all at the start",
    "valid": "TensorFlow's VALID",
}
# The names that other libraries have for a pad mode.
OTHER_NAMES = {
    "reflect": "scipy.ndimage's mirror",
    "symmetric": "scipy.signal's symm, scipy.ndimage's reflect",
    "edge": "torch's replicate",
    "wrap": "circular",
}
UNDETERMINED = "not determined"


def option_value(name: str, value: Any) -> str:
    """A setting as the command line takes it; empty for a flag."""
    if value is True or (name == "flip" and value is False):
        return ""
    if isinstance(value, tuple):
        return pairs_text(value) if value and isinstance(value[0], tuple) else numbers_text(value)
    return str(value)


def properties(found: Identified) -> list[tuple[str, str, str]]:
    """(name, value, remark) of each property, in the order in which they are shown."""
    return [*_layout_lines(found), *_geometry_lines(found), *_epilogue_lines(found)]


def _layout_lines(found: Identified) -> list[tuple[str, str, str]]:
    spec = found.spec
    if spec.transposed:
        operation = "transposed convolution"
    else:
        operation = "convolution" if spec.flip else "cross-correlation"
    if "flip" in found.undetermined:
        operation = "convolution or cross-correlation"
    lines = [("operation", f"{spec.rank}-D {operation}", "depthwise" if spec.depthwise else "")]
    for role in ("input", "kernel", "output"):
        layout = getattr(spec, f"{role}_layout")
        assumed = [letter for letter in layout if letter in found.roles.assumed]
        remark = f"{' and '.join(assumed)} of size 1: assumed" if assumed else ""
        lines.append((f"{role} layout", layout, remark))
    return lines


def _geometry_lines(found: Identified) -> list[tuple[str, str, str]]:
    spec = found.spec
    if "flip" in found.undetermined:
        flip = (UNDETERMINED, found.undetermined["flip"])
    else:
        flip = (
            "yes" if spec.flip else "no",
            "besides what transposing does" if spec.transposed else "",
        )
    if "dilation" in found.undetermined:
        dilation = (UNDETERMINED, found.undetermined["dilation"])
    else:
        dilation = (numbers_text(spec.dilation), "")
    lines = [
        ("flip", *flip),
        ("stride", numbers_text(spec.stride), ""),
        ("dilation", *dilation),
    ]
    if max(spec.input_dilation) > 1:
        lines.append(("input dilation", numbers_text(spec.input_dilation), ""))
    lines.append(("groups", str(spec.groups), _groups_remark(found)))
    lines.append(("padding", *_padding(found)))
    if max(spec.output_padding):
        lines.append(("output padding", numbers_text(spec.output_padding), ""))
    lines.append(("pad mode", *_pad_mode(found)))
    if spec.pad_value != 0:
        remark = "one per input channel" if isinstance(spec.pad_value, tuple) else ""
        lines.append(("pad value", pad_value_text(spec.pad_value), remark))
    return lines


def _epilogue_lines(found: Identified) -> list[tuple[str, str, str]]:
    epilogue = found.epilogue
    lines = [("bias", *_bias(found))]
    if epilogue.factor != 1:
        lines.append(("scale", f"{epilogue.factor:.6g}", "times the convolution"))
    if epilogue.negative_slope == 1:
        lines.append(("linear", "yes", ""))
    else:
        lines.append(("linear", "no", _negative_values(epilogue.negative_slope)))
    lines.append(("depends on the kernel", "yes, linearly", ""))
    if not all(trial.deterministic for trial in found.trials):
        lines.append(("deterministic", "no", "repeated calls differ, within rounding"))
    if found.narrow_type:
        lines.append(
            ("precision", found.narrow_type, "fractions come back rounded to about as many digits")
        )
    return lines


def _negative_values(slope: float) -> str:
    if slope == 0:
        return "negative values become 0: relu"
    if slope == -1:
        return "negative values become positive: absolute value"
    return f"negative values are multiplied by {slope:.4g}: leaky relu"


def _groups_remark(found: Identified) -> str:
    if not found.groups_follow_shapes:
        return ""
    if found.spec.depthwise:
        return "one per input channel, however many there are"
    return "from the shapes: C / I"


def _padding(found: Identified) -> tuple[str, str]:
    """The padding and its rule."""
    spec, padding = found.spec, found.settings.padding
    here = pairs_text(spec.padding)
    if isinstance(padding, str):
        if not spec.transposed:
            return padding, f"{WORD_MEANINGS[padding]}; {here} here"
        size = "the input times the stride" if padding == "same" else "all that the kernel reaches"
        return padding, f"the output is {size}; {here} here"
    words = [
        settings.padding
        for settings in found.equivalents[1:]
        if isinstance(settings.padding, str) and settings.transposed == spec.transposed
    ]
    if words and not max((side for pair in spec.padding for side in pair), default=0):
        return here, "none"
    kinds = {trial.kind for trial in found.trials}
    if {"sizes", "kernel"} <= kinds:
        return here, "in every size"
    name = None if spec.transposed else padding_name(spec, spec.padding)
    also = f"or {', '.join(words)}: these sizes do not tell them apart" if words else None
    return here, "; ".join(part for part in (name, also) if part)


def _pad_mode(found: Identified) -> tuple[str, str]:
    modes = sorted(map(pad_mode_text, found.pad_modes))
    if modes == ["constant"]:
        return "constant", "zeros" if found.spec.pad_value == 0 else ""
    if len(modes) == 1:
        return modes[0], OTHER_NAMES.get(modes[0], "")
    if len(modes) == len(PAD_MODES):
        return "none", "nothing is padded"
    return " or ".join(modes), "the same here: so little is padded"


def _bias(found: Identified) -> tuple[str, str]:
    if found.epilogue.adds_bias:
        return "yes", "one per output channel"
    constants = np.atleast_1d(found.epilogue.added)
    if np.any(constants):
        shown = ", ".join(f"{value:.4g}" for value in constants[:8])
        return "its own", shown + (", ..." if constants.size > 8 else "")
    if found.trials[0].bias is not None:
        return "no", "it was given one and adds none"
    return "none", ""


def options(found: Identified) -> list[str]:
    """The options of `convdiff run` for the same convolution, each with its value."""
    settings, spec = found.settings, found.spec
    words = [f"--input-layout {spec.input_layout}", f"--kernel-layout {spec.kernel_layout}"]
    if spec.output_layout != _default_output_layout(spec):
        words.append(f"--output-layout {spec.output_layout}")
    words += ["--transposed"] if spec.transposed else []
    words += ["--flip"] if spec.flip and "flip" not in found.undetermined else []
    for name in ("stride", "dilation", "input_dilation"):
        if max(getattr(spec, name)) > 1:
            words.append(f"--{name.replace('_', '-')} {numbers_text(getattr(spec, name))}")
    if spec.groups > 1 and "M" not in spec.kernel_layout:
        depthwise = found.groups_follow_shapes and spec.depthwise
        words.append("--depthwise" if depthwise else f"--groups {spec.groups}")
    words += _padding_options(settings, spec)
    if spec.pad_mode != "constant":
        words.append(f"--pad-mode {pad_mode_text(spec.pad_mode)}")
    if spec.pad_value != 0:
        words.append(f"--pad-value {pad_value_text(spec.pad_value)}")
    words += ["--bias FILE"] if spec.bias or np.any(found.epilogue.added) else []
    return words


def _padding_options(settings: Settings, spec: ConvSpec) -> list[str]:
    if isinstance(settings.padding, str):
        return [f"--padding {settings.padding}"]
    words = []
    if any(side for pair in spec.padding for side in pair):
        words.append(f"--padding {pairs_text(spec.padding)}")
    if max(spec.output_padding):
        words.append(f"--output-padding {numbers_text(spec.output_padding)}")
    return words


def _default_output_layout(spec: ConvSpec) -> str | None:
    """The output layout that needs no option; None if it has to be given."""
    return spec.input_layout if "C" in spec.input_layout or spec.out_channels == 1 else None


def proof(found: Identified) -> str:
    """How much was reproduced, and how exactly."""
    count = sum(trial.output.size for trial in found.trials)
    shapes = len({(trial.input.shape, trial.kernel.shape) for trial in found.trials})
    accuracy = (
        "exactly"
        if found.max_deviation == 0
        else f"to within {found.max_deviation:.2g} of integers"
    )
    sizes = f"of {shapes} sizes" if shapes > 1 else "of one size"
    return (
        f"{count:,} of {count:,} elements reproduced {accuracy}, on {len(found.trials)} fresh "
        f"calls {sizes}"
    )
