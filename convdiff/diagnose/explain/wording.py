"""The diagnosis in words: edits as one sentence, and what is known where no edits explain."""

from __future__ import annotations

from convdiff.diagnose.fit.other_weights import KernelDifference
from convdiff.diagnose.hypotheses.base import Edits
from convdiff.diagnose.hypotheses.registry import common_names, sentence
from convdiff.spec.conv_spec import ConvSpec

# The share of elements that are right as asked from which on it is worth saying.
MIN_REPORTED_SHARE = 0.01


def percent(share: float) -> str:
    """The share in percent; "100%" only if it is 1, and "less than 1%" for the smallest."""
    if share < 0.01:
        return "less than 1%"
    return "more than 99%" if 0.99 < share < 1 else f"{share:.0%}"


def clauses(edits: Edits) -> str:
    """The edits in one sentence."""
    sentences = [sentence(edit) for edit in edits]
    if len(sentences) == 1:
        return sentences[0]
    return ", ".join(sentences[:-1]) + "; and " + sentences[-1]


def summary(edits: Edits, spec: ConvSpec) -> str:
    """The edits in one sentence, with the names that people call them by; `spec` is as asked."""
    names = common_names(edits, spec)
    return clauses(edits) + (f" ({'; '.join(names)})" if names else "")


def other_weights(difference: KernelDifference, spec: ConvSpec) -> str:
    """How the weights that would explain the output differ from the given ones."""
    start = "it is a convolution of this geometry, but with other weights"
    if difference.weights:
        weights = "; ".join(
            f"[{', '.join(map(str, weight.index))}] is {weight.obtained:.4g} "
            f"instead of {weight.given:.4g}"
            for weight in difference.weights
        )
        axes = ", ".join(spec.axes)
        return f"{start}: yours, except that {weights} (output channel, input channel, {axes})"
    if difference.channel is not None:
        channel, factor = difference.channel, difference.channel.factor
        name = f"{channel.side} channel {channel.number}"
        change = (
            f"except in {name}" if factor is None else f"with {name} multiplied by {factor:.4g}"
        )
        return f"{start}: yours, {change}"
    return f"{start} than yours ({percent(difference.share)} of them differ)"


def nothing_explains(nearest: tuple[Edits, float] | None, agreeing: float) -> str:
    """That no edits explain the output, with the nearest miss and the share that it gives.

    `agreeing` is the share of elements that are right as asked.
    """
    start = "no combination of known mistakes gives these numbers"
    if nearest is None:
        return start
    edits, share = nearest
    asked = f" ({percent(agreeing)} as asked)" if agreeing >= MIN_REPORTED_SHARE else ""
    return f"{start}; the nearest miss, {clauses(edits)}, gives {percent(share)} of them{asked}"
