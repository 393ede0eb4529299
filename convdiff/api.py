"""The Python interface: compare one array with the reference, in this process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from convdiff.arrays import compute_dtype, from_memory, notes
from convdiff.errors import ConvdiffError, one_of
from convdiff.exit_codes import FAIL_ON, exit_code
from convdiff.fixes import with_fixes
from convdiff.records import Answer, Case, Finding, Report, Row, Verdict
from convdiff.spec.infer_spec import bias_vector, read_spec
from convdiff.spec.settings import Settings
from convdiff.suite_result import AGREEING, passes
from convdiff.verdict.degenerate_arrays import blind_spots
from convdiff.verdict.judge import Judge

# What an assertion fails for unless it is told: the mildest verdict that is no agreement.
STRICT = "reduced-precision"


@dataclass(frozen=True)
class Result:
    """One array held against the reference."""

    case: Case
    row: Row

    @property
    def verdict(self) -> Verdict:
        """identical, rounding, reduced-precision, different or incomparable."""
        assert self.row.verdict is not None
        return self.row.verdict

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the other side did, simplest first; empty where it agrees or nothing explains it."""
        return self.row.findings

    @property
    def agrees(self) -> bool:
        """Whether rounding in the asked type explains every element."""
        return self.verdict in AGREEING

    def to_dict(self) -> dict[str, object]:
        """The row object of the contract's JSON."""
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
    """Compare `obtained` with the convolution of `input` and `kernel`, and say what made it differ.

    `input`, `kernel`, `obtained` and `bias` (one value per output channel) are arrays, or what
    np.asarray takes; `options` are those of `convdiff run`: stride, padding, dilation, groups,
    transposed, input_layout, ..., and `as_` (or "as"). Raises ConvdiffError where the shapes and
    options make no convolution.
    """
    if not isinstance(name, str):
        raise ConvdiffError(f"name: found {name!r}, expected a word")
    settings = Settings.from_mapping(options)
    x, w, y = (
        from_memory(input, "input"),
        from_memory(kernel, "kernel"),
        from_memory(obtained, "obtained", any_shape=True),
    )
    b = None if bias is None else from_memory(bias, "bias")
    dtype = compute_dtype(x, w, settings.dtype)
    spec, read_notes = read_spec(
        x.array.shape, w.array.shape, settings, bias=b is not None, dtype=dtype
    )
    if b is not None:
        b = replace(b, array=bias_vector(b.array, spec, "bias"))
    spots = blind_spots(spec, x.array, w.array)
    case = Case(
        spec,
        x,
        w,
        b,
        ((name, y),),
        notes=(*read_notes, *notes(x, "input"), *notes(w, "kernel"), *spots),
    )
    answer = Answer(name, "saved", "ok", output=y.array, stored=y.stored)
    return Result(case, Judge(case).row(answer))


def assert_agrees(
    input: Any,
    kernel: Any,
    obtained: Any,
    *,
    bias: Any = None,
    fail_on: str = STRICT,
    allow: str | Sequence[str] = (),
    **options: Any,
) -> None:
    """Raise AssertionError with the diagnosis unless rounding explains every element; takes what
    `diff` takes.

    `fail_on` is the mildest verdict that fails ("different" lets reduced precision pass, "rounding"
    only what is identical), and `allow` are the codes of findings that do not.
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
