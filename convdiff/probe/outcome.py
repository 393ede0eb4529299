"""What a probe came to."""

from __future__ import annotations

from dataclasses import dataclass, field

from convdiff.probe.comparison import After
from convdiff.probe.roles import Roles
from convdiff.probe.trials import Trial
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.settings import Settings


@dataclass(frozen=True)
class Identified:
    """A convolution that reproduces every element of `trials`.

    `spec` is it on the shapes that were asked first.  `sayings` are the settings that say it, equal
    on all trials, the simplest first.  `modes` are the pad modes that fit, `untold` the properties
    that these arrays cannot show, each with the reason. `by_shapes` is whether the groups follow
    the arrays' channels.  `worst` is the largest deviation, 0 where every element is exact;
    `digits` names the narrower type that values with a fraction come back in, if one was seen.
    """

    spec: ConvSpec
    roles: Roles
    sayings: tuple[Settings, ...]
    trials: tuple[Trial, ...]
    after: After
    modes: frozenset[str]
    untold: dict[str, str]
    by_shapes: bool
    worst: float
    digits: str | None
    notes: tuple[str, ...] = ()

    @property
    def settings(self) -> Settings:
        """The simplest way to say it."""
        return self.sayings[0]


@dataclass(frozen=True)
class Difference:
    """An option that was given, and what the function does instead."""

    option: str
    given: str
    found: str


@dataclass(frozen=True)
class ProbeOutcome:
    """Everything one probe found: the convolution, or, where there is none, what is known instead."""

    backend: str
    version: str | None
    code: str
    command: str
    questions: int
    arrays: str
    found: Identified | None = None
    said: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    known: dict[str, str] = field(default_factory=dict)
    why: str = ""

    @property
    def exit_code(self) -> int:
        """0: identified; 1: it is not what was said; 2: not identified."""
        return 2 if self.found is None else 1 if self.differences else 0
