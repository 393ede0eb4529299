"""What the other side did: the simplest set of edits of the asked convolution that gives what was
obtained.

This package starts no process and knows no framework.  Read it in this order: `forms` (what is
combined: the stages), `hypothesis` (what a hypothesis is, and how to add one) and its families
`operations`, `inputs`, `kernels`, `geometry`, `outputs`, `fitted` and `reduced`; then `placed`
(arrays read otherwise without a copy), `search`, `blocks` and `sieve` (how almost everything is
dismissed at a few elements), `making` (how the numbers may have been rounded), `ordered` with
`aligning`, `looks`, `estimating` and `ordering` (an order of channels, read off), `lines`,
`counted` and `affine` (factors and constants, read off), `turns` (in which order), `proof` (why
what is left is right) and `diagnosis` (what is told of it).
"""

from convdiff.diagnose.core.precision_fit import best_model
from convdiff.diagnose.core.precision_model import PrecisionModel
from convdiff.diagnose.core.problem import Problem
from convdiff.diagnose.diagnosis import MOST_EDITS, Diagnosis, Explanation, clauses

__all__ = [
    "MOST_EDITS",
    "Diagnosis",
    "Explanation",
    "PrecisionModel",
    "Problem",
    "best_model",
    "clauses",
]
