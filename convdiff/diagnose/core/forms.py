"""Forms: the hypothesized states of each stage of a convolution, which the search combines.

The stages are the operation (direct or transposed, number of groups), the input, the kernel, the
geometry (stride, padding, dilation, pad mode) and the output.  A form is one possible state of a
stage, with the edits that lead to it from the convolution that was asked for.  Hypotheses (see
`hypotheses.base`) make forms; the search (see `search.engine`) combines one form of each stage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from convdiff.diagnose.core.array_view import ArrayView
from convdiff.diagnose.core.output_change import UNCHANGED, OutputChange
from convdiff.records import Edit
from convdiff.spec.conv_spec import ConvSpec, Correlation
from convdiff.spec.pad_mode import PadMode
from convdiff.spec.pad_value import PadValue


@dataclass(frozen=True)
class Form:
    """A list of edits and its cost: 1 for each edit, plus its oddness, which is higher if rare."""

    edits: tuple[Edit, ...] = ()
    cost: float = 0.0

    def plus(self, edit: Edit, oddness: float, **changes: Any) -> Any:
        """This form with one more edit, of an oddness in [0, 1), and `changes` to other fields."""
        form = object.__new__(type(self))
        # Does what dataclasses.replace does in a tenth of its time: there are thousands of forms.
        form.__dict__.update(
            self.__dict__, edits=(*self.edits, edit), cost=self.cost + 1 + oddness, **changes
        )
        return form

    def has(self, code: str) -> bool:
        """Whether the form has an edit with this code."""
        return any(edit["code"] == code for edit in self.edits)


@dataclass(frozen=True)
class InputForm(Form):
    """The input (N, C, *space) as the other side may have read it."""

    array: ArrayView = None  # type: ignore[assignment]

    @property
    def size(self) -> tuple[int, ...]:
        """The spatial size."""
        return self.array.shape[2:]


@dataclass(frozen=True)
class OperationForm(Form):
    """The operation that may have been run: its spec, and its kernel in normal form.

    `raw_kernel` is the user's array, in the kernel layout of `spec`.  `regrouping` says how the
    kernel was adapted if `spec` has another number of groups than was asked for: see
    `hypotheses.operation.kernel_regrouping`.
    """

    spec: ConvSpec = None  # type: ignore[assignment]
    kernel: ArrayView = None  # type: ignore[assignment]
    raw_kernel: ArrayView = None  # type: ignore[assignment]
    regrouping: str | None = None


@dataclass(frozen=True)
class KernelForm(Form):
    """The kernel (O, I per group, *space) in normal form, which is slid without a flip.

    Its edits and its cost include those of its operation.
    """

    array: ArrayView = None  # type: ignore[assignment]
    operation: OperationForm = None  # type: ignore[assignment]

    @property
    def own_edits(self) -> tuple[Edit, ...]:
        """The edits of the kernel alone, without those of its operation."""
        return self.edits[len(self.operation.edits) :]

    @property
    def size(self) -> tuple[int, ...]:
        """The spatial size."""
        return self.array.shape[2:]


@dataclass(frozen=True)
class OutputForm(Form):
    """The obtained output read as (N, O, *space), and how the sums became its values.

    In this order: the bias was added `bias_factor` times; if `relu_before`, negative values were
    set to 0; the `change` was made; if `late_bias`, the bias was added once more.
    """

    array: ArrayView = None  # type: ignore[assignment]
    change: OutputChange = UNCHANGED
    bias_factor: int = 1
    relu_before: bool = False
    late_bias: bool = False

    @property
    def untouched(self) -> bool:
        """Whether the sums were left as they are, with the bias added once, but for a ReLU."""
        return self.change == UNCHANGED and self.bias_factor == 1 and not self.late_bias

    @property
    def size(self) -> tuple[int, ...]:
        """The spatial size."""
        return self.array.shape[2:]


@dataclass(frozen=True)
class AxisGeometry:
    """The geometry along one spatial axis.

    Output p reads tap k from index (p stride - lo + k dilation) of the dilated input, padded
    without end.  The numbers of a transposed convolution are those of its normal form; `stated` has
    (stride, lo, hi, output padding) as its user states them.
    """

    stride: int
    lo: int
    hi: int
    dilation: int
    input_dilation: int
    stated: tuple[int, int, int, int]


@dataclass(frozen=True)
class GeometryForm(Form):
    """One `AxisGeometry` per spatial axis, and the pad mode of all axes or of each.

    Constant padding holds `pad_value`.
    """

    axes: tuple[AxisGeometry, ...] = ()
    mode: PadMode = "constant"
    pad_value: PadValue = 0

    def correlation(self) -> Correlation:
        """The geometry as the reference takes it."""
        return Correlation(
            tuple(a.stride for a in self.axes),
            tuple((a.lo, a.hi) for a in self.axes),
            tuple(a.dilation for a in self.axes),
            tuple(a.input_dilation for a in self.axes),
            self.mode,
            self.pad_value,
        )
