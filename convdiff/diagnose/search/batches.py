"""Combinations of forms with their values at the first sample points, ready to be filtered.

A `FormGroup` has the forms of one stage whose arrays have one shape.  A `Block` combines a group of
inputs, a table of geometries and a group of kernels; its products are the convolution's values for
all of these combinations.  A `Batch` has the values of several blocks laid end to end, so that they
are compared with the obtained values in a few NumPy calls however they are split into blocks.  A
combination is addressed by its flat number in the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from convdiff.diagnose.core.array_view import ArrayViewStack, open_mesh
from convdiff.diagnose.core.forms import InputForm, KernelForm, OutputForm
from convdiff.diagnose.core.operand_grid import GridRule, ValueGrid
from convdiff.diagnose.search.geometry_table import GeometryTable
from convdiff.diagnose.search.products import KernelRows, ProductTable
from convdiff.diagnose.search.windows import row_norms
from convdiff.spec.layout import Array

F = TypeVar("F", InputForm, KernelForm, OutputForm)


class FormGroup(Generic[F]):
    """Forms of one stage whose arrays have one shape."""

    def __init__(self, forms: Sequence[F]) -> None:
        self.forms: Sequence[F] = forms
        self.shape: tuple[int, ...] = forms[0].array.shape
        self._kernel_rows: dict[int, KernelRows] = {}
        self._grids: dict[tuple[GridRule, int], ValueGrid] = {}

    @cached_property
    def arrays(self) -> ArrayViewStack:
        """The arrays of the forms."""
        return ArrayViewStack([form.array for form in self.forms])

    @cached_property
    def costs(self) -> Array:
        """(forms,): the cost of each form."""
        return np.array([form.cost for form in self.forms])

    def kernel_rows(self, channel: int) -> KernelRows:
        """The weights of the kernels for one output channel; for groups of kernels only."""
        if channel not in self._kernel_rows:
            mesh = open_mesh([np.array([channel]), *map(np.arange, self.arrays.shape[1:])])
            rows = self.arrays.gather(*mesh).reshape(self.arrays.count, -1)
            self._kernel_rows[channel] = KernelRows(
                rows, row_norms(rows), np.abs(rows).max(axis=1, initial=0)
            )
        return self._kernel_rows[channel]

    def rows_on_grid(self, chosen: Array, channel: int, rule: GridRule) -> Array:
        """(n, terms): the chosen kernels' weights for one output channel, each on its grid."""
        numbers, place = np.unique(chosen, return_inverse=True)
        rows = self.kernel_rows(channel).values[numbers]
        for row, number in zip(rows, numbers.tolist(), strict=True):
            if (rule, number) not in self._grids:
                self._grids[rule, number] = rule.grid(self.forms[number].array.to_array())
            grid = self._grids[rule, number].only(channel)
            row[:] = grid.round(row.reshape(self.shape[1:])).reshape(-1)
        return np.asarray(rows[place])


class Combinations(NamedTuple):
    """Some combinations of one block: (n,) numbers of their inputs, geometries and kernels."""

    input: Array
    geometry: Array
    kernel: Array


@dataclass(frozen=True, eq=False)
class Block:
    """All combinations of some inputs, geometries and kernels, with their values at some points.

    The inputs have one shape, and so have the kernels.  The points are the first two sample points,
    or others of one output channel.
    """

    inputs: FormGroup[InputForm]
    geometry: GeometryTable
    kernels: FormGroup[KernelForm]
    products: ProductTable

    @property
    def size(self) -> int:
        """The number of combinations."""
        return self.products.combinations

    def costs(self, chosen: Combinations) -> Array:
        """(n,): the costs of some combinations, without that of an output form."""
        return np.asarray(
            self.inputs.costs[chosen.input]
            + self.kernels.costs[chosen.kernel]
            + self.geometry.costs[chosen.geometry]
        )


class Batch:
    """Blocks that are filtered together.

    Combination c of block b has the flat number starts[b] + c; `starts` has one more entry, the
    number of all combinations.
    """

    def __init__(self, blocks: list[Block]) -> None:
        self.blocks = blocks
        self.starts = np.cumsum([0, *(block.size for block in blocks)])

    @cached_property
    def values(self) -> Array:
        """(points, combinations): the convolution's values."""
        return np.concatenate(
            [
                block.products.values.reshape(len(block.products.values), -1)
                for block in self.blocks
            ],
            axis=1,
        )

    def split(self, flat: Array) -> list[tuple[Block, Array, Combinations]]:
        """The combinations with flat numbers `flat`, (n,), by block.

        Each entry has a block, which indices of `flat` are combinations of it, and these
        combinations.  Blocks without any are left out.
        """
        block_of = np.searchsorted(self.starts, flat, "right") - 1
        parts = []
        for number in np.unique(block_of).tolist():
            indices = np.flatnonzero(block_of == number)
            block = self.blocks[number]
            local = flat[indices] - self.starts[number]
            parts.append((block, indices, Combinations(*block.products.unravel(local))))
        return parts


def make_batches(blocks: Sequence[Block], size: int) -> list[Batch]:
    """The blocks, in order, in batches of at most `size` combinations each.

    A larger block makes a batch by itself.
    """
    batches: list[list[Block]] = [[]]
    room = size
    for block in blocks:
        if batches[-1] and block.size > room:
            batches.append([])
            room = size
        batches[-1].append(block)
        room -= block.size
    return [Batch(batch) for batch in batches if batch]
