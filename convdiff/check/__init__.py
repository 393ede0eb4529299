"""Many cases, checked: manifests to a suite of reports.

Framework workers start once and serve every case; the comparing is done by as many processes of our
own as the machine has cores. Read in this order: `request` (what was asked), `entries` (a
manifest's case to the pipeline's request), `suite` (the order of things), `tasks` (what a comparing
process does for one case), `comparers` (the processes), `ending` (a case's exit code).
"""

from convdiff.check.request import CheckRequest
from convdiff.check.suite import check

__all__ = ["CheckRequest", "check"]
