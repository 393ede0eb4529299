"""Which convolution a function computes, found by calling it with arrays made for the purpose.

The way of the data, in order:

1. `request`: `ProbeRequest`, the function and the options to check it against. `session` checks the
   options and runs the steps below with one worker; `function_caller` makes every call.
2. `shape_guesses`: pairs of shapes, tried until the function accepts one and is understood in it.
   `identification` goes through them.
3. `one_hot_calls`: calls with one-hot kernels (a single 1) and inputs of place values
   (`probe_arrays`). Each output element then shows which input element it read (`read_map`).
4. `axis_roles`: from the read maps, which axis of the arrays is which. `axis_geometry`: the stride,
   the dilations, the flip, the padding and the pad modes along each spatial axis.
5. `partial_settings`: that as `Settings`, directly and as a transposed convolution, the padding
   left open. `padding_rules` completes them: the same numbers in every size, or a padding word.
6. `trials`: fresh calls with random integers, also in other sizes. `comparison`: whether settings
   give the same outputs, with what follows the convolution (`Epilogue`: scale, bias, relu).
   `precision`: the type that a call with fractions shows.
7. `outcome`: `Identified`, or the reason why nothing was identified with the `function_properties`
   that are known instead. `given_options` checks what the user gave against what was found.
8. `outcome_text`, `outcome_table` and `outcome_json` show it.

Invariants: nothing is identified unless the reference reproduces every element of every trial.
Integers are small enough for exact sums, so any deviation above rounding is a contradiction. What
the calls cannot show is reported as undetermined or assumed, never guessed. One shape guess that is
not understood (`errors.NotUnderstood`) leads to the next; `errors.NotUnderstoodInAnyShape` ends the
search.
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
    """Call the function in its environment and identify the convolution that it computes.

    Raises ConvdiffError where it cannot be called: a name that is no backend's, code that does not
    run, options that fit no convolution.
    """
    environment, code = _target(request.target)
    if not environment.usable:
        raise ConvdiffError(f"{environment.name}: {environment.reason}")
    from convdiff.backends.fleet import Fleet

    with Fleet([environment], timeout=request.timeout) as fleet:
        fleet.start()
        # Imported late: numpy loads while the worker imports its framework.
        from convdiff.probe.session import run_probe

        return run_probe(request, fleet, environment, code)


def _target(text: str) -> tuple[Environment, str]:
    from convdiff.backends.environments import find_environment

    match = re.fullmatch(r"([\w@.+-]+)=\s*(.*\S)\s*", text, re.DOTALL)
    if match is None:
        raise ConvdiffError(
            f"NAME=CODE: found {text!r}, expected a backend's name, then an expression or "
            "path.py:function: torch='...'"
        )
    return find_environment(match[1]), match[2]
