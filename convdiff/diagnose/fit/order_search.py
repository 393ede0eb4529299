"""The input's channels in an unknown order, alone or beside one or two other edits: it is read off
the output (see `ordering.py`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from convdiff.diagnose.core.forms import InputForm, KernelForm, OutputForm
from convdiff.diagnose.core.output_change import OpenChange
from convdiff.diagnose.core.precision_model import PrecisionModel
from convdiff.diagnose.core.reordered import CHANNEL_AXIS
from convdiff.diagnose.fit.channel_order import (
    TRIED,
    alike,
    in_place,
    mixed_places,
    order_of_channels,
)
from convdiff.diagnose.fit.kernel_estimate import both_orders, estimated, goes_with, solved
from convdiff.diagnose.fit.order_views import (
    ALIKE,
    OrderView,
    OrderViewMember,
    OrderViews,
    channel_of,
    dense_kernel,
)
from convdiff.diagnose.hypotheses.input import MAX_ENUMERATED_LENGTH, group_interleavings
from convdiff.diagnose.search.candidate import Candidate
from convdiff.diagnose.search.engine import Search
from convdiff.spec.layout import Array

# Channels of which every order is tried where nothing else went wrong.
TRIED_ALONE = 8
# Multiplications that all looks with each number of edits may cost; the likeliest are taken.
MOST_WORK = {1: 4e8, 2: 4e7, 3: 4e7}
# And how many there may be.
MOST_LOOKS = 32
# Kernels that are looked at closely of all that go with the output, the channels by which that is
# seen, and how well they must go.
LIKELY = 8
SAMPLED = 6
STANDS_OUT = 1.25
# Channels from which on one that goes with the output stands out; of fewer, so many kernels are
# looked at however they go.
MANY = 16
LEAST_LIKELY = 2
# The share of an output's energy that storing it in 16 bits may add.
NARROW = 1e-4
# Weights for one output channel that are solved for at most where the output's channels are in
# another order too.
MOST_SOLVED = 256
# Places that are held back from it, and the share of their energy that it may leave of them.
HELD_BACK = 4
EXACT = 1e-6


class ChannelOrderSearch:
    """Explanations with the input's channels permuted, and at most two other edits."""

    def __init__(self, search: Search, precisions: Sequence[PrecisionModel]) -> None:
        self.search = search
        self.precisions = precisions
        narrow = any(
            precision.operand_format is None and precision.rounding.stored_narrower
            for precision in precisions
        )
        self.noise = NARROW if narrow else 0.0
        self.looks = OrderViews(search)

    def level(self, edits: int) -> Iterator[Candidate]:
        """Candidates with so many edits, the permutation among them."""
        problem = self.search.problem
        if (
            not 1 <= edits <= 3
            or problem.spec.in_channels <= MAX_ENUMERATED_LENGTH
            or not np.isfinite(problem.obtained).all()
        ):
            return
        work = 0.0
        for look in itertools.islice(self.looks.level(edits - 1), MOST_LOOKS):
            work += self.looks.work(look)
            if work > MOST_WORK[edits]:
                return
            for member, kernel in self._likely(look):
                for form in member.forms:
                    if not is_channel_order(form):
                        yield from self._read(
                            look, member.at, kernel, form, TRIED_ALONE if edits == 1 else TRIED
                        )
            yield from self._both(look)

    def _likely(self, look: OrderView) -> list[tuple[OrderViewMember, KernelForm]]:
        """The kernels that go best with the output in any order of their channels."""
        kernels = [(member, form) for member in look.members for form in member.kernels.forms]
        least = LEAST_LIKELY if self.search.problem.spec.in_channels < MANY else 0
        if len(kernels) <= least:
            return kernels
        told = np.concatenate([self._going(look, member) for member in look.members])
        costs = np.concatenate(
            [member.kernels.costs + member.forms[0].cost for member in look.members]
        )
        # Of those that go as well the likelier first.
        order = np.lexsort((costs, -told.round(ALIKE))).tolist()
        return [
            kernels[number]
            for rank, number in enumerate(order[:LIKELY])
            if rank < least or told[number] > STANDS_OUT
        ]

    def _going(self, look: OrderView, member: OrderViewMember) -> Array:
        """How well each kernel of a member goes with the output: see `goes_with`."""
        spec, kernels = self.search.operations[member.at][0].spec, member.kernels
        met, values = self.looks.windows(look), self.looks.obtained(look)
        estimate = self.looks.once(
            ("estimate", id(met), id(values)), lambda: estimated(met, values, self.noise)
        )
        told = np.zeros(len(kernels.forms))
        channels = (
            np.linspace(0, spec.in_channels - 1, min(spec.in_channels, SAMPLED))
            .astype(int)
            .tolist()
        )
        for channel in channels:
            rows, outer = self.looks.once(
                (id(kernels), member.at, channel),
                lambda channel=channel: channel_of(kernels, channel, spec),  # type: ignore[misc]
            )
            told += goes_with(rows, estimate[outer])
        return told / len(channels)

    def _read(
        self, look: OrderView, at: int, kernel: KernelForm, form: OutputForm, most_tried: int
    ) -> Iterator[Candidate]:
        sums = self.looks.partial_sums(look, form)
        # What is read is up to a factor and constants: forms that leave the values as they are
        # share it.
        kind = None if sums.as_obtained else form.change
        met = self.looks.windows(look)
        free = sums.cut is None and not sums.counted
        weights = self.looks.once(id(kernel), lambda: dense_kernel(kernel))
        mixed = self.looks.once(
            ("mixed", id(met), free),
            lambda: mixed_places(met - met.mean(axis=0) if free else met, self.noise),
        )
        key = id(kernel), id(look.geometry), look.number, id(form.array), kind
        read = self.looks.once(
            key,
            lambda: order_of_channels(
                met, weights, sums.values, sums.cut, most_tried, sums.counted, mixed
            ),
        )
        if read is None or read[0] == sorted(read[0]):
            return
        yield from self._candidates(look, at, kernel, form, read[0])

    def _both(self, look: OrderView) -> Iterator[Candidate]:
        """With the output's channels in another order too, if there are places enough to solve for
        the kernel.
        """
        members = [
            (member, form)
            for member in look.members
            for form in member.forms
            if is_channel_order(form)
        ]
        if not members or look.unknowns(self.search.problem.spec.in_channels) > MOST_SOLVED:
            return
        places = self.looks.places(
            look, look.unknowns(self.search.problem.spec.in_channels) + 2 * HELD_BACK
        )
        kernel = solved(
            self.looks.windows(look, places),
            self.looks.obtained(look, places),
            HELD_BACK,
            max(self.noise, EXACT),
        )
        if kernel is None:
            return
        for member, form in members:
            for given in member.kernels.forms:
                order = both_orders(
                    self.looks.once(id(given), lambda given=given: dense_kernel(given)), kernel
                )  # type: ignore[misc]
                if order is not None and order != sorted(order):
                    yield from self._candidates(look, member.at, given, form, order)

    def _candidates(
        self, look: OrderView, at: int, kernel: KernelForm, form: OutputForm, order: list[int]
    ) -> Iterator[Candidate]:
        x = self.search.forms("inputs", at, 0)[0]
        order = in_place(
            order, self.looks.once(("alike", id(x)), lambda: alike(x.array.to_array(), axis=1))
        )
        if order == sorted(order):
            return
        made = _ordered(x, order, self.search.problem.spec.groups)
        geometry = look.geometry.form(look.number)
        for precision in self.precisions:
            yield Candidate(
                made,
                kernel,
                geometry,
                form,
                precision,
                made.cost + kernel.cost + geometry.cost + form.cost + precision.cost,
            )


def is_channel_order(form: OutputForm) -> bool:
    """Whether the form leaves the order of the output's channels open."""
    change = form.change
    return isinstance(change, OpenChange) and change.axis == CHANNEL_AXIS


def _ordered(x: InputForm, order: list[int], groups: int) -> InputForm:
    """The input with its channels in this order, by the name that it has."""
    edit, oddness = {"code": "input-channels-permuted", "permutation": order}, 0.4
    if order == sorted(order)[::-1]:
        edit, oddness = {"code": "input-channels-reversed"}, 0.05
    for dealt, odd, other in group_interleavings(len(order), groups, "input"):
        if order == other:
            edit, oddness = dealt, odd
    made: InputForm = x.plus(edit, oddness, array=x.array.select(1, order))
    return made
