"""The outcome of a probe as JSON."""

from __future__ import annotations

import numpy as np

from convdiff.probe.outcome import Identified, ProbeOutcome
from convdiff.probe.outcome_text import options
from convdiff.report.json_report import dumps
from convdiff.spec.pad_mode import pad_mode_entry, pad_mode_text


def render(outcome: ProbeOutcome) -> str:
    """Strict JSON of the outcome.

    `found` is null where no convolution was identified; `known` then has the properties.
    """
    return dumps(
        {
            "schema": "convdiff/1",
            "probe": {
                "backend": outcome.backend,
                "version": outcome.version,
                "code": outcome.code,
                "questions": outcome.calls,
                "arrays": outcome.arrays,
                "found": _identified(outcome.found) if outcome.found else None,
                "known": outcome.properties,
                "message": outcome.reason or None,
                "agreeing": list(outcome.agreeing),
                "differing": [
                    {
                        "option": mismatch.option,
                        "given": mismatch.given,
                        "found": mismatch.found,
                    }
                    for mismatch in outcome.mismatches
                ],
            },
            "exit_code": outcome.exit_code,
            "command": outcome.command,
        }
    )


def _identified(found: Identified) -> dict[str, object]:
    spec, epilogue = found.spec, found.epilogue
    constants = np.atleast_1d(epilogue.added) if np.any(epilogue.added) else None
    bias = "given" if epilogue.adds_bias else "none" if constants is None else "own"
    return {
        **spec.to_dict(),
        "flip": None if "flip" in found.undetermined else spec.flip,
        "dilation": None if "dilation" in found.undetermined else list(spec.dilation),
        "padding_rule": found.settings.padding if isinstance(found.settings.padding, str) else None,
        "pad_modes": [*map(pad_mode_entry, sorted(found.pad_modes, key=pad_mode_text))],
        "supposed_axes": sorted(found.roles.assumed),
        "groups_follow_the_shapes": found.groups_follow_shapes,
        "bias": bias,
        "own_bias": None if constants is None else constants.tolist(),
        "factor": epilogue.factor,
        "linear": epilogue.negative_slope == 1,
        "negative_slope": epilogue.negative_slope,
        "depends_on_kernel": True,
        "deterministic": all(trial.deterministic for trial in found.trials),
        "precision": found.narrow_type or "full",
        "options": " ".join(options(found)),
        "calls": len(found.trials),
        "elements": sum(trial.output.size for trial in found.trials),
        "worst": found.max_deviation,
        "notes": list(found.notes),
    }
