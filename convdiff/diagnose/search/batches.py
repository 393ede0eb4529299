"""Products at the first two points, of everything with so many edits, and flat: the values that
outputs are matched with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from convdiff.diagnose.core.array_view import ArrayViewStack, open_mesh
from convdiff.diagnose.core.forms import InputForm, KernelForm, OutputForm
from convdiff.diagnose.search.geometry_table import GeometryTable
from convdiff.diagnose.search.products import KernelRows, ProductTable
from convdiff.diagnose.search.windows import row_norms
from convdiff.spec.layout import Array

F = TypeVar("F", InputForm, KernelForm, OutputForm)


class FormGroup(Generic[F]):
    """Forms of one stage and one shape, looked up together."""

    def __init__(self, forms: Sequence[F]) -> None:
        self.forms: Sequence[F] = forms
        self.shape: tuple[int, ...] = forms[0].array.shape
        self._rows: dict[int, KernelRows] = {}

    @cached_property
    def arrays(self) -> ArrayViewStack:
        """Their arrays."""
        return ArrayViewStack([form.array for form in self.forms])

    @cached_property
    def costs(self) -> Array:
        """What each costs."""
        return np.array([form.cost for form in self.forms])

    def kernel_rows(self, channel: int) -> KernelRows:
        """Of kernels: (kernels, terms) at one output channel."""
        if channel not in self._rows:
            axes = open_mesh([np.array([channel]), *map(np.arange, self.arrays.shape[1:])])
            rows = self.arrays.gather(*axes).reshape(self.arrays.count, -1)
            self._rows[channel] = KernelRows(
                rows, row_norms(rows), np.abs(rows).max(axis=1, initial=0)
            )
        return self._rows[channel]


class Combinations(NamedTuple):
    """Single combinations of a block: numbers of an input, a geometry and a kernel for each."""

    input: Array
    geometry: Array
    kernel: Array


@dataclass(frozen=True, eq=False)
class Block:
    """Inputs of one shape under some geometries with kernels of one shape: their products at the
    first two points.
    """

    inputs: FormGroup[InputForm]
    geometry: GeometryTable
    kernels: FormGroup[KernelForm]
    products: ProductTable

    @property
    def size(self) -> int:
        """The number of combinations."""
        return self.products.combinations

    def costs(self, of: Combinations) -> Array:
        """What combinations cost, without an output."""
        return np.asarray(
            self.inputs.costs[of.input]
            + self.kernels.costs[of.kernel]
            + self.geometry.costs[of.geometry]
        )


class Batch:
    """Blocks that are matched in one go."""

    def __init__(self, blocks: list[Block]) -> None:
        self.blocks = blocks
        self.starts = np.cumsum([0, *(block.size for block in blocks)])

    @cached_property
    def values(self) -> Array:
        """(points, combinations): all values."""
        return np.concatenate(
            [
                block.products.values.reshape(len(block.products.values), -1)
                for block in self.blocks
            ],
            axis=1,
        )

    def split(self, flat: Array) -> list[tuple[Block, Array, Combinations]]:
        """The blocks that have any of these combinations, the places of theirs in `flat`, and which
        they are.
        """
        owner = np.searchsorted(self.starts, flat, "right") - 1
        found = []
        for number in np.unique(owner).tolist():
            at = np.flatnonzero(owner == number)
            block = self.blocks[number]
            found.append(
                (block, at, Combinations(*block.products.unravel(flat[at] - self.starts[number])))
            )
        return found


def make_batches(blocks: Sequence[Block], size: int) -> list[Batch]:
    """The blocks in batches of about `size` combinations."""
    batches: list[list[Block]] = [[]]
    room = size
    for block in blocks:
        if batches[-1] and block.size > room:
            batches.append([])
            room = size
        batches[-1].append(block)
        room -= block.size
    return [Batch(batch) for batch in batches if batch]
