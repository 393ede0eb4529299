"""Many cases checked at once: `convdiff check MANIFEST...`, from manifests to a suite of results.

Framework workers start once and serve every case.  Comparing is done by as many processes as the
machine has cores, since the diagnosis is Python code.

The way of the data, by module:

1. `request`            what the user asked for -> CheckRequest
2. `cases`              the manifests' entries that are selected, each with the pipeline's request
                        or with what is wrong with it -> CheckCase
3. `suite`              the cases' way through workers and processes, results in the manifests'
                        order -> Suite
4. `framework_workers`  one fleet of workers for all cases; a case goes in, answers come out
5. `tasks`              what a comparing process does with one case, as data that can be pickled:
                        read, compare, diagnose -> Report without arrays
   (`compare_pool` owns the processes, `compare_worker` is what runs in them)
6. `exit_code`, `case_results`  a report under the case's `allow` -> CaseResult

With `--scheduler`, `cluster_client` takes the place of 4 and 5: it sends each case with its arrays
to a Dask cluster, where `cluster_worker` runs it (`cluster_imports` finds the user's modules that
have to go along).

`--write-manifest` is separate: `draft_manifest` drafts a manifest from a folder of arrays,
and `infer_settings` finds the settings that give the saved outputs.

Invariants: a case that cannot be checked is one result among the others, and no case can end the
check; memory holds the arrays of a few cases only; no process outlives the check.  `judge_factory`
is how a caller (`convdiff.port`) has cases judged by more than the reference; this package imports
none of its callers.
"""

from convdiff.check.request import CheckRequest
from convdiff.check.suite import check

__all__ = ["CheckRequest", "check"]
