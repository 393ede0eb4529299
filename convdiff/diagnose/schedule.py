"""What is searched, in which order: the stages of each number of edits, common causes first.

`Schedule.candidate_lists` goes through `STAGES` with one edit, then two, then three.  Each stage
gives lists of candidates that agree at the sample points, and the caller stops at the first list
with a proof.  So fewer edits come before more, and among equally many the commoner causes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from convdiff.diagnose.core.precision_fit import narrow_sum_models, operand_models
from convdiff.diagnose.core.precision_model import PrecisionModel
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.core.quantized_models import QuantizedModels
from convdiff.diagnose.fit.border_search import BorderSearch
from convdiff.diagnose.fit.channel_scale_search import ChannelScaleSearch
from convdiff.diagnose.fit.input_scale_search import InputScaleSearch
from convdiff.diagnose.fit.operand_scale_search import OperandScaleSearch
from convdiff.diagnose.fit.order_search import ChannelOrderSearch
from convdiff.diagnose.fit.overlap import overlap_candidates
from convdiff.diagnose.proof import prove
from convdiff.diagnose.search.candidate import Candidate
from convdiff.diagnose.search.engine import Search

# The most edits an explanation may have; with more, a story fits anything.
MAX_EDITS = 3
# The most edits beside sums that were kept in 16 bits, and beside an output that was printed.
MAX_EDITS_BESIDE_SUMS = 3
MAX_EDITS_BESIDE_PRINTING = 2
# The share of the obtained values that rounding operands to a few bits moves them by, at most.
MAX_QUANTIZATION_SHARE = 0.6
# Bits of evidence that an output must hold for 1, 2 and 3 edits, and for 3 edits beside rounded
# operands: slightly more than log2 of the number of combinations that are tried.
EVIDENCE_BITS = (0, 20, 27, 34)
# Bits of evidence for another geometry in an output whose size was not asked for.
OTHER_SIZE_BITS = 7

Candidates = list[Candidate]


@dataclass(frozen=True)
class Step:
    """One number of edits, for which all stages are gone through.

    `level` counts a rounded output as an edit, `edits` are the others.  `exhaustive` is set in the
    last step, where the output holds more bits than its edits need.  Without `narrow_sums`, sums
    that were kept in 16 bits are no explanation.
    """

    level: int
    edits: int
    exhaustive: bool
    narrow_sums: bool

    @property
    def full_precision(self) -> bool:
        """Whether the values show no rounding of the output."""
        return self.edits == self.level


@dataclass(frozen=True)
class Stage:
    """One kind of explanation: when it is looked for, and its candidates."""

    name: str
    applies: Callable[[Schedule, Step], bool]
    candidate_lists: Callable[[Schedule, Step], Iterable[Candidates]]


class Schedule:
    """The search for one problem, in all stages, with the precision models that are possible.

    `precisions` are those in which everything is searched: what was asked, or what the obtained
    values show (numbers that only a narrow type has were rounded to it).  The others are tried in
    stages of their own: `printed` outputs, `both_operands_rounded`, `one_operand_rounded` and
    `narrow_sums`.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.search = Search(problem)
        output_models = [
            precision for precision in problem.suggested_models if not precision.has_narrow_sums
        ]
        narrower = [
            m for m in output_models if m.rounding.stored_dtype != problem.rounding.stored_dtype
        ]
        self.precisions = narrower or [PrecisionModel(problem.rounding)]
        self.printed = [
            precision for precision in output_models if precision.rounding.decimal_error
        ]
        rounded = list(operand_models(problem))
        self.both_operands_rounded = [
            precision for precision in rounded if len(precision.rounded_operands) > 1
        ]
        self.one_operand_rounded = [
            precision for precision in rounded if len(precision.rounded_operands) == 1
        ]
        self.narrow_sums = list(narrow_sum_models(problem))
        self.input_scales = InputScaleSearch(self.search)
        # What lies on a grid of 8 bits was rounded to it, whatever the operands were.  The sums of
        # operands on such grids lie on a finer one.
        grid = problem.output_grid
        self.quantized = QuantizedModels(problem, grid if grid and grid.bits <= 8 else None)
        self.channel_scales = ChannelScaleSearch(self.search)
        self.border = BorderSearch(self.search)
        self.operand_scales = OperandScaleSearch(
            self.search, lambda candidate: prove(problem, candidate).holds
        )
        also_rounded = [] if self.precisions[0].edits else self.both_operands_rounded
        self.channel_orders = ChannelOrderSearch(self.search, [*self.precisions, *also_rounded])

    def candidate_lists(
        self, max_edits: int, *, narrow_sums: bool = True
    ) -> Iterator[tuple[int, Iterator[Candidates]]]:
        """For each number of edits up to `max_edits` the candidates of every stage.

        A rounded output that the values show comes on top of these edits.
        """
        believable = self.believable_edits()
        max_edits = min(max_edits, believable, MAX_EDITS)
        precision_edits = len(self.precisions[0].edits)
        last = max_edits + precision_edits
        for level in range(1, last + 1):
            exhaustive = level == last and believable > max_edits
            step = Step(level, level - precision_edits, exhaustive, narrow_sums)
            yield step.edits, self._lists_of(step)

    def lists_with(self, edits: int) -> Iterator[Candidates]:
        """The candidates of every stage with so many edits, 0 included."""
        if edits == 0:
            # What is right in full precision need not be rounded, though few numbers may look so.
            yield self.searched([PrecisionModel(self.problem.rounding)], 0)
            yield self.searched(self.precisions, 0)
            return
        if edits == 1:
            # What was printed, stored as whole numbers or in 16 bits may be right but for that.
            narrower = [each for each in self.precisions if each.edits]
            yield self.searched([*narrower, *self.printed], 0)
        level = edits + len(self.precisions[0].edits)
        yield from self._lists_of(Step(level, edits, exhaustive=False, narrow_sums=False))

    def border_lists(self, edits: int) -> Iterator[Candidates]:
        """The candidates with so many edits, one of which changes the border alone."""
        for precision in self.precisions:
            yield list(self.border.level(edits, precision))
        if 0 < edits - 1 <= MAX_EDITS_BESIDE_PRINTING:
            for precision in self.printed_beside(edits - 1):
                yield list(self.border.level(edits - 1, precision))

    def _lists_of(self, step: Step) -> Iterator[Candidates]:
        for stage in STAGES:
            if stage.applies(self, step):
                yield from stage.candidate_lists(self, step)

    def believable_edits(self) -> int:
        """How many edits the obtained values are evidence enough for."""
        other_size = self.problem.obtained.shape != self.problem.spec.shape("output")
        bits = self.problem.evidence_bits + OTHER_SIZE_BITS * other_size
        return sum(bits >= needed for needed in EVIDENCE_BITS)

    def printed_beside(self, edits: int) -> list[PrecisionModel]:
        """The models of a printed output, or one on a grid, that are looked for beside edits.

        An output that was rounded down is rare, and only looked for beside one.
        """
        return [each for each in self.printed if edits == 1 or not each.rounding.shift]

    def searched(
        self, precisions: Sequence[PrecisionModel], edits: int, *, stacked: bool = False
    ) -> Candidates:
        """The combinations of so many edits under each of these precision models."""
        return [
            candidate
            for precision in precisions
            for candidate in self.search.level(edits, [precision], stacked=stacked)
        ]


def _common(schedule: Schedule, step: Step) -> Iterable[Candidates]:
    found = schedule.searched(schedule.precisions, step.edits)
    if 1 < step.level <= MAX_EDITS_BESIDE_PRINTING + 1:
        found += schedule.searched(schedule.printed_beside(step.level - 1), step.level - 1)
    yield found


def _channel_scales(schedule: Schedule, step: Step) -> Iterable[Candidates]:
    scales = schedule.channel_scales
    yield [c for precision in schedule.precisions for c in scales.level(step.edits, precision)]
    if 1 < step.level <= MAX_EDITS_BESIDE_PRINTING + 1:
        others = step.level - 1
        for precision in schedule.printed_beside(others):
            yield list(scales.level(others, precision))


def _operand_scales(schedule: Schedule, step: Step) -> Iterable[Candidates]:
    scales = schedule.operand_scales
    yield [c for precision in schedule.precisions for c in scales.level(step.edits, precision)]


def _overlaps(schedule: Schedule, step: Step) -> Iterable[Candidates]:
    search = schedule.search
    yield [c for precision in schedule.precisions for c in overlap_candidates(search, precision)]


def _both_operands_rounded(schedule: Schedule, step: Step) -> Iterable[Candidates]:
    # One rounded operand is rarer, and each takes its time: only beside a single edit.
    alone = schedule.one_operand_rounded if step.level == 2 else []
    yield schedule.search.level(step.level - 1, [*schedule.both_operands_rounded, *alone])


def _quantized_operands(schedule: Schedule, step: Step) -> Iterable[Candidates]:
    models, others = schedule.quantized, step.level - 1
    is_near = others > 1 or schedule.search.asked_deviation <= MAX_QUANTIZATION_SHARE
    if others == 0:
        if not is_near:
            return
        groups = [models.alone, models.coarse]
    else:
        groups = [models.beside_an_edit if others == 1 else models.beside_edits]
    for group in groups:
        # Where rounding may explain the asked convolution, nothing beside it has to be wrong, but
        # for a ReLU, of which few sample points tell.
        may_be_alone = schedule.problem.obtained_range[0] != 0 and others > 0
        if group and not (may_be_alone and schedule.search.asked_may_agree(group[0])):
            yield schedule.search.level(others, group)
    yield list(schedule.input_scales.level(others, models))
    if others == 1 and is_near:
        yield list(schedule.border.beside_rounded_operands(models.alone))


def _narrow_sums(schedule: Schedule, step: Step) -> Iterable[Candidates]:
    for precision in schedule.narrow_sums:
        for edits in range(MAX_EDITS_BESIDE_SUMS + 1):
            yield schedule.search.level(edits, [precision])


# The order of the search.  A stage's batches are proven before the next stage is looked at.
STAGES: tuple[Stage, ...] = (
    Stage(
        "at most one edit of each part, two of the geometry",
        applies=lambda schedule, step: True,
        candidate_lists=_common,
    ),
    Stage(
        "the input's channels in any order, read off the output",
        applies=lambda schedule, step: True,
        candidate_lists=lambda schedule, step: [list(schedule.channel_orders.level(step.edits))],
    ),
    Stage(
        "two edits of the input, the kernel or the output",
        applies=lambda schedule, step: step.edits > 1,
        candidate_lists=lambda schedule, step: [
            schedule.searched(schedule.precisions, step.edits, stacked=True)
        ],
    ),
    Stage(
        "two edits of the output's values beside another one",
        applies=lambda schedule, step: step.edits == 3,
        candidate_lists=lambda schedule, step: [
            [c for m in schedule.precisions for c in schedule.search.value_pairs(step.edits, m)]
        ],
    ),
    Stage(
        "other numbers than zero in the padding, or averages at the border",
        applies=lambda schedule, step: True,
        candidate_lists=lambda schedule, step: schedule.border_lists(step.edits),
    ),
    Stage(
        "output channels scaled and shifted",
        applies=lambda schedule, step: True,
        candidate_lists=_channel_scales,
    ),
    Stage(
        "input or kernel scaled and shifted",
        applies=lambda schedule, step: step.full_precision or step.edits == 1,
        candidate_lists=_operand_scales,
    ),
    Stage(
        "overlap counts beside a constant or a factor",
        applies=lambda schedule, step: step.edits == 2,
        candidate_lists=_overlaps,
    ),
    Stage(
        "operands on grids of a few bits, beside one edit less",
        applies=lambda schedule, step: step.full_precision and schedule.quantized.possible,
        candidate_lists=_quantized_operands,
    ),
    Stage(
        "rounded operands, beside one edit less",
        applies=lambda schedule, step: (
            step.full_precision and step.level > 1 and bool(schedule.both_operands_rounded)
        ),
        candidate_lists=_both_operands_rounded,
    ),
    Stage(
        "rounded operands, beside two edits of the input or the kernel",
        applies=lambda schedule, step: (
            step.full_precision and step.level > 2 and bool(schedule.both_operands_rounded)
        ),
        candidate_lists=lambda schedule, step: [
            schedule.search.level(step.level - 1, schedule.both_operands_rounded, stacked=True)
        ],
    ),
    Stage(
        "rounded operands, beside as many edits",
        applies=lambda schedule, step: (
            step.full_precision and step.exhaustive and bool(schedule.both_operands_rounded)
        ),
        candidate_lists=lambda schedule, step: [
            schedule.search.level(step.level, schedule.both_operands_rounded)
        ],
    ),
    Stage(
        "sums kept in 16 bits",
        applies=lambda schedule, step: step.exhaustive and step.narrow_sums,
        candidate_lists=_narrow_sums,
    ),
)
