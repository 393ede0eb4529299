"""The Python interface: compares one array with the reference, in this process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from convdiff.arrays import compute_dtype, from_memory, nonfinite_notes
from convdiff.diagnose.trace import trace as trace_lines
from convdiff.errors import ConvdiffError, one_of
from convdiff.exit_codes import FAIL_ON, exit_code
from convdiff.fixes import with_fixes
from convdiff.records import Answer, Case, Finding, Report, Row, Verdict
from convdiff.spec.infer_spec import bias_vector
from convdiff.spec.settings import Settings
from convdiff.suite_result import AGREEING, passes
from convdiff.verdict.degenerate_arrays import blind_spots
from convdiff.verdict.infer_question import infer_question
from convdiff.verdict.judge import Judge

# The mildest verdict that `assert_agrees` fails on by default.
DEFAULT_FAIL_ON = "reduced-precision"


@dataclass(frozen=True)
class Result:
    """The comparison of one array with the reference."""

    case: Case
    row: Row

    @property
    def verdict(self) -> Verdict:
        """identical, rounding, reduced-precision, different or incomparable."""
        assert self.row.verdict is not None
        return self.row.verdict

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the other side did instead, simplest first; empty if it agrees or is unexplained."""
        return self.row.findings

    @property
    def agrees(self) -> bool:
        """Whether rounding in the asked precision explains every element."""
        return self.verdict in AGREEING

    def to_dict(self) -> dict[str, object]:
        """The row as in the JSON report."""
        return with_fixes(self.row, self.case.spec).to_dict()

    def __str__(self) -> str:
        from convdiff.report.run_report import render

        row = with_fixes(self.row, self.case.spec)
        return render(
            Report(self.case, (row,), 0 if self.agrees else 1, "convdiff.diff"),
            width=100,
            color=False,
        )


def diff(
    input: Any,
    kernel: Any,
    obtained: Any,
    *,
    bias: Any = None,
    name: str = "obtained",
    **options: Any,
) -> Result:
    """Compares `obtained` with the convolution of `input` and `kernel`, and diagnoses a difference.

    `input`, `kernel`, `obtained` and `bias` (one value per output channel) are arrays, or anything
    that np.asarray accepts.  `options` are those of `convdiff run`: stride, padding, dilation,
    groups, transposed, input_layout, ..., and `as_` (or "as").  `name` is that of `obtained` in the
    result.  Where no padding is given, and `obtained` has not the size that the default gives, it
    tells the padding, stride and layouts that are asked for, and a note of the case says so; give
    padding=0 to ask for none, and stride=1.  Raises ConvdiffError if shapes and options make no
    convolution.
    """
    case, answer = _case(input, kernel, obtained, bias, name, options)
    return Result(case, Judge(case).row(answer))


def trace(
    input: Any,
    kernel: Any,
    obtained: Any,
    codes: Sequence[str],
    *,
    bias: Any = None,
    **options: Any,
) -> str:
    """Where the explanation with these codes was lost, as text for developers of convdiff.

    The other parameters are those of `diff`.  See `convdiff.diagnose.trace`.
    """
    case, answer = _case(input, kernel, obtained, bias, "obtained", options)
    return "\n".join(trace_lines(Judge(case).problem(answer), codes))


def _case(
    input: Any, kernel: Any, obtained: Any, bias: Any, name: str, options: dict[str, Any]
) -> tuple[Case, Answer]:
    """The arrays as a case with one saved output, and that output as an answer."""
    if not isinstance(name, str):
        raise ConvdiffError(f"name: found {name!r}, expected a string")
    settings = Settings.from_mapping(options)
    x, w, y = (
        from_memory(input, "input"),
        from_memory(kernel, "kernel"),
        from_memory(obtained, "obtained", any_shape=True),
    )
    b = None if bias is None else from_memory(bias, "bias")
    dtype = compute_dtype(x, w, settings.dtype, b)
    question = infer_question(x, w, b, settings, ((name, y),), dtype)
    spec = question.spec
    if question.exchanged:
        x, w = w, x
    w = question.kernel or w
    if b is not None:
        b = replace(b, array=bias_vector(b.array, spec, "bias"))
    array_notes = (
        *nonfinite_notes(x, "input"),
        *nonfinite_notes(w, "kernel"),
        *blind_spots(spec, x.array, w.array),
    )
    case = Case(spec, x, w, b, saved=((name, y),), notes=(*question.notes, *array_notes))
    answer = Answer(name, "saved", "ok", output=y.array, stored=y.stored)
    return case, answer


def assert_agrees(
    input: Any,
    kernel: Any,
    obtained: Any,
    *,
    bias: Any = None,
    fail_on: str = DEFAULT_FAIL_ON,
    allow: str | Sequence[str] = (),
    **options: Any,
) -> None:
    """Raises AssertionError with the diagnosis unless rounding explains every element.

    Takes the arguments of `diff`, and like it reads a padding that is not given off `obtained`:
    give padding=0 to assert that there is none.  `fail_on` is the mildest verdict that fails:
    "different" accepts reduced precision, "rounding" accepts only identical outputs.  `allow` are
    the codes of findings that do not fail.
    """
    __tracebackhide__ = True
    if fail_on not in FAIL_ON:
        raise one_of("fail_on", fail_on, FAIL_ON)
    result = diff(input, kernel, obtained, bias=bias, **options)
    allowed = (allow,) if isinstance(allow, str) else tuple(allow)
    if exit_code([result.row], require=(), fail_on=fail_on) and not (
        result.findings and passes(result.row, allowed)
    ):
        raise AssertionError(str(result))
