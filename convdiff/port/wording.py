"""The sentences of the port check; everything else in the package passes data."""

from __future__ import annotations

import math
from collections.abc import Mapping

from convdiff.port.external_padding import ExternalPadding, ExternalPaddings
from convdiff.port.folded_norm import OwnFoldSuspected, SuspectedFold
from convdiff.port.input_faults import FaultKind, InputFault
from convdiff.port.layer_outcome import Divergence
from convdiff.port.layer_pair import PairedBy
from convdiff.port.own_weights import BiasRelation, KernelRelation, WeightDifference, WeightRelation
from convdiff.report.suite_words import cause
from convdiff.spec.conv_spec import pairs_text
from convdiff.suite_result import CaseResult, InputAgreement

PAIRED_BY: Mapping[PairedBy, str] = {
    "name": "name",
    "kernel": "kernel",
    "rounded kernel": "kernel, rounded",
    "scaled kernel": "kernel, scaled by channel",
    "order": "order",
}
INPUT_FAULTS: Mapping[FaultKind, str] = {
    "relu missing": "a ReLU is missing, or another activation stands in its place",
    "relu6 missing": "a ReLU6 is missing, or another activation stands in its place",
    "relu added": "it went through a ReLU, and the source's did not",
    "clip at 6 added": "it is clipped at 6, and the source's is not",
    "clip at 6 missing": "the clip at 6 is missing",
    "channels reversed": "it is the source's with channels reversed",
    "axis reversed": "it is the source's, reversed along {axis}",
    "last axes exchanged": "it is the source's with the last two axes exchanged",
    "reshaped to channels last": (
        "it is the source's, reshaped instead of transposed from channels first to last"
    ),
    "reshaped to channels first": (
        "it is the source's, reshaped instead of transposed from channels last to first"
    ),
    "scaled": "it is the source's × {factor:.6g}",
    "channels scaled": "each channel is scaled and shifted, as by a different normalization",
}
# Factors that have a name, and how far (as a share) one may be from it.
NAMED_FACTORS = {1 / 255: "1/255", 255.0: "255", 1 / 127.5: "1/127.5", 127.5: "127.5"}
FACTOR_TOLERANCE = 1e-4

WRONG_ITSELF = "the layer itself is wrong: its input agrees with the source's"


def paired(port_name: str, paired_by: PairedBy) -> str:
    """Says that a layer was paired with one of another name."""
    return f"paired with {port_name} by {PAIRED_BY[paired_by]}"


def external_paddings(paddings: ExternalPaddings | None) -> list[str]:
    """Which sides pad in a layer of their own, and how."""
    if paddings is None:
        return []
    sides = {"source": paddings.source, "port": paddings.port}
    return [
        f"the {side} pads in a separate layer ({_padding(padding)})"
        for side, padding in sides.items()
        if padding.exists
    ]


def distance(agreement: InputAgreement) -> str:
    """How two arrays differ, as it stands in parentheses after "differs"."""
    share = agreement.distance
    if share is None:
        return "another shape"
    if not math.isfinite(share):
        return "NaN or infinite"
    if share < 0.01:
        return f"by {share * 100:.2g}%, where rounding explains {agreement.limit * 100:.1g}%"
    return f"by {share:.1%}" if share < 0.1 else f"by {share:.0%}"


def differing_input(agreement: InputAgreement, correct: bool) -> str:
    """Says that a layer's input differs, and whether the layer itself is correct."""
    itself = "correct, but" if correct else "wrong, and"
    return f"{itself} its input already differs ({distance(agreement)})"


def doubt(suspected: SuspectedFold) -> str:
    """Which folded normalization may explain what differs."""
    if not isinstance(suspected, OwnFoldSuspected):
        names = " or ".join(suspected.layers)
        return f"look for a normalization that is folded wrongly into {names}"
    shown = (
        "the models' outputs differ"
        if suspected.shown_by is None
        else f"the input of {suspected.shown_by} after it differs"
    )
    difference = distance(suspected.agreement)
    return f"a normalization may be folded into its kernel, but {shown} ({difference})"


def weights(relation: WeightRelation) -> str:
    """How the port's weights differ from the source's."""
    if relation.kernel.kind == "equal":
        assert relation.bias is not None
        return f"the port's {_bias(relation.bias)}"
    kernel = _kernel(relation.kernel)
    return f"{kernel}; its {_bias(relation.bias)}" if relation.bias else kernel


def weights_and_finding(sentence: str, summary: str) -> str:
    """The sentence on the port's weights, and a fault besides."""
    return f"{sentence}; and {summary}"


def finding_and_weights(sentence: str, summary: str) -> str:
    """A fault, and the sentence on the port's weights that adds to it."""
    return f"{summary}: {sentence}"


def weights_and_message(sentence: str, message: str | None) -> str:
    """The sentence on the port's weights, with what is said of an unexplained output."""
    return f"{sentence}; {message}" if message else sentence


def divergence(found: Divergence) -> str:
    """The first layer that diverges, and why."""
    outcome = found.outcome
    where = (
        f"the first layer that diverges is {outcome.result.name}, convolution {found.number} of "
        f"{found.total}"
    )
    if outcome.agreement.same:
        return f"{where}: {_causes(outcome.result)}"
    fault = f": {_input_fault(found.fault)}" if found.fault else ""
    if outcome.plan.doubt is not None:
        advice = doubt(outcome.plan.doubt)
    elif found.after is not None:
        advice = f"look after {found.after}, which is correct"
    else:
        advice = "look before the first convolution"
    itself = (
        "the layer itself is correct"
        if outcome.correct
        else f"the layer itself is wrong too: {_causes(outcome.result)}"
    )
    difference = f"its input already differs ({distance(outcome.agreement)}{fault})"
    return f"{where}: {difference}, so {advice}; {itself}"


def missing_layer(name: str) -> str:
    """Says that the port does not have a layer of the source."""
    return f"{name} of the source has no counterpart in the port"


def extra_layer(name: str) -> str:
    """Says that the source does not have a layer of the port."""
    return f"{name} of the port has no counterpart in the source"


def unconfirmed_fold(name: str) -> str:
    """Says that nothing shows whether the last layer's fold is right."""
    return (
        f"{name}: nothing recorded after it shows whether the normalization is folded in correctly"
    )


def differing_outputs(
    agreement: InputAgreement, outputs_doubt: SuspectedFold | None, last: str
) -> str:
    """Says that the models' outputs differ though every layer passes; `last` is the last layer."""
    advice = doubt(outputs_doubt) if outputs_doubt else f"look after {last}"
    return (
        f"every convolution is correct, but the models' outputs differ ({distance(agreement)}): "
        f"{advice}"
    )


def _causes(result: CaseResult) -> str:
    """Why a layer fails by itself."""
    if result.trouble:
        return result.trouble
    return "; ".join(dict.fromkeys(map(cause, result.failing))) or "it could not be checked"


def _padding(padding: ExternalPadding) -> str:
    mode = f", {padding.mode}" if padding.mode != "constant" else ""
    return pairs_text(padding.pairs) + mode


def _input_fault(fault: InputFault) -> str:
    text = INPUT_FAULTS[fault.kind].format(axis=fault.axis, factor=fault.factor)
    if fault.kind == "channels reversed" and fault.channels == 3:
        return f"{text} (RGB/BGR)"
    if fault.kind == "scaled":
        for value, name in NAMED_FACTORS.items():
            if abs(fault.factor / value - 1) < FACTOR_TOLERANCE:
                return f"{text} ({name})"
    return text


def _kernel(kernel: KernelRelation) -> str:
    match kernel.kind:
        case "reordered":
            return "the port's kernel has the source's weights in another order"
        case "folded":
            return "a normalization is folded into the port's kernel"
        case "folded and flipped":
            return "a normalization is folded into the port's kernel, which is flipped"
        case "rounded":
            return f"the port's kernel is the source's, rounded to {_precision(kernel.rounded_to)}"
        case "another layer's":
            return f"the port's kernel is that of {kernel.layer}"
    assert kernel.difference is not None
    return f"the port's kernel has different weights ({_difference(kernel.difference)})"


def _bias(bias: BiasRelation) -> str:
    """What the port's bias is, as what follows "its"."""
    match bias.kind:
        case "missing":
            return "bias is missing"
        case "added":
            return "bias was added, the source has none"
        case "rounded":
            return f"bias is the source's, rounded to {_precision(bias.rounded_to)}"
        case "zeros":
            return "bias is all zeros (never loaded?)"
        case "another layer's":
            return f"bias is that of {bias.layer}"
    assert bias.difference is not None
    return f"bias is different ({_difference(bias.difference)})"


def _precision(rounded_to: str | int) -> str:
    if isinstance(rounded_to, str):
        return rounded_to
    return f"{rounded_to} decimal{'s' if rounded_to > 1 else ''}"


def _difference(difference: WeightDifference) -> str:
    return f"{difference.count:,} of {difference.total:,} differ, by up to {difference.largest:.4g}"
