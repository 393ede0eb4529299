"""Candidates whose input channels were in another order, alone or beside one or two other edits.

There are too many orders of more than `MAX_ENUMERATED_LENGTH` channels to be combined with
everything else. So the order is fitted to the output (see `channel_order`) under every likely
combination of a geometry, a kernel and an output form; such combinations with the same geometry and
output are an `OrderView`.  Fits are few because views come in the order of their geometry's score
(see `geometry_score`) until a budget is spent, and because only those kernels are tried that agree
with an estimate (see `kernel_estimate`).

If the output's channels are in an unknown order as well, the kernel is solved for, where there are
enough positions, and matched with the given one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from convdiff.diagnose.core.forms import InputForm, KernelForm, OutputForm
from convdiff.diagnose.core.precision_model import PrecisionModel
from convdiff.diagnose.fit.channel_order import (
    MAX_ENUMERATED_CHANNELS,
    fit_channel_order,
    identical_channels,
    settle_identical_channels,
    whiten_positions,
)
from convdiff.diagnose.fit.kernel_estimate import (
    estimate_agreement,
    estimate_kernel,
    matching_channel_order,
    solve_kernel,
)
from convdiff.diagnose.fit.order_views import (
    SCORE_DECIMALS,
    OrderView,
    OrderViewMember,
    OrderViews,
    channel_of,
    dense_kernel,
    is_channel_order,
)
from convdiff.diagnose.hypotheses.input import MAX_ENUMERATED_LENGTH, group_interleavings
from convdiff.diagnose.search.candidate import Candidate
from convdiff.diagnose.search.engine import Search
from convdiff.records import Edit
from convdiff.spec.layout import Array

# Channels up to which every order is tried if there is no other edit: 40,320 orders, of one view.
MAX_ENUMERATED_CHANNELS_ALONE = 8
# The budget for each number of edits: multiplications of all fits, and views that are fitted.  An
# order beside other edits is rarer, and is given less time.
MAX_MULTIPLICATIONS = {1: 4e8, 2: 4e7, 3: 4e7}
MAX_VIEWS_PER_LEVEL = 32
# Kernels of one view that the order is fitted under, and the agreement with the estimate (1 is
# chance) that they must have.
MAX_FITTED_KERNELS = 8
MIN_AGREEMENT = 1.25
# Input channels at which the agreement is computed.
AGREEMENT_CHANNELS = 6
# With fewer input channels the agreement is too noisy to exclude every kernel: then at least
# `MIN_FITTED_KERNELS` are fitted, however low theirs is.
MIN_CHANNELS_FOR_AGREEMENT = 16
MIN_FITTED_KERNELS = 2
# The share of an output's energy that storing it in 16 bits may add.
STORAGE_NOISE_16_BIT = 1e-4
# Weights of one output channel up to which the kernel is solved for: that costs their third power.
MAX_SOLVED_WEIGHTS = 256
# Positions that are held out of that, and the share of their energy that may be left there.
HELD_OUT_POSITIONS = 4
MAX_HELD_OUT_RESIDUAL = 1e-6


class ChannelOrderSearch:
    """The search for candidates with the input's channels permuted, and at most two other edits."""

    def __init__(self, search: Search, precisions: Sequence[PrecisionModel]) -> None:
        self.search = search
        self.precisions = precisions
        stored_narrow = any(
            not precision.rounds_operands and precision.rounding.stored_narrower
            for precision in precisions
        )
        self.noise = STORAGE_NOISE_16_BIT if stored_narrow else 0.0
        self.views = OrderViews(search)

    def level(self, edits: int) -> Iterator[Candidate]:
        """Yields candidates with `edits` edits, the permutation among them."""
        problem = self.search.problem
        if (
            not 1 <= edits <= 3
            or problem.spec.in_channels <= MAX_ENUMERATED_LENGTH
            or not np.isfinite(problem.obtained).all()
        ):
            return
        max_enumerated = MAX_ENUMERATED_CHANNELS_ALONE if edits == 1 else MAX_ENUMERATED_CHANNELS
        multiplications = 0.0
        for view in itertools.islice(self.views.level(edits - 1), MAX_VIEWS_PER_LEVEL):
            multiplications += self.views.work(view)
            if multiplications > MAX_MULTIPLICATIONS[edits]:
                return
            for member, kernel in self._likely_kernels(view):
                for form in member.forms:
                    if not is_channel_order(form):
                        yield from self._fitted(view, member.at, kernel, form, max_enumerated)
            yield from self._solved(view)

    def _likely_kernels(self, view: OrderView) -> list[tuple[OrderViewMember, KernelForm]]:
        """The kernels of a view that agree best with the output, whatever the order."""
        kernels = [(member, form) for member in view.members for form in member.kernels.forms]
        in_channels = self.search.problem.spec.in_channels
        least = MIN_FITTED_KERNELS if in_channels < MIN_CHANNELS_FOR_AGREEMENT else 0
        if len(kernels) <= least:
            return kernels
        agreement = np.concatenate([self._agreement(view, member) for member in view.members])
        costs = np.concatenate(
            [member.kernels.costs + member.forms[0].cost for member in view.members]
        )
        # Of kernels that agree equally the cheaper ones first.
        ranking = np.lexsort((costs, -agreement.round(SCORE_DECIMALS))).tolist()
        return [
            kernels[number]
            for rank, number in enumerate(ranking[:MAX_FITTED_KERNELS])
            if rank < least or agreement[number] > MIN_AGREEMENT
        ]

    def _agreement(self, view: OrderView, member: OrderViewMember) -> Array:
        """(kernels,): the mean `estimate_agreement` of each kernel of a member."""
        spec, kernels = self.search.forms.spec(member.at), member.kernels
        windows, values = self.views.windows(view), self.views.obtained(view)
        estimate = self.views.once(
            ("estimate", id(windows), id(values)),
            lambda: estimate_kernel(windows, values, self.noise),
        )
        count = min(spec.in_channels, AGREEMENT_CHANNELS)
        channels = np.linspace(0, spec.in_channels - 1, count).astype(int).tolist()
        agreement = np.zeros(len(kernels.forms))
        for channel in channels:
            rows, outputs = self.views.once(
                (id(kernels), member.at, channel), partial(channel_of, kernels, channel, spec)
            )
            agreement += estimate_agreement(rows, estimate[outputs])
        return agreement / len(channels)

    def _fitted(
        self, view: OrderView, at: int, kernel: KernelForm, form: OutputForm, max_enumerated: int
    ) -> Iterator[Candidate]:
        """Candidates with the order that fits the output best, if it fits."""
        sums = self.views.partial_sums(view, form)
        # Forms that leave the values as they are share one fit, which is up to a constant per
        # channel and a factor.
        kind = None if sums.as_obtained else form.change
        windows = self.views.windows(view)
        has_constants = sums.cut is None and not sums.counted
        weights = self.views.once(id(kernel), partial(dense_kernel, kernel))
        whitened = self.views.once(
            ("whitened", id(windows), has_constants),
            lambda: whiten_positions(
                windows - windows.mean(axis=0) if has_constants else windows, self.noise
            ),
        )
        fit = self.views.once(
            (id(kernel), id(view.geometry), view.number, id(form.array), kind),
            lambda: fit_channel_order(
                windows, weights, sums.values, sums.cut, max_enumerated, sums.counted, whitened
            ),
        )
        if fit is not None and fit[0] != sorted(fit[0]):
            yield from self._candidates(view, at, kernel, form, fit[0])

    def _solved(self, view: OrderView) -> Iterator[Candidate]:
        """Candidates with the output's channels in another order too.

        There are none unless the view has positions enough to solve for the kernel.
        """
        members = [
            (member, form)
            for member in view.members
            for form in member.forms
            if is_channel_order(form)
        ]
        unknowns = view.unknowns(self.search.problem.spec.in_channels)
        if not members or unknowns > MAX_SOLVED_WEIGHTS:
            return
        positions = self.views.positions(view, unknowns + 2 * HELD_OUT_POSITIONS)
        solved = solve_kernel(
            self.views.windows(view, positions),
            self.views.obtained(view, positions),
            HELD_OUT_POSITIONS,
            max(self.noise, MAX_HELD_OUT_RESIDUAL),
        )
        if solved is None:
            return
        for member, form in members:
            for kernel in member.kernels.forms:
                weights = self.views.once(id(kernel), partial(dense_kernel, kernel))
                order = matching_channel_order(weights, solved)
                if order is not None and order != sorted(order):
                    yield from self._candidates(view, member.at, kernel, form, order)

    def _candidates(
        self, view: OrderView, at: int, kernel: KernelForm, form: OutputForm, order: list[int]
    ) -> Iterator[Candidate]:
        """The candidates of all precisions for one order, unless only identical channels moved."""
        x = self.search.forms.inputs(at, 0)[0]
        identical = self.views.once(
            ("identical", id(x)), lambda: identical_channels(x.array.to_array(), axis=1)
        )
        order = settle_identical_channels(order, identical)
        if order == sorted(order):
            return
        permuted = _permuted_input(x, order, self.search.problem.spec.groups)
        geometry = view.geometry.form(view.number)
        cost = permuted.cost + kernel.cost + geometry.cost + form.cost
        for precision in self.precisions:
            yield Candidate(permuted, kernel, geometry, form, precision, cost + precision.cost)


def _permuted_input(x: InputForm, order: list[int], groups: int) -> InputForm:
    """The input with its channels in this order, as a reversal or interleaved groups if it is."""
    edit: Edit = {"code": "input-channels-permuted", "permutation": order}
    oddness = 0.4
    if order == sorted(order)[::-1]:
        edit, oddness = {"code": "input-channels-reversed"}, 0.05
    for interleaved, its_oddness, its_order in group_interleavings(len(order), groups, "input"):
        if order == its_order:
            edit, oddness = interleaved, its_oddness
    form: InputForm = x.plus(edit, oddness, array=x.array.select(1, order))
    return form
