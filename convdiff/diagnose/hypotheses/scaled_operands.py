"""Hypotheses about factors and offsets of the input or the kernel, before the convolution."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np

from convdiff.diagnose.core.forms import InputForm, KernelForm, OperationForm
from convdiff.diagnose.core.normalizations import known_step
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.hypotheses.base import (
    MAX_SHOWN_VALUES,
    Edits,
    InputHypothesis,
    KernelHypothesis,
    enumeration,
    has_one_group,
)
from convdiff.records import Edit
from convdiff.spec.conv_spec import ConvSpec

# The relative error of products of fitted factors.
PRODUCT_TOLERANCE = 1e-3

Numbers = float | Sequence[float]


class InputScaled(InputHypothesis):
    """The input was multiplied by a factor and shifted, before it was padded.

    How it shows: Every element differs, at the border in another way than inside, since an offset
    is not added to the zeros of the padding. Without padding an offset cannot be told from a bias,
    and one factor for all channels is reported as scaled.
    Typical causes: Pictures of 0 to 1 on one side and of -1 to 1 on the other; ImageNet's mean and
    std, those of another data set, or Caffe's BGR means, subtracted and divided on one side only,
    or on both where the model does it too.
    What tells it apart: A padded input, and several channels or output channels. A factor for each
    channel without offsets is as well one on the kernel along I.
    Fix: Bring the input into the same range on both sides:
        numpy: `input.astype(np.float32) / 127.5 - 1` brings bytes to [-1, 1]
        torch: `torchvision.transforms.Normalize(mean, std)` after `ToTensor()`
        tensorflow: `keras.applications.imagenet_utils.preprocess_input(input, mode="torch")`; mode
            "caffe" subtracts BGR means, "tf" gives -1 to 1
        jax: `(input / 255 - mean) / std` in NHWC, with a mean and std of shape (C,)
    """

    code: ClassVar[str] = "input-scaled"
    shown_by: ClassVar[str] = "a padded input of several channels, and several output channels"

    def forms(self, problem: Problem, base: InputForm) -> Iterator[InputForm]:
        """None, because the candidates come from `fit.operand_scale_search`."""
        return iter(())

    def is_fitted(self, edit: Edit) -> bool:
        return True

    def sentence(self, edit: Edit) -> str:
        factors, offsets = edit["factors"], edit["offsets"]
        each = "each input channel" if _is_list(factors) or _is_list(offsets) else "the input"
        return f"{each} was {_scaled_and_shifted(factors, offsets)}" + _dropped(factors, "channel")

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        """The range or the normalization that one side lacks."""
        step = known_step(np.array(edit["factors"]), np.array(edit["offsets"]))
        return None if step is None else step.text

    def equivalents(self, edit: Edit, edits: Edits, problem: Problem) -> Iterator[Edit]:
        """Factors along the kernel's input channels, where no offset is added."""
        if _is_list(edit["factors"]) and edit["offsets"] == 0 and _may_change_sides(edits, problem):
            yield {"code": KernelScaled.code, "axis": "I", "factors": edit["factors"]}


class KernelScaled(KernelHypothesis):
    """The kernel was multiplied by factors along one of its axes.

    How it shows: Every element differs. The weights that would give the output are those of the
    given kernel, times one factor for each index of the axis; with offsets, plus one number.
    Typical causes: A BatchNorm folded along I instead of O, as into a transposed kernel (IOHW); a
    scale of shape (O,) that broadcasts along W; the g of a weight norm left out; weights that a
    layer standardizes before it uses them (mean subtracted, divided by std), which shifts them too.
    What tells it apart: More than one weight for each factor; for a factor along O, a bias that
    is not scaled. A factor for each input channel is as well one on the input.
    Fix: Scale along the same axis on both sides; for one factor per output channel:
        numpy: `kernel * gamma[:, None, None, None]` in OIHW, `kernel * gamma[:, None, None]` in
            IOHW
        torch: `torch.nn.utils.fusion.fuse_conv_bn_weights(..., transpose=True)` for ConvTranspose
        tensorflow: `kernel * scale` in HWIO
        jax: `kernel * scale` in HWIO
    """

    code: ClassVar[str] = "kernel-scaled"
    shown_by: ClassVar[str] = "a bias, and channels that differ"

    def forms(
        self, problem: Problem, operation: OperationForm, base: KernelForm
    ) -> Iterator[KernelForm]:
        """None, because the candidates come from `fit.operand_scale_search`."""
        return iter(())

    def is_fitted(self, edit: Edit) -> bool:
        return True

    def sentence(self, edit: Edit) -> str:
        changes = _scaled_and_shifted(edit["factors"], edit.get("offsets", 0))
        return f"the kernel was {changes} along {edit['axis']}" + _dropped(
            edit["factors"],
            {"O": "output channel", "I": "input channel"}.get(
                edit["axis"], f"{edit['axis']} index"
            ),
        )

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        """A scale of the output channels that was applied along another axis."""
        others = [other for other in edits if other["code"] == "channels-scaled"]
        if not others or len(others[0]["factors"]) != len(edit["factors"]):
            return None
        products = np.array(others[0]["factors"]) * edit["factors"]
        if np.ptp(products) > PRODUCT_TOLERANCE * np.abs(products).max():
            return None
        norm = " as of a BatchNorm," if edit["axis"] == "I" else ""
        return f"a scale per output channel,{norm} was applied along {edit['axis']} instead of O"

    def equivalents(self, edit: Edit, edits: Edits, problem: Problem) -> Iterator[Edit]:
        """The same factors on the input's channels."""
        if edit["axis"] == "I" and "offsets" not in edit and _may_change_sides(edits, problem):
            yield {"code": InputScaled.code, "factors": edit["factors"], "offsets": 0.0}


def _may_change_sides(edits: Edits, problem: Problem) -> bool:
    """Whether factors on the input's channels are the same on the kernel's, in the same order."""
    moving = ("input-", "kernel-channels", "kernel-axes", "kernel-reshaped", "operands", "groups-")
    others = (edit["code"] for edit in edits if edit["code"] != InputScaled.code)
    return has_one_group(edits, problem) and not any(code.startswith(moving) for code in others)


def _is_list(numbers: Numbers) -> bool:
    return isinstance(numbers, list | tuple)


def _shown(numbers: Numbers) -> str:
    """One number, or the first few of a list, in brackets."""
    if isinstance(numbers, int | float):
        return f"{numbers:.6g}"
    shown = ", ".join(f"{number:.6g}" for number in numbers[:MAX_SHOWN_VALUES])
    return f"({shown}{', ...' if len(numbers) > MAX_SHOWN_VALUES else ''})"


def _scaled_and_shifted(factors: Numbers, offsets: Numbers) -> str:
    """What was done, such as "multiplied by 2 and shifted by -1"."""
    parts = []
    if factors != 1:
        parts.append(f"multiplied by {_shown(factors)}")
    if offsets != 0:
        parts.append(f"shifted by {_shown(offsets)}")
    return " and ".join(parts)


def _dropped(factors: Numbers, name: str) -> str:
    """Which channels or indices count for nothing, as the end of a sentence."""
    if isinstance(factors, int | float):
        return ""
    zero = [number for number, factor in enumerate(factors) if factor == 0]
    if not zero:
        return ""
    if len(zero) == 1:
        return f": {name} {zero[0]} counts for nothing"
    plural = name.replace("index", "indices") if "index" in name else f"{name}s"
    return f": {plural} {enumeration([str(number) for number in zero])} count for nothing"
