"""Manifests as they are written."""

from __future__ import annotations

import tomllib

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convdiff.manifest import manifest_text

NAMES = st.text(min_size=1, max_size=8)


VALUES = st.one_of(
    st.booleans(),
    st.integers(-9, 9),
    NAMES,
    st.lists(st.integers(), max_size=3),
    st.dictionaries(NAMES, NAMES, max_size=2),
)


# Generating the data may take long on a busy machine, which says nothing of the manifest.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.dictionaries(NAMES.filter(lambda name: name != "#"), VALUES, max_size=4),
        min_size=1,
        max_size=3,
    )
)
def test_what_is_written_is_read_back(cases: list[dict[str, object]]) -> None:
    assert tomllib.loads(manifest_text(cases))["case"] == cases
