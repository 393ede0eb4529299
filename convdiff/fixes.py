"""The fix of a finding: code that does the requested convolution, in each framework."""

from __future__ import annotations

from dataclasses import replace

from convdiff.diagnose.hypotheses.registry import by_code
from convdiff.dialects import DIALECTS, Unsupported, dialect_names, write
from convdiff.records import Finding, Row
from convdiff.spec.conv_spec import ConvSpec

# Words in the name of a saved output that tell which framework made it.
NAME_WORDS = {
    "tensorflow": ("tensorflow", "tf", "keras"),
    "torch": ("torch", "pytorch", "pt"),
    "jax": ("jax", "flax"),
    "theano": ("theano", "lasagne"),
    "numpy": ("numpy", "np"),
    "scipy": ("scipy", "ndimage"),
    "onnxruntime": ("onnxruntime", "onnx", "ort"),
}


def with_fixes(row: Row, spec: ConvSpec) -> Row:
    """`row` with code in the `fix` of every finding.

    The code is what `convdiff run` executes, so it is known to give the requested output: for the
    row's own framework where that is known, else for every framework.  Reduced precision is
    ascribed to the setting in force that causes it, and fixed by the line that switches it off.
    """
    row = replace(row, findings=tuple(_with_setting(finding, row) for finding in row.findings))
    if not any(map(_has_fix, row.findings)):
        return row
    own = _framework(row)
    code = {}
    for name in [own] if own else sorted(set(DIALECTS) - {"cudnn"}):
        try:
            code[name] = write(name, spec).body
        except Unsupported:
            continue
    findings = (
        replace(finding, fix=code) if _has_fix(finding) else finding for finding in row.findings
    )
    return replace(row, findings=tuple(findings))


def _has_fix(finding: Finding) -> bool:
    """Whether other code would help: not where a setting or the algorithm is to blame."""
    known = by_code()
    return not all(known[code].has_no_fix for code in finding.codes)


def _with_setting(finding: Finding, row: Row) -> Finding:
    """`finding` with a note on the setting that causes it, if one in force explains it."""
    precisions = {
        edit["obtained"]
        for edits in (finding.edits, *finding.rivals)
        for edit in edits
        if edit["code"] == "reduced-precision"
    }
    framework = _framework(row)
    if framework is None:
        return finding
    for lowered in row.answer.precision:
        if lowered.precision in precisions:
            note = f"caused by a setting: {lowered.setting}; to switch it off: {lowered.switch_off}"
            fix = {**finding.fix, framework: lowered.switch_off + "\n"}
            return replace(finding, notes=(*finding.notes, note), fix=fix)
    return finding


def _framework(row: Row) -> str | None:
    """The framework that made the row's output, by its backend or else by words in its name.

    None where neither tells ("output"), or where there is no dialect for the backend.
    """
    framework = row.answer.framework
    if framework is not None:
        return framework if framework in dialect_names() else None
    letters = (char if char.isalpha() else " " for char in row.answer.name.lower())
    words = set("".join(letters).split())
    return next((name for name, of in NAME_WORDS.items() if words.intersection(of)), None)
