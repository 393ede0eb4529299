"""What a probe found."""

from __future__ import annotations

from dataclasses import dataclass, field

from convdiff.probe.axis_roles import AxisRoles
from convdiff.probe.comparison import Epilogue
from convdiff.probe.trials import Trial
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.pad_mode import PadMode
from convdiff.spec.settings import Settings


@dataclass(frozen=True)
class Identified:
    """A convolution that reproduces every element of `trials`.

    `spec` is the convolution on the shapes that were called with first. `equivalents` are the
    settings that express it, the simplest first: all give the same on every trial. `pad_modes` are
    the modes that fit. `undetermined` are the properties that these arrays cannot show, each with
    the reason. `groups_follow_shapes` is whether the number of groups follows the channels of the
    arrays. `max_deviation` is the largest deviation of the trials, 0 if all are exact.
    `narrow_type` names a type narrower than float32 that fractions are rounded to, if there is one.
    """

    spec: ConvSpec
    roles: AxisRoles
    equivalents: tuple[Settings, ...]
    trials: tuple[Trial, ...]
    epilogue: Epilogue
    pad_modes: frozenset[PadMode]
    undetermined: dict[str, str]
    groups_follow_shapes: bool
    max_deviation: float
    narrow_type: str | None
    notes: tuple[str, ...] = ()

    @property
    def settings(self) -> Settings:
        """The simplest settings that express the convolution."""
        return self.equivalents[0]


@dataclass(frozen=True)
class OptionMismatch:
    """An option that was given, its value, and what the function does instead."""

    option: str
    given: str
    found: str


@dataclass(frozen=True)
class ProbeOutcome:
    """Everything one probe found.

    `calls` is the number of calls that the function answered, `arrays` says which arrays they were
    made with. `found` is None if no convolution was identified: then `reason` says why, and
    `properties` what is known of the function. `agreeing` are the given options that agree with
    what was found, `mismatches` those that do not.
    """

    backend: str
    version: str | None
    code: str
    command: str
    calls: int
    arrays: str
    found: Identified | None = None
    agreeing: tuple[str, ...] = ()
    mismatches: tuple[OptionMismatch, ...] = ()
    properties: dict[str, str] = field(default_factory=dict)
    reason: str = ""

    @property
    def exit_code(self) -> int:
        """0: identified; 1: identified, but given options do not agree; 2: not identified."""
        return 2 if self.found is None else 1 if self.mismatches else 0
