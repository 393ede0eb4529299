"""What the other side did: the simplest edits of the asked convolution that give its output.

This package starts no process and knows no framework.  Rooms, in the order in which they stand on
each other:

* `core`: what everything else is made of.  `problem` (the asked convolution, the arrays, what was
  obtained), `forms` (one hypothesised state of each stage of a convolution), `array_view` (an array
  read otherwise, without a copy), `output_change` (what was done to the sums, as objects that are
  asked) and `precision_model` (what the numbers may have been rounded to).
* `hypotheses`: one class for each way to go wrong, by stage; `base` says what a hypothesis owns,
  `registry` lists them all.
* `search`: forms multiplied out, and almost all combinations dismissed at a few sample points.
  `engine` combines, `geometry_table` lists strides, paddings and dilations, `products` multiplies,
  `intervals` and `filter` dismiss.
* `fit`: what is read off the output where it cannot be listed: an order of channels, a line per
  channel, overlap counts beside a constant, other weights.
* `explain`: equivalent explanations, the arrays that would tell rivals apart, and the words.

On top stand `schedule`, the order of the search as a literal list of stages; `proof`, which holds
the whole output against a candidate; and `diagnosis`, which asks for one after the other.

A wrong diagnosis is made in one of four places: no form says what happened (the stage's module in
`hypotheses`); the right combination is dismissed at a sample point (`search/filter.py`) or never
looked for (`schedule.STAGES`); the proof fails or fits too much (the change's `verify`); or another
explanation comes first (the forms' oddness).  CONTRIBUTING.md shows how to find out which.
"""

from convdiff.diagnose.core.precision_fit import best_model
from convdiff.diagnose.core.precision_model import PrecisionModel
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.diagnosis import Diagnosis, Explanation
from convdiff.diagnose.explain.wording import clauses
from convdiff.diagnose.schedule import MAX_EDITS

__all__ = [
    "MAX_EDITS",
    "Diagnosis",
    "Explanation",
    "PrecisionModel",
    "Problem",
    "best_model",
    "clauses",
]
