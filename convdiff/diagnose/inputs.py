"""Hypotheses about the input: read in another layout, reshaped, reversed, channels in another order."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import ClassVar

from convdiff.case import Edit
from convdiff.diagnose.forms import InputForm, OperationForm
from convdiff.diagnose.hypothesis import InputHypothesis, listed
from convdiff.diagnose.problem import Problem
from convdiff.diagnose.reshaping import read_otherwise

# Channels, and items of a batch, of which every order is tried.
ENUMERATED = 4


class InputAxesPermuted:
    """The input array was read with its axes in another order than the one it has.

    How it shows: everything differs where the sizes of the exchanged axes are equal (else the call fails or the shape shows it).
    Typical causes: NHWC data handed to a function that takes NCHW, H and W exchanged (transpose(0, 3, 2, 1)), MATLAB's column order.
    Fix: transpose the input to the layout that the function documents: input.transpose(0, 3, 1, 2) brings NHWC to NCHW.
    """

    code: ClassVar[str] = "input-axes-permuted"

    def forms(self, problem: Problem, operation: OperationForm, base: InputForm) -> Iterator[InputForm]:
        """Every other reading with the asked number of channels."""
        spec, layout = problem.spec, problem.spec.input_layout
        if base.edits:
            return
        for read, oddness, made in read_otherwise(problem.placed_input, layout, "NC" + spec.axes):
            if made.shape[1] == base.array.shape[1]:
                yield base.plus({"code": self.code, "asked": layout, "obtained": read}, oddness, array=made)

    def sentence(self, edit: Edit) -> str:
        return f"the input, {edit['asked']}, was read as {edit['obtained']}"


class InputReshaped:
    """The input's buffer was reshaped to another layout's shape, not transposed: its values were shuffled.

    How it shows: everything differs, shapes are right.
    Typical causes: np.reshape, view or tf.reshape used to bring NHWC to NCHW.
    Fix: transpose instead of reshape: input.transpose(0, 3, 1, 2) brings NHWC to NCHW.
    """

    code: ClassVar[str] = "input-reshaped"

    def forms(self, problem: Problem, operation: OperationForm, base: InputForm) -> Iterator[InputForm]:
        """The user's order reshaped to a common order, and a common order reshaped to the user's."""
        if base.edits:
            return
        for source, target, made in problem.reshaped_inputs:
            if made.shape[1] == base.array.shape[1]:
                edit = {"code": self.code, "asked": source, "obtained": target}
                yield base.plus(edit, 0.2 if source == problem.spec.input_layout else 0.4, array=made)

    def sentence(self, edit: Edit) -> str:
        return f"the input's {edit['asked']} buffer was reshaped, not transposed, to {edit['obtained']}"


class InputChannelsReversed:
    """The input's channels were taken in reverse order: BGR for RGB.

    How it shows: everything differs; where all channels are alike, nothing.
    Typical causes: OpenCV reads BGR, Pillow and most frameworks' examples use RGB; Caffe models expect BGR.
    Fix: reverse the channel axis on one side: input[..., ::-1] for NHWC, input[:, ::-1] for NCHW.
    """

    code: ClassVar[str] = "input-channels-reversed"

    def forms(self, problem: Problem, operation: OperationForm, base: InputForm) -> Iterator[InputForm]:
        """The one reversal."""
        if base.array.shape[1] > 1 and not base.has(self.code):
            yield base.plus({"code": self.code}, 0.05, array=base.array.flipped([1]))

    def sentence(self, edit: Edit) -> str:
        return "the input's channels were reversed (RGB/BGR)"


class InputReversed:
    """The input was reversed along spatial axes.

    How it shows: as a flipped kernel would, with the output's positions reversed besides.
    Typical causes: images stored bottom up, np.flipud or np.fliplr on a 4-D array (they turn axes 0 and 1), an input flipped
    in place of the kernel.
    Fix: leave the input as it is; flip the kernel if a convolution is meant.
    """

    code: ClassVar[str] = "input-reversed"

    def forms(self, problem: Problem, operation: OperationForm, base: InputForm) -> Iterator[InputForm]:
        """Every non-empty set of axes longer than 1."""
        long = [i for i, size in enumerate(base.size) if size > 1]
        if base.has(self.code):
            return
        for count in range(len(long), 0, -1):
            for chosen in itertools.combinations(long, count):
                edit = {"code": self.code, "axes": [problem.spec.axes[i] for i in chosen]}
                yield base.plus(edit, 0.35, array=base.array.flipped([i + 2 for i in chosen]))

    def sentence(self, edit: Edit) -> str:
        return f"the input was reversed along {listed(edit['axes'])}"


class InputBatchPermuted:
    """The batch's items were taken in another order.

    How it shows: each item of the output is another item's.
    Typical causes: a shuffled data loader, files listed in another order, [::-1] on axis 0.
    Fix: save both sides' arrays from one batch.
    """

    code: ClassVar[str] = "input-batch-permuted"

    def forms(self, problem: Problem, operation: OperationForm, base: InputForm) -> Iterator[InputForm]:
        """Every other order of a few items.  Of more, an order can be told only as the output's: see there."""
        items = base.array.shape[0]
        if 2 <= items <= ENUMERATED and not base.has(self.code):
            for order in itertools.permutations(range(items)):
                if list(order) != sorted(order):
                    edit = {"code": self.code, "permutation": list(order)}
                    yield base.plus(edit, 0.3, array=base.array.along(0, list(order)))

    def sentence(self, edit: Edit) -> str:
        return "the batch's items came in another order"


class GroupsInterleaved:
    """The groups' channels were dealt out in turn, not in blocks: group g took channels g, g + G, g + 2G, ...

    How it shows: with groups, everything but the first and last channel; a depthwise multiplier's outputs in the order
    m*C + c where c*M + m is meant.
    Typical causes: a channel shuffle, depthwise kernels flattened in the other order, grouped convolutions built by stacking.
    Fix: channels of a group lie side by side: reshape to (groups, channels per group), not (channels per group, groups).
    """

    code: ClassVar[str] = "groups-interleaved"

    def forms(self, problem: Problem, operation: OperationForm, base: InputForm) -> Iterator[InputForm]:
        """The input's channels dealt out."""
        groups, channels = problem.spec.groups, base.array.shape[1]
        if 1 < groups < channels and not base.has(self.code):
            order = interleaved(channels, groups)
            yield base.plus({"code": self.code, "groups": groups, "which": "input"}, 0.15, array=base.array.along(1, order))

    def sentence(self, edit: Edit) -> str:
        return f"the {edit['which']}'s channels were dealt out to the {edit['groups']} groups in turn, not in blocks"



def interleaved(channels: int, groups: int) -> list[int]:
    """Where the channels of group 0, then of group 1, ... lie when dealt out in turn."""
    return [i for group in range(groups) for i in range(group, channels, groups)]


class InputChannelsPermuted:
    """The input's channels were taken in another order.

    How it shows: everything differs; where all channels are alike, nothing.
    Typical causes: channels stacked in another order by the loader, features concatenated in another order than the kernel was
    trained with, a channel shuffle.
    Fix: bring the input's channels into one order on both sides; the permutation says which channel was read in each one's place.
    """

    code: ClassVar[str] = "input-channels-permuted"

    def forms(self, problem: Problem, operation: OperationForm, base: InputForm) -> Iterator[InputForm]:
        """Every order of a few channels but the reversal.  Of more, the order is read off (see `permuted.py`)."""
        channels = base.array.shape[1]
        if 3 <= channels <= ENUMERATED and not base.has(self.code) and not base.has("input-channels-reversed"):
            for order in itertools.permutations(range(channels)):
                if list(order) not in (sorted(order), sorted(order)[::-1]):
                    yield base.plus({"code": self.code, "permutation": list(order)}, 0.4, array=base.array.along(1, list(order)))

    def sentence(self, edit: Edit) -> str:
        order = edit["permutation"]
        return f"the input's channels were read in the order {', '.join(map(str, order[:8]))}{', ...' if len(order) > 8 else ''}"


INPUT: tuple[InputHypothesis, ...] = (
    InputAxesPermuted(), InputReshaped(), InputChannelsReversed(), GroupsInterleaved(), InputReversed(), InputBatchPermuted(),
    InputChannelsPermuted(),
)
