"""The keys of a case are the options of `convdiff run`."""

from __future__ import annotations

from convdiff.manifest import keys
from convdiff.pipeline.request import Request
from convdiff.spec.settings import Settings


def test_every_option_of_run_is_a_key() -> None:
    others = {"settings", "command", "align", "calls", "pictures", "notes", "infer"}
    options = {name.rstrip("_") for name in Settings.names()} | {
        name for name in Request.__dataclass_fields__ if name not in others
    }
    assert options | {"name", "allow", "call", "no_align"} == set(keys.KEYS)
