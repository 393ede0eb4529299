"""A probe's outcome as JSON."""

from __future__ import annotations

from convdiff.probe.outcome import ProbeOutcome
from convdiff.probe.words import to_json
from convdiff.report.json_report import dumps


def render(outcome: ProbeOutcome) -> str:
    """Strict JSON: `found` is null where nothing was identified, and `known` then tells what is."""
    return dumps(
        {
            "schema": "convdiff/1",
            "probe": {
                "backend": outcome.backend,
                "version": outcome.version,
                "code": outcome.code,
                "questions": outcome.questions,
                "arrays": outcome.arrays,
                "found": to_json(outcome.found) if outcome.found else None,
                "known": outcome.known,
                "message": outcome.why or None,
                "agreeing": list(outcome.said),
                "differing": [
                    {"option": one.option, "given": one.given, "found": one.found}
                    for one in outcome.differences
                ],
            },
            "exit_code": outcome.exit_code,
            "command": outcome.command,
        }
    )
