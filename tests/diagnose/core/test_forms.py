"""What forms know of themselves."""

from __future__ import annotations

import numpy as np

from convdiff.diagnose.core.array_view import ArrayView
from convdiff.diagnose.core.forms import InputForm, KernelForm, OperationForm


def test_the_own_edits_of_a_kernel_form_are_those_beside_its_operation_s() -> None:
    operation = OperationForm(edits=({"code": "wrong-groups"},), cost=1.0)
    form = KernelForm(operation.edits, 1.0, ArrayView.of(np.ones((1, 1, 1))), operation)
    assert form.own_edits == ()
    assert form.plus({"code": "kernel-flipped"}, 0.0).own_edits == ({"code": "kernel-flipped"},)


def test_the_size_of_an_input_form_is_its_spatial_size() -> None:
    assert InputForm(array=ArrayView.of(np.ones((1, 2, 3)))).size == (3,)
