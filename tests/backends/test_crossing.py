"""Arrays cross to a worker and back unchanged, as files, copied only where they must be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backends_support import ARRAYS, Run, job, stored

from convdiff.arrays import read
from convdiff.backends.environments import find
from convdiff.backends.exchange import serves
from convdiff.backends.fleet import Fleet
from convdiff.records import Stored

VALUES = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", ">f8", "i1", "u1", "<i8", ">i2", "?"])
def test_types_that_npy_has(run: Run, tmp_path: Path, dtype: str) -> None:
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
def test_shapes_and_strides(run: Run, array: Any) -> None:
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


def test_bfloat16_goes_widened(run: Run, tmp_path: Path) -> None:
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


def test_npz_members(run: Run, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=VALUES, w=VALUES.astype(">f8"))
    given = {
        "input": read(f"{tmp_path}/a.npz:x", "input"),
        "kernel": read(f"{tmp_path}/a.npz:w", "kernel"),
    }
    [answer] = run("output = input + kernel", arrays=given)
    np.testing.assert_array_equal(np.asarray(answer.output), VALUES * 2)


def test_the_user_s_own_file_is_used_where_it_serves(run: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", VALUES)
    np.save(tmp_path / "big.npy", VALUES.astype(">f4"))
    own = Stored(VALUES, "float32", tmp_path / "x.npy")
    assert serves(own)
    assert not serves(Stored(VALUES, "float32", tmp_path / "big.npy"))
    assert not serves(Stored(VALUES.astype("f8"), "float32", tmp_path / "x.npy"))
    assert not serves(Stored(VALUES, "float32", tmp_path / "gone.npy"))
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


def test_bias_is_none_or_given(run: Run) -> None:
    [without] = run("output = 1.0 if bias is None else 2.0")
    [having] = run("output = bias", arrays={**ARRAYS, "bias": stored(np.ones(3))})
    assert without.output is not None and without.output == 1 and without.output.shape == ()
    assert having.output is not None and having.output.shape == (3,)


RESULTS = {
    "list": ("output = [[1, 2], [3, 4]]", "int64"),
    "tuple": ("output = (1.5, 2)", "float64"),
    "scalar": ("output = 3", "int64"),
    "bool": ("output = True", "bool"),
    "big-endian": ("output = input.astype('>f8')", "float64"),
    "__array__": (
        "class A:\n    def __array__(self, dtype=None, copy=None): return np.ones(2, "
        "'f4')\noutput = A()",
        "float32",
    ),
    "huge list": ("output = list(range(1_000_000))", "int64"),
    "longdouble": ("output = np.longdouble(1)", np.dtype(np.longdouble).name),
}


@pytest.mark.parametrize("name", RESULTS)
def test_results_that_are_numbers(run: Run, name: str) -> None:
    code, dtype = RESULTS[name]
    [answer] = run(code)
    assert answer.status == "ok", answer.message
    assert answer.output is not None and (answer.output.dtype.name, answer.stored) == (dtype, dtype)


def test_answers_outlive_the_fleet_and_leave_no_file() -> None:
    with Fleet([find("numpy")]) as fleet:
        answers = list(fleet.run([job("output = input + 1")], ARRAYS))
        folder = fleet._open()
        assert sorted(path.name for path in folder.iterdir()) == ["lock", "numpy.log"]
    assert not folder.exists()
    np.testing.assert_array_equal(np.asarray(answers[0].output), ARRAYS["input"].array + 1)


def test_repeated_runs_are_compared(run: Run) -> None:
    [same] = run(job("output = input", repeat=4))
    [varied] = run(
        job(
            "import itertools\noutput = input + next(np.__dict__.setdefault('count', "
            "itertools.count()))",
            repeat=4,
        )
    )
    assert (same.status, same.message) == ("ok", None)
    assert varied.status == "ok"
    assert (
        varied.message == "not deterministic: 3 of 3 further runs differ from the first, by up to 3"
    )
    np.testing.assert_array_equal(np.asarray(varied.output), ARRAYS["input"].array)


def test_many_jobs_of_more_text_than_a_pipe_holds(run: Run) -> None:
    text = "# " + "x" * 20_000 + "\noutput = input"
    assert all(answer.status == "ok" for answer in run(*[text] * 30))


def test_the_log_cannot_fill_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convdiff.backends.process.LOG_LIMIT", 1 << 16)
    code = (
        "import sys, time\nend = time.time() + 0.6\nwhile time.time() < end: print('x' * "
        "999)\noutput = input"
    )
    with Fleet([find("numpy")]) as fleet:
        sizes = []
        for answer in fleet.run([job(code), job("output = input", "next")], ARRAYS):
            sizes.append((fleet._open() / "numpy.log").stat().st_size)
            assert answer.status == "ok"
        list(fleet.run([job("import time; time.sleep(0.3); output = input")], ARRAYS))
        assert (fleet._open() / "numpy.log").stat().st_size < 1 << 18
