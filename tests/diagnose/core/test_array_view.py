"""Array views hold what NumPy gives for the same operations, however the array lies in memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convdiff.diagnose.core import array_view
from convdiff.diagnose.core.array_view import ArrayView, ArrayViewStack, open_mesh

IN_MEMORY = {
    "as it is": lambda a: a,
    "transposed": lambda a: a.T,
    "reversed": lambda a: a[::-1, :, ::-1],
    "every second": lambda a: a[:, ::2],
    "broadcast": lambda a: np.broadcast_to(a[:1], a.shape),
    "in Fortran order": np.asfortranarray,
}


@pytest.mark.parametrize("name", IN_MEMORY)
@pytest.mark.parametrize("max_gathered", [0, array_view.MAX_GATHERED_ELEMENTS])
def test_a_view_of_an_array_is_that_array(
    name: str, max_gathered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(27)
    monkeypatch.setattr(array_view, "MAX_GATHERED_ELEMENTS", max_gathered)
    array = IN_MEMORY[name](rng.standard_normal((3, 4, 5)))
    np.testing.assert_array_equal(ArrayView.of(array).to_array(), array)


@st.composite
def arrays_and_views(draw: st.DrawFn) -> tuple[np.ndarray, ArrayView]:
    """An array after up to four operations, done by NumPy and on a view."""
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=2, max_size=4)))
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    view = ArrayView.of(array)
    for _ in range(draw(st.integers(0, 4))):
        operation = draw(st.sampled_from(["transposed", "flipped", "select", "reshaped"]))
        axis = draw(st.integers(0, array.ndim - 1))
        if operation == "transposed":
            order = draw(st.permutations(range(array.ndim)))
            array, view = array.transpose(order), view.transposed(order)
        elif operation == "flipped":
            array, view = np.flip(array, axis), view.flipped([axis])
        elif operation == "select":
            index = draw(st.lists(st.integers(0, array.shape[axis] - 1), min_size=1, max_size=5))
            array, view = array.take(index, axis), view.select(axis, index)
        else:
            other = tuple(draw(st.permutations(array.shape)))
            with pytest.MonkeyPatch.context() as patch:
                max_copied = draw(st.sampled_from([0, array_view.MAX_COPIED_ELEMENTS]))
                patch.setattr(array_view, "MAX_COPIED_ELEMENTS", max_copied)
                array, view = array.reshape(other), view.flattened().reshaped(other)
    return array, view


@pytest.mark.parametrize("max_copied", [0, array_view.MAX_COPIED_ELEMENTS])
@settings(max_examples=150, deadline=None)
@given(both=arrays_and_views())
def test_operations_compose_as_in_numpy(
    max_copied: int, both: tuple[np.ndarray, ArrayView]
) -> None:
    array, view = both
    assert view.shape == array.shape
    mesh = open_mesh([np.arange(n) for n in array.shape])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(array_view, "MAX_COPIED_ELEMENTS", max_copied)
        np.testing.assert_array_equal(view.to_array(), array)
        np.testing.assert_array_equal(
            ArrayViewStack([view, view]).gather(*mesh), np.stack([array, array])
        )


@pytest.mark.parametrize("max_copied", [0, array_view.MAX_COPIED_ELEMENTS])
def test_views_of_several_buffers_are_gathered_together(
    max_copied: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(66)
    monkeypatch.setattr(array_view, "MAX_COPIED_ELEMENTS", max_copied)
    array = rng.standard_normal((2, 3, 4, 4))
    whole = ArrayView.of(array)
    views = [
        whole,
        ArrayView.of(array.copy()).flipped([1]),
        whole.select(1, [2, 0, 1]),
        whole.transposed([0, 2, 3, 1]).flattened().reshaped(array.shape),
        whole.transposed([1, 0, 3, 2]).flattened().reshaped(array.shape),
    ]
    arrays = np.stack([view.to_array() for view in views])
    stack = ArrayViewStack(views)
    index = [np.array([1, 0]), np.array([2, 1]), np.array([3, 0]), np.array([0, 2])]
    np.testing.assert_array_equal(stack.gather(*index), arrays[:, *index])
    which = np.array([3, 0])
    np.testing.assert_array_equal(stack.gather_each(which, *index), arrays[which, *index])
