"""The row of a port's layer: what its judge knows of the weights travels in it as data."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from convdiff.records import Row

# The part that the relation of the port's weights to the source's plays in a row.  "explains": it
# is the whole explanation.  "precedes": the output has a fault besides, stated by the row's first
# finding or its message.  "follows": it adds to the row's first finding.
WeightsRole = Literal["explains", "precedes", "follows"]


@dataclass(frozen=True)
class PortRow(Row):
    """A judged row; `weights_role` is None where the port's weights play no part in it.

    The relation itself is known to the host, which words both.
    """

    weights_role: WeightsRole | None = None

    @staticmethod
    def of(row: Row, weights_role: WeightsRole, **changes: Any) -> PortRow:
        """The row with a role for the weights, and with these fields changed."""
        values = {field.name: getattr(row, field.name) for field in fields(Row)}
        return replace(PortRow(**values, weights_role=weights_role), **changes)
