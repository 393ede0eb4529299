"""The names of common causes: what a padding, or a pair of edits, is called by those who make it."""

from __future__ import annotations

from convdiff.case import Edit
from convdiff.padding import Pair, reach, same_total, split
from convdiff.spec import ConvSpec


def notes(edits: tuple[Edit, ...], spec: ConvSpec) -> tuple[str, ...]:
    """Sentences that name the custom behind the edits, where they are one; `spec` is what was asked."""
    found = [_padding_note(edit, spec) for edit in edits if edit["code"] == "wrong-padding" and not spec.transposed]
    codes = {edit["code"] for edit in edits}
    if spec.transposed and "kernel-flipped" in codes:
        found.append("jax.lax.conv_transpose flips relative to torch and TensorFlow unless transpose_kernel=True")
    if any(edit["code"] == "wrong-pad-mode" and edit["obtained"] == "wrap" for edit in edits):
        found.append("circular: what a product of FFTs gives without zero padding")
    if any(edit["code"] == "wrong-dilation" and set(edit["obtained"]) == {d + 1 for d in edit["asked"]} for edit in edits):
        found.append("one more on every axis: oneDNN counts dilation from 0")
    return tuple(note for note in found if note)


def _padding_note(edit: Edit, spec: ConvSpec) -> str | None:
    asked, obtained = (tuple((lo, hi) for lo, hi in edit[side]) for side in ("asked", "obtained"))
    names = [padding_name(spec, pairs) for pairs in (asked, obtained)]
    words = [f"{name} pads {_short(pairs)}" for name, pairs in zip(names, (asked, obtained), strict=True) if name]
    return f"{', '.join(words)} here" if words else None


def _short(pairs: tuple[Pair, ...]) -> str:
    """(0,1) where every axis has it, else (0,1),(1,1)."""
    return ",".join(f"({lo},{hi})" for lo, hi in (pairs[:1] if len(set(pairs)) == 1 else pairs))


def padding_name(spec: ConvSpec, pairs: tuple[Pair, ...]) -> str | None:
    """Whose padding this is along every axis of `spec`: TensorFlow's SAME, torch's padding=p, causal, ...; None for nobody's."""
    axes = list(zip(spec.input_size, spec.kernel_size, spec.dilation, spec.stride, strict=True))
    spans = [reach(k, d) for _, k, d, _ in axes]
    totals = [same_total(n, span, s) for (n, _, _, s), span in zip(axes, spans, strict=True)]
    customs: list[tuple[str, list[Pair]]] = [
        ("TensorFlow's SAME", [split(total, odd_at_end=True) for total in totals]),
        ("ONNX's SAME_LOWER", [split(total, odd_at_end=False) for total in totals]),
        ("causal padding", [(span - 1, 0) for span in spans]),
        ("np.convolve's full", [(span - 1, span - 1) for span in spans]),
    ]
    if len(set(pairs)) == 1 and pairs[0][0] == pairs[0][1] and pairs[0][0] > 0:
        number = pairs[0][0]
        symmetric = f"torch's padding={number}"
        # Where SAME happens to be even it is also torch's; the plainer name wins unless the stride makes SAME special.
        return symmetric if max(spec.stride) > 1 or list(pairs) != customs[0][1] else customs[0][0]
    return next((name for name, made in customs if list(pairs) == made and any(side for pair in made for side in pair)), None)
