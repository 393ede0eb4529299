"""The units the search combines: one hypothesised state of each stage of a convolution.

The stages are the operation (direct or transposed, how many groups), the input, the kernel, the
geometry (stride, padding, dilation, pad mode) and the output.  A form is one way that stage may
have been, with the edits that lead to it from what was asked.  A hypothesis (see `hypothesis.py`)
makes forms; the search (see `search.py`) multiplies them out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from convdiff.diagnose.core.array_view import ArrayView
from convdiff.diagnose.core.output_change import UNCHANGED, OutputChange
from convdiff.records import Edit
from convdiff.spec.conv_spec import ConvSpec, Correlation


@dataclass(frozen=True)
class Form:
    """Edits with their costs: 1 for each edit, and a little more the less common it is."""

    edits: tuple[Edit, ...] = ()
    cost: float = 0.0

    def plus(self, edit: Edit, oddness: float, **changes: Any) -> Any:
        """This form with one more edit, `oddness` in [0, 1), and `changes` to its other fields."""
        made = object.__new__(type(self))
        # As dataclasses.replace does, at a tenth of its cost: forms are made by the thousand.
        made.__dict__.update(
            self.__dict__, edits=(*self.edits, edit), cost=self.cost + 1 + oddness, **changes
        )
        return made

    def has(self, code: str) -> bool:
        """Whether an edit of this code is already in it."""
        return any(edit["code"] == code for edit in self.edits)


@dataclass(frozen=True)
class InputForm(Form):
    """An input (N, C, *space) as the other side may have read it."""

    array: ArrayView = None  # type: ignore[assignment]

    @property
    def size(self) -> tuple[int, ...]:
        """Its spatial size."""
        return self.array.shape[2:]


@dataclass(frozen=True)
class OperationForm(Form):
    """A whole reading of what operation was run: its spec (numbers only), and its kernel in normal
    form.

    `regroup` names how the kernel for the asked groups was made one for this spec's groups (see
    `operations.py`); `raw_kernel` is the user's array, in the spec's kernel layout.
    """

    spec: ConvSpec = None  # type: ignore[assignment]
    kernel: ArrayView = None  # type: ignore[assignment]
    raw_kernel: ArrayView = None  # type: ignore[assignment]
    regroup: str | None = None


@dataclass(frozen=True)
class KernelForm(Form):
    """A kernel (O, I per group, *space), in the normal form that is slid without flipping, of one
    operation.

    Its edits and cost are the operation's and its own.
    """

    array: ArrayView = None  # type: ignore[assignment]
    operation: OperationForm = None  # type: ignore[assignment]

    @property
    def own_edits(self) -> tuple[Edit, ...]:
        """What was done to the kernel besides."""
        return self.edits[len(self.operation.edits) :]

    @property
    def size(self) -> tuple[int, ...]:
        """Its spatial size."""
        return self.array.shape[2:]


@dataclass(frozen=True)
class OutputForm(Form):
    """The obtained output read as (N, O, *space), and what was done to the sums before it.

    In the order in which it happened: the bias was added `bias_factor` times, then, with
    `relu_before`, negative values were set to 0, the `change` was made, with `relu_after` negative
    values were set to 0, and with `late_bias` the bias was added once more.
    """

    array: ArrayView = None  # type: ignore[assignment]
    change: OutputChange = UNCHANGED
    bias_factor: int = 1
    relu_before: bool = False
    relu_after: bool = False
    late_bias: bool = False

    @property
    def untouched(self) -> bool:
        """Whether nothing was done to the values, and the bias was added as asked."""
        return self.change == UNCHANGED and self.bias_factor == 1 and not self.late_bias

    @property
    def size(self) -> tuple[int, ...]:
        """Its spatial size."""
        return self.array.shape[2:]


@dataclass(frozen=True)
class AxisGeometry:
    """One axis: output p meets tap k at index (p stride - lo + k dilation) of the dilated,
    endlessly padded input.

    Of a transposed convolution these are the numbers of its normal form, and `said` holds (stride,
    lo, hi, output padding) as its user would say them.
    """

    stride: int
    lo: int
    hi: int
    dilation: int
    input_dilation: int
    said: tuple[int, int, int, int]


@dataclass(frozen=True)
class GeometryForm(Form):
    """One `AxisGeometry` per axis, and how the padding is filled."""

    axes: tuple[AxisGeometry, ...] = ()
    mode: str = "constant"

    def correlation(self) -> Correlation:
        """The geometry in the form that the reference takes."""
        return Correlation(
            tuple(a.stride for a in self.axes),
            tuple((a.lo, a.hi) for a in self.axes),
            tuple(a.dilation for a in self.axes),
            tuple(a.input_dilation for a in self.axes),
            self.mode,
        )
