"""Arrays pass to a worker and back unchanged, and are copied only where they must be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convdiff.arrays import read
from convdiff.backends.array_files import has_readable_file
from convdiff.backends.environments import find_environment
from convdiff.backends.fleet import Fleet
from convdiff.records import Stored
from tests.backends.support import ARRAYS, PATIENCE, Run, job, stored

VALUES = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", ">f8", "i1", "u1", "<i8", ">i2", "?"])
def test_types_of_npy_pass_unchanged(run: Run, tmp_path: Path, dtype: str) -> None:
    array = VALUES.astype(dtype)
    np.save(tmp_path / "x.npy", array)
    for given in (
        Stored(array, array.dtype.name),
        Stored(array, array.dtype.name, tmp_path / "x.npy"),
    ):
        [answer] = run("output = input", arrays={"input": given, "kernel": ARRAYS["kernel"]})
        assert answer.output is not None and answer.output.dtype == array.dtype.newbyteorder("=")
        assert answer.stored == array.dtype.name
        np.testing.assert_array_equal(answer.output, array)


@pytest.mark.parametrize(
    "array",
    [VALUES.T, VALUES[::2, :, ::-1], np.asfortranarray(VALUES), np.float32(3), VALUES[:, :0]],
)
def test_any_shape_and_strides_pass_unchanged(run: Run, array: Any) -> None:
    for code in ("output = input", "output = input[...].T.T"):
        [answer] = run(
            code, arrays={"input": stored(np.asarray(array)), "kernel": ARRAYS["kernel"]}
        )
        assert (
            answer.status == "ok"
            and answer.output is not None
            and answer.output.shape == np.shape(array)
        )
        np.testing.assert_array_equal(answer.output, array)


def test_bfloat16_passes_as_float32(run: Run, tmp_path: Path) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    array = VALUES.astype(ml_dtypes.bfloat16)
    np.save(tmp_path / "b.npy", array)
    for given in (read(f"{tmp_path}/b.npy", "input"), stored(array)):
        [back] = run("output = input", arrays={"input": given, "kernel": ARRAYS["kernel"]})
        assert back.output is not None and back.stored == "float32"
        np.testing.assert_array_equal(back.output, VALUES)
    [answer] = run("import ml_dtypes\noutput = input.astype(ml_dtypes.bfloat16)")
    assert answer.output is not None and (answer.output.dtype, answer.stored) == (
        np.float32,
        "bfloat16",
    )


def test_members_of_an_npz_are_copied(run: Run, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=VALUES, w=VALUES.astype(">f8"))
    given = {
        "input": read(f"{tmp_path}/a.npz:x", "input"),
        "kernel": read(f"{tmp_path}/a.npz:w", "kernel"),
    }
    [answer] = run("output = input + kernel", arrays=given)
    np.testing.assert_array_equal(np.asarray(answer.output), VALUES * 2)


def test_a_worker_reads_the_users_own_file(run: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", VALUES)
    np.save(tmp_path / "big.npy", VALUES.astype(">f4"))
    own = Stored(VALUES, "float32", tmp_path / "x.npy")
    assert has_readable_file(own)
    assert not has_readable_file(Stored(VALUES, "float32", tmp_path / "big.npy"))
    assert not has_readable_file(Stored(VALUES.astype("f8"), "float32", tmp_path / "x.npy"))
    assert not has_readable_file(Stored(VALUES, "float32", tmp_path / "gone.npy"))
    maps = (
        "output = np.array([(('/x.npy' in line) - ('input.npy' in line)) for line in "
        "open('/proc/self/maps')]).sum()"
    )
    [answer] = run("y = input[0, 0, 0]\n" + maps, arrays={"input": own, "kernel": ARRAYS["kernel"]})
    assert answer.output is not None and answer.output > 0


def test_writing_to_an_array_changes_no_file_and_no_other_run(run: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", VALUES)
    own = {"input": Stored(VALUES, "float32", tmp_path / "x.npy"), "kernel": ARRAYS["kernel"]}
    first, second = run(
        job("input *= 2\noutput = input", "a", repeat=3), job("output = input", "b"), arrays=own
    )
    assert first.message is None
    np.testing.assert_array_equal(np.asarray(first.output), VALUES * 2)
    np.testing.assert_array_equal(np.asarray(second.output), VALUES)
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), VALUES)


def test_bias_is_none_where_absent(run: Run) -> None:
    [without] = run("output = 1.0 if bias is None else 2.0")
    [having] = run("output = bias", arrays={**ARRAYS, "bias": stored(np.ones(3))})
    assert without.output is not None and without.output == 1 and without.output.shape == ()
    assert having.output is not None and having.output.shape == (3,)


def test_answers_outlive_the_fleet_and_its_folder() -> None:
    with Fleet([find_environment("numpy")], timeout=PATIENCE) as fleet:
        answers = list(fleet.run([job("output = input + 1")], ARRAYS))
        folder = fleet._open()
        assert sorted(path.name for path in folder.iterdir()) == ["lock", "numpy.log"]
    assert not folder.exists()
    np.testing.assert_array_equal(np.asarray(answers[0].output), ARRAYS["input"].array + 1)
