"""The records that pass through a run: the case to compare, the answers, their rows, the report.

All are frozen.  Findings are data (codes with fields); `convdiff.report` words them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from convdiff.picture import Picture
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array

AnswerKind = Literal["backend", "saved", "call"]
Status = Literal["ok", "unavailable", "unsupported", "failed", "crashed", "timeout"]
Verdict = Literal["identical", "rounding", "reduced-precision", "different", "incomparable"]

# One edit of a finding: {"code": ..., and the fields of that code}.
Edit = dict[str, Any]


def without_complex(value: object) -> Any:
    """`value`, of JSON's types, with each complex number in it as [real part, imaginary part]."""
    if isinstance(value, complex):
        return [value.real, value.imag]
    if isinstance(value, dict):
        return {key: without_complex(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_complex(item) for item in value]
    return value


@dataclass(frozen=True)
class Stored:
    """An array with its type on disk and the file it comes from.

    `stored` names the type on disk: "bfloat16", or numpy's name.  numpy has no bfloat16, so `array`
    then holds the values widened to float32.  `path` is None for an array given in memory, `key`
    for a file that is not an .npz.
    """

    array: Array
    stored: str
    path: Path | None = None
    key: str | None = None

    @property
    def name(self) -> str:
        """file.npy or file.npz:key, as the user wrote it; "array" for one in memory."""
        if self.path is None:
            return "array"
        return f"{self.path}:{self.key}" if self.key else str(self.path)


@dataclass(frozen=True)
class Call:
    """The user's code, run in a backend's environment: an expression or `path.py:function`."""

    backend: str
    code: str
    name: str


@dataclass(frozen=True)
class Case:
    """One comparison to make: a convolution, its arrays, and what to compare with it.

    `saved` are (name, array) pairs in the spec's output layout.  `notes` are sentences for the
    reader, such as which layouts were inferred.  `other_specs` are the convolutions, by name, of
    saved outputs that were read as outputs of another one.
    """

    spec: ConvSpec
    input: Stored
    kernel: Stored
    bias: Stored | None = None
    saved: tuple[tuple[str, Stored], ...] = ()
    calls: tuple[Call, ...] = ()
    notes: tuple[str, ...] = ()
    name: str = "run"
    other_specs: tuple[tuple[str, ConvSpec], ...] = ()


class PrecisionSetting(NamedTuple):
    """A framework's setting that lowers the precision of float32 convolutions.

    `precision` is what it lowers to ("tf32"), `setting` names it with its value, and `switch_off`
    is the line of code that restores full precision.
    """

    precision: str
    setting: str
    switch_off: str


@dataclass(frozen=True)
class Answer:
    """The output of a backend, of a call or of a saved file, or the reason why there is none.

    `backend` is the environment's name ("torch", "torch@1.13"), None for a saved output.  `output`
    is in the spec's output layout where `status` is "ok", else None, and `message` says why.
    `aligned` lists what was done to the arrays to suit the framework ("NHWC/HWIO", "kernel
    flipped", "padded by hand").  Where repeated runs gave different outputs, `again` is the one
    farthest from `output`.  `precision` are the settings in force that lower the precision.
    """

    name: str
    kind: AnswerKind
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
    precision: tuple[PrecisionSetting, ...] = ()

    @property
    def framework(self) -> str | None:
        """The backend without the environment's version: "torch" for "torch@1.13"."""
        return None if self.backend is None else self.backend.partition("@")[0]


@dataclass(frozen=True)
class ErrorStats:
    """How far an output is from the reference.

    `max_abs` is the largest absolute error, and `units` the largest in rounding units (multiples of
    u S, see `convdiff.numerics.error_bound`).  `terms` is the number of terms that an element sums;
    rounding explains about as many units.  Of the `elements`, `differing` exceed the bound.
    `worst` is the index of the element with the largest absolute error of those that differ (of the
    most units if none does), with the values `obtained` and `reference`.
    """

    max_abs: float
    units: float
    terms: int
    differing: int
    elements: int
    worst: tuple[int, ...]
    obtained: float | complex
    reference: float | complex

    def to_dict(self) -> dict[str, object]:
        """The JSON object `error` of a row."""
        return {**without_complex(self.__dict__)}


@dataclass(frozen=True)
class Finding:
    """An explanation that fits: `edits` to the requested convolution that reproduce every element.

    `summary` words the edits.  `rivals` are other lists of edits, no simpler, that reproduce the
    output as well.  `fix` is code for the requested convolution, by framework.  `notes` are further
    sentences for the reader, such as which arrays would tell the rivals apart.  `options` are the
    settings, by name, with which the output would agree; none where no settings ask for the edits.
    """

    edits: tuple[Edit, ...]
    summary: str
    fix: dict[str, str] = field(default_factory=dict)
    rivals: tuple[tuple[Edit, ...], ...] = ()
    notes: tuple[str, ...] = ()
    options: dict[str, object] = field(default_factory=dict)

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of the edits, in order."""
        return tuple(edit["code"] for edit in self.edits)

    def to_dict(self) -> dict[str, object]:
        """The JSON object of a finding."""
        return {
            "edits": without_complex(list(self.edits)),
            "summary": self.summary,
            "fix": self.fix,
            "rivals": without_complex([list(rival) for rival in self.rivals]),
            "notes": list(self.notes),
            "options": self.options,
        }


@dataclass(frozen=True)
class Row:
    """An answer with its verdict: one line of the table.

    `verdict` and `error` are None where there is no output to judge.  `message` is what is known of
    an output without a finding.  `where` is a phrase that says where it differs ("the border only",
    "channels 2 and 3").
    """

    answer: Answer
    verdict: Verdict | None = None
    error: ErrorStats | None = None
    findings: tuple[Finding, ...] = ()
    message: str | None = None
    where: str | None = None
    picture: Picture | None = None

    def to_dict(self) -> dict[str, object]:
        """The JSON object of a row."""
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


class OutputGroup(NamedTuple):
    """Outputs, by the names of their rows, each two of which have the same relation.

    "identical": the same bit for bit; "rounding": the same up to rounding; "different": neither.
    """

    relation: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """The outcome of one run: its case, a row for each answer, and the exit code.

    `command` repeats the run; `reference_seconds` is how long the reference took.  `groups` say how
    the outputs compare with each other.
    """

    case: Case
    rows: tuple[Row, ...]
    exit_code: int
    command: str
    reference_seconds: float | None = None
    groups: tuple[OutputGroup, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """The JSON object of a report, schema convdiff/1."""
        return {
            "schema": "convdiff/1",
            "spec": self.case.spec.to_dict(),
            "notes": list(self.case.notes),
            "exit_code": self.exit_code,
            "command": self.command,
            "rows": [row.to_dict() for row in self.rows],
            "groups": [
                {"relation": group.relation, "rows": list(group.names)} for group in self.groups
            ],
        }
