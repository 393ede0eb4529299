"""The diagnosis in words: edits as one sentence, and what is known where no edits explain."""

from __future__ import annotations

from convdiff.diagnose.fit.other_weights import KernelDifference
from convdiff.diagnose.fit.tidy_kernel import TidyKernel
from convdiff.diagnose.hypotheses.base import Edits
from convdiff.diagnose.hypotheses.registry import common_names, sentence
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.layout import Array

# The share of elements that are right as asked from which on it is worth saying.
MIN_REPORTED_SHARE = 0.01
# The most weights of a filter that are all shown, and how many are of a larger one.
MAX_SHOWN_WEIGHTS, MAX_FIRST_WEIGHTS = 9, 4


def percent(share: float) -> str:
    """The share in percent; "100%" only if it is 1, and "less than 1%" for the smallest."""
    if share < 0.01:
        return "less than 1%"
    return "more than 99%" if 0.99 < share < 1 else f"{share:.0%}"


def clauses(edits: Edits) -> str:
    """The edits in one sentence."""
    return _joined_clauses([sentence(edit) for edit in edits])


def _joined_clauses(sentences: list[str]) -> str:
    if len(sentences) == 1:
        return sentences[0]
    return ", ".join(sentences[:-1]) + "; and " + sentences[-1]


def summary(edits: Edits, spec: ConvSpec) -> str:
    """The edits in one sentence, with the names that people call them by; `spec` is as asked."""
    named = common_names(edits, spec)
    sentences = []
    for edit, name in zip(edits, named, strict=True):
        sentences.append(sentence(edit) + (f" ({name})" if name else ""))
    return _joined_clauses(sentences)


def other_weights(difference: KernelDifference, spec: ConvSpec) -> str:
    """How the weights that would explain the output differ from the given ones."""
    start = "it is a convolution of this geometry, but with other weights"
    if difference.tidy is not None:
        return f"{start}: {_tidy_words(difference.tidy)}"
    if difference.weights:
        weights = "; ".join(
            f"[{', '.join(map(str, weight.index))}] is {weight.obtained:.4g} "
            f"instead of {weight.given:.4g}"
            for weight in difference.weights
        )
        axes = ", ".join(difference.weights[0].axes)
        return f"{start}: yours, except that {weights} ({axes})"
    count = _count_words(difference)
    if difference.zeros:
        mask = difference.mask
        masked = "" if mask is None else f", every filter's where this mask is 0: {_values(mask)}"
        return f"{start}: yours, except that {count} are 0{masked}"
    shown = _filter_words(difference)
    if difference.channel is not None:
        channel, factor = difference.channel, difference.channel.factor
        name = f"{channel.side} channel {channel.number}"
        if factor is not None:
            return f"{start}: yours, with {name} multiplied by {factor:.4g}"
        return f"{start}: yours, except in {name}; {shown}"
    by = f", by up to {difference.largest:.2g}" if difference.is_small else ""
    return f"{start} than yours ({count} differ{by}); {shown}"


def _count_words(difference: KernelDifference) -> str:
    """How many weights differ: "all 270", "81 of 270", "at least 81 of 270"."""
    differing, total = difference.differing, difference.total
    if differing == total:
        return f"all {total:,}"
    count = f"{differing:,} of {total:,}"
    return count if difference.is_exact else f"at least {count}"


def _tidy_words(tidy: TidyKernel) -> str:
    number = f"{tidy.number:.4g}"
    whole = "yours, rounded to whole numbers"
    return {
        "decimals": f"yours, rounded to {number} decimals" if tidy.number else whole,
        "bits": f"yours, rounded to multiples of 1/{2 ** int(tidy.number):,}",
        "toward-zero": "yours, cut to whole numbers (as by a cast to int)",
        "down": "yours, rounded down to whole numbers",
        "zero": f"yours, with zeros at {tidy.axis} index {number}",
        "constant": f"all of them are {number}",
        "limited": f"yours, limited to {tidy.limits[0]:.4g} .. {tidy.limits[1]:.4g}",
        "magnitudes": "yours, without their signs",
        "identity": "an identity, a single 1 in the middle of each channel's own filter",
    }[tidy.kind].replace(" 1 decimals", " 1 decimal")


def _filter_words(difference: KernelDifference) -> str:
    """The weights of one filter, as they are and as they were given."""
    output, input = difference.plane
    obtained, given = (_values(array) for array in (difference.obtained, difference.given))
    place = f"from input channel {input} to output channel {output} they are"
    if difference.total == difference.obtained.size:
        place = "they are"
    return f"{place} {obtained} instead of {given}"


def _values(array: Array) -> str:
    """An array as nested lists, or the first of its values where they are many."""
    if array.size > MAX_SHOWN_WEIGHTS:
        first = ", ".join(f"{value:.4g}" for value in array.flat[:MAX_FIRST_WEIGHTS])
        return f"{first}, ..."
    if array.ndim == 1:
        return f"[{', '.join(f'{value:.4g}' for value in array)}]"
    return f"[{', '.join(_values(part) for part in array)}]"


def nothing_explains(nearest: tuple[Edits, float] | None, agreeing: float) -> str:
    """That no edits explain the output, with the nearest miss and the share that it gives.

    `agreeing` is the share of elements that are right as asked.
    """
    start = "no combination of known mistakes that was tried gives these numbers"
    if nearest is None:
        return start
    edits, share = nearest
    asked = f" ({percent(agreeing)} as asked)" if agreeing >= MIN_REPORTED_SHARE else ""
    return f"{start}; the nearest miss, {clauses(edits)}, gives {percent(share)} of them{asked}"
