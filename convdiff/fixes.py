"""The fix for a finding as code: the asked convolution, written as each framework has it."""

from __future__ import annotations

from dataclasses import replace

from convdiff.dialects import DIALECTS, Unsupported, dialect_names, write
from convdiff.records import Finding, Row
from convdiff.spec.conv_spec import ConvSpec

# The call is right: a setting decides.
NO_FIX = {"reduced-precision", "not-deterministic"}


def with_fixes(row: Row, spec: ConvSpec) -> Row:
    """`row` with code in every finding's `fix`: for its own framework where that is known, else for
    every one here.

    The code is what `convdiff run` executes for that framework, so that it is known to give what
    was asked.  Where a setting in force explains reduced precision, it is told, and the fix is the
    line that switches it off.
    """
    row = replace(row, findings=tuple(_by_setting(finding, row) for finding in row.findings))
    if all(NO_FIX.issuperset(finding.codes) for finding in row.findings):
        return row
    named = _framework(row)
    code = {}
    for name in [named] if named else sorted(set(DIALECTS) - {"cudnn"}):
        try:
            code[name] = write(name, spec).body
        except Unsupported:
            continue
    findings = (
        finding if NO_FIX.issuperset(finding.codes) else replace(finding, fix=code)
        for finding in row.findings
    )
    return replace(row, findings=tuple(findings))


def _by_setting(finding: Finding, row: Row) -> Finding:
    """The finding with the setting that decided it, if it is reduced precision and one in force
    does that.
    """
    narrow = {
        str(edit["obtained"]).split()[0]
        for edits in (finding.edits, *finding.rivals)
        for edit in edits
        if edit["code"] == "reduced-precision"
    }
    named = _framework(row)
    for to, setting, off in row.answer.precision if named else ():
        if to in narrow and named is not None:
            note = f"decided by a setting: {setting}; to switch it off: {off}"
            return replace(
                finding, notes=(*finding.notes, note), fix={**finding.fix, named: off + "\n"}
            )
    return finding


def _framework(row: Row) -> str | None:
    """The framework that made the row, if it says so itself or its name does ("torch", "tf-port",
    "y_jax").
    """
    if row.answer.backend:
        return (
            row.answer.backend.split("@")[0]
            if row.answer.backend.split("@")[0] in dialect_names()
            else None
        )
    name = row.answer.name.lower()
    words = {
        "tensorflow": ("tensorflow", "tf", "keras"),
        "torch": ("torch", "pytorch", "pt"),
        "jax": ("jax", "flax"),
        "theano": ("theano", "lasagne"),
        "numpy": ("numpy", "np"),
        "scipy": ("scipy", "ndimage"),
        "onnxruntime": ("onnxruntime", "onnx", "ort"),
    }
    parts = set("".join(c if c.isalpha() else " " for c in name).split())
    return next((framework for framework, known in words.items() if parts & set(known)), None)
