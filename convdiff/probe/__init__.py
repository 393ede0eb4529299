"""Questions to a function: arrays made to reveal go in, and what comes out tells what convolution
it is.

1. Forms (`shapes`): shapes are tried until the function takes one.
2. Taps (`taps`, `gather`): under a kernel of one 1, place values come out as they were read; that
shows which axis is which
   (`roles`), and along each the stride, the dilation, the flip, where the border begins and what is read beyond (`geometry`).
3. Sayings (`description`, `rules`): that in the words of `convdiff run`, the padding as numbers or
as a rule that follows the sizes. 4. Trials (`trials`, `matching`): fresh calls in other sizes, of
which the reference must reproduce every element. 5. What was said is held against it (`checking`);
where nothing was recognised, what is known is told instead (`nature`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from convdiff.errors import ConvdiffError
from convdiff.probe.request import ProbeRequest

if TYPE_CHECKING:
    from convdiff.backends.environments import Environment
    from convdiff.probe.outcome import ProbeOutcome

__all__ = ["ProbeRequest", "probe"]


def probe(request: ProbeRequest) -> ProbeOutcome:
    """Question the function.

    Raises ConvdiffError where it cannot be asked: a name that is no backend's, code that does not
    run, options that fit nothing.
    """
    environment, code = _target(request.target)
    if not environment.usable:
        raise ConvdiffError(f"{environment.name}: {environment.reason}")
    from convdiff.backends.fleet import Fleet

    with Fleet([environment], timeout=request.timeout) as fleet:
        fleet.start()
        # From here on numpy is imported, while the worker imports its framework.
        from convdiff.probe.session import question

        return question(request, fleet, environment, code)


def _target(text: str) -> tuple[Environment, str]:
    from convdiff.backends.environments import find_environment

    match = re.fullmatch(r"([\w@.+-]+)=\s*(.*\S)\s*", text, re.DOTALL)
    if match is None:
        raise ConvdiffError(
            f"NAME=CODE: found {text!r}, expected a backend's name, then an expression or "
            "path.py:function: torch='...'"
        )
    return find_environment(match[1]), match[2]
