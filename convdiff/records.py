"""The frozen records that flow through a run: what to compare, what each side answered, what was
found.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from convdiff.picture import Picture
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array

Kind = Literal["backend", "saved", "call"]
Status = Literal["ok", "unavailable", "unsupported", "failed", "crashed", "timeout"]
Verdict = Literal["identical", "rounding", "reduced-precision", "different", "incomparable"]

# One edit of a finding, as the contract's table of codes gives it: {"code": ..., and the code's own
# fields}.
Edit = dict[str, Any]


@dataclass(frozen=True)
class Stored:
    """An array and where it lies.

    `stored` is the name of its type on disk ("bfloat16" where the bytes are that, else numpy's
    name); a bfloat16 array is widened to float32 in `array`.  `path` and `key` (of an .npz) are
    None for an array given in memory.
    """

    array: Array
    stored: str
    path: Path | None = None
    key: str | None = None

    @property
    def name(self) -> str:
        """file.npy or file.npz:key, as the user wrote it; "array" for one in memory."""
        return (
            "array"
            if self.path is None
            else f"{self.path}:{self.key}"
            if self.key
            else str(self.path)
        )


@dataclass(frozen=True)
class Call:
    """Code of the user's own, to be run in a backend's environment: an expression or
    `path.py:function`.
    """

    backend: str
    code: str
    name: str


@dataclass(frozen=True)
class Case:
    """One comparison to make.  Saved outputs are in the spec's output layout, named; notes say what
    was inferred.
    """

    spec: ConvSpec
    input: Stored
    kernel: Stored
    bias: Stored | None = None
    saved: tuple[tuple[str, Stored], ...] = ()
    calls: tuple[Call, ...] = ()
    notes: tuple[str, ...] = ()
    name: str = "run"


@dataclass(frozen=True)
class Answer:
    """What one side gave: a backend through one of its paths, a saved output, or a call.

    `output` is in the spec's output layout where `status` is ok, else None and `message` says why.
    `aligned` are the words of what was done to the arrays on the way ("NHWC/HWIO", "kernel
    flipped", "padded by hand").  `again` is the output farthest from it where the same code, asked
    again, answered differently.  `precision` are the settings in force that lower it: what to
    ("tf32"), the setting, the line that switches it off.
    """

    name: str
    kind: Kind
    status: Status
    backend: str | None = None
    version: str | None = None
    path: str | None = None
    message: str | None = None
    seconds: float | None = None
    code: str | None = None
    aligned: tuple[str, ...] = ()
    output: Array | None = None
    stored: str | None = None
    again: Array | None = None
    precision: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True)
class ErrorStats:
    """How far an output is from the reference; `units` are multiples of u S (see
    convdiff.numerics.error_bound).
    """

    max_abs: float
    units: float
    terms: int
    differing: int
    elements: int
    worst: tuple[int, ...]
    obtained: float
    reference: float

    def to_dict(self) -> dict[str, object]:
        """The contract's `error` object."""
        return {**self.__dict__, "worst": list(self.worst)}


@dataclass(frozen=True)
class Finding:
    """How an output departs from what was asked: applied to the asked convolution, `edits`
    reproduce all of it.

    `rivals` are other edit lists, no simpler, that these arrays cannot tell from it.  `fix` is code
    by framework. `notes` are further sentences for the reader (what would tell the rivals apart,
    what else holds).
    """

    edits: tuple[Edit, ...]
    summary: str
    fix: dict[str, str] = field(default_factory=dict)
    rivals: tuple[tuple[Edit, ...], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of the edits, in their order."""
        return tuple(edit["code"] for edit in self.edits)

    def to_dict(self) -> dict[str, object]:
        """The contract's finding object."""
        return {
            "edits": list(self.edits),
            "summary": self.summary,
            "fix": self.fix,
            "rivals": [list(rival) for rival in self.rivals],
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Row:
    """An answer judged: one line of the table.  Verdict and error are None where there was no
    output to judge.

    `where` says in one phrase where it differs ("the border only", "channels 2 and 3").
    """

    answer: Answer
    verdict: Verdict | None = None
    error: ErrorStats | None = None
    findings: tuple[Finding, ...] = ()
    message: str | None = None
    where: str | None = None
    picture: Picture | None = None

    def to_dict(self) -> dict[str, object]:
        """The contract's row object."""
        answer = self.answer
        return {
            "name": answer.name,
            "kind": answer.kind,
            "backend": answer.backend,
            "version": answer.version,
            "path": answer.path,
            "status": answer.status,
            "message": self.message or answer.message,
            "seconds": answer.seconds,
            "code": answer.code,
            "aligned": list(answer.aligned),
            "verdict": self.verdict,
            "error": self.error.to_dict() if self.error else None,
            "where": self.where,
            "findings": [finding.to_dict() for finding in self.findings],
        }


@dataclass(frozen=True)
class Report:
    """Everything one run found."""

    case: Case
    rows: tuple[Row, ...]
    exit_code: int
    command: str
    reference_seconds: float | None = None

    def to_dict(self) -> dict[str, object]:
        """The contract's report object, schema convdiff/1."""
        return {
            "schema": "convdiff/1",
            "spec": self.case.spec.to_dict(),
            "notes": list(self.case.notes),
            "exit_code": self.exit_code,
            "command": self.command,
            "rows": [row.to_dict() for row in self.rows],
        }
