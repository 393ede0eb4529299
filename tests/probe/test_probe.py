"""The target of a probe: a backend's name and code that runs in it."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Invoke, folder, invoke  # noqa: F401


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("numpy",), "expected a backend's name"),
        (("nump=input",), "did you mean numpy"),
        (("numpy=nonsense(input)",), "NameError"),
        (("numpy=input", "--padding", "sme"), "--padding"),
    ],
)
def test_a_target_that_cannot_be_probed(
    arguments: tuple[str, ...],
    message: str,
    invoke: Invoke,  # noqa: F811
) -> None:
    result = invoke("probe", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr, result.stderr
