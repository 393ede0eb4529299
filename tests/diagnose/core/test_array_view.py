"""Arrays read in other ways without a copy hold what numpy gives for the same reading, however they
lie in memory.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convdiff.diagnose.core import array_view
from convdiff.diagnose.core.array_view import ArrayView, ArrayViewStack, open_mesh
from convdiff.diagnose.core.layouts import mistaken_reshapes

RNG = np.random.default_rng(0)
LAID_OUT = {
    "as it is": lambda a: a,
    "transposed": lambda a: a.T,
    "reversed": lambda a: a[::-1, :, ::-1],
    "every second": lambda a: a[:, ::2],
    "broadcast": lambda a: np.broadcast_to(a[:1], a.shape),
    "Fortran's": np.asfortranarray,
}


@pytest.mark.parametrize("name", LAID_OUT)
@pytest.mark.parametrize("few", [0, array_view.MAX_GATHERED_ELEMENTS])
def test_an_array_is_what_it_was(name: str, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(array_view, "MAX_GATHERED_ELEMENTS", few)
    array = LAID_OUT[name](RNG.standard_normal((3, 4, 5)))
    np.testing.assert_array_equal(ArrayView.of(array).to_array(), array)


@st.composite
def readings(draw: st.DrawFn) -> tuple[np.ndarray, ArrayView]:
    """An array read otherwise a few times over, by numpy and as places."""
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=2, max_size=4)))
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    made = ArrayView.of(array)
    for _ in range(draw(st.integers(0, 4))):
        kind = draw(st.sampled_from(["transposed", "flipped", "taken", "reshaped"]))
        axis = draw(st.integers(0, array.ndim - 1))
        if kind == "transposed":
            order = draw(st.permutations(range(array.ndim)))
            array, made = array.transpose(order), made.transposed(order)
        elif kind == "flipped":
            array, made = np.flip(array, axis), made.flipped([axis])
        elif kind == "taken":
            index = draw(st.lists(st.integers(0, array.shape[axis] - 1), min_size=1, max_size=5))
            array, made = array.take(index, axis), made.select(axis, index)
        else:
            other = tuple(draw(st.permutations(array.shape)))
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(
                    array_view,
                    "MAX_COPIED_ELEMENTS",
                    draw(st.sampled_from([0, array_view.MAX_COPIED_ELEMENTS])),
                )
                array, made = array.reshape(other), made.flattened().reshaped(other)
    return array, made


@pytest.mark.parametrize("small", [0, array_view.MAX_COPIED_ELEMENTS])
@settings(max_examples=150, deadline=None)
@given(both=readings())
def test_readings_compose_as_numpy_does(small: int, both: tuple[np.ndarray, ArrayView]) -> None:
    array, made = both
    assert made.shape == array.shape
    everywhere = open_mesh([np.arange(n) for n in array.shape])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(array_view, "MAX_COPIED_ELEMENTS", small)
        np.testing.assert_array_equal(made.to_array(), array)
        np.testing.assert_array_equal(
            ArrayViewStack([made, made]).gather(*everywhere), np.stack([array, array])
        )


@pytest.mark.parametrize("small", [0, array_view.MAX_COPIED_ELEMENTS])
def test_many_readings_are_looked_up_at_once(small: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(array_view, "MAX_COPIED_ELEMENTS", small)
    array = RNG.standard_normal((2, 3, 4, 4))
    many = [made for _, _, made in mistaken_reshapes(ArrayView.of(array), "NCHW", "NCHW")]
    alike = [made for made in many if made.shape == array.shape]
    assert len(alike) > 4
    index = [np.array([1, 0]), np.array([2, 1]), np.array([3, 0]), np.array([0, 2])]
    bundle = ArrayViewStack(alike)
    wholes = np.stack([made.to_array() for made in alike])
    np.testing.assert_array_equal(bundle.gather(*index), wholes[:, *index])
    which = np.array([3, 0])
    np.testing.assert_array_equal(bundle.gather_each(which, *index), wholes[which, *index])


@pytest.mark.parametrize("small", [0, array_view.MAX_COPIED_ELEMENTS])
def test_a_reshape_is_numpy_s(small: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(array_view, "MAX_COPIED_ELEMENTS", small)
    array = RNG.standard_normal((2, 3, 4, 5))
    made = {
        (source, target): result.to_array()
        for source, target, result in mistaken_reshapes(ArrayView.of(array), "NCHW", "NCHW")
    }
    np.testing.assert_array_equal(
        made["NHWC", "NCHW"], array.transpose(0, 2, 3, 1).reshape(array.shape)
    )
    np.testing.assert_array_equal(
        made["NCHW", "NHWC"], array.reshape(2, 4, 5, 3).transpose(0, 3, 1, 2)
    )
