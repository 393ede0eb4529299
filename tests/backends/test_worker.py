"""The worker: the user's calls, results, repeated runs, and which modules it imports."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest

from convdiff.backends.environments import find_environment
from convdiff.backends.fleet import Fleet, Job
from tests.backends.support import ARRAYS, PATIENCE, Run, call, job, stored


def test_an_expression_gives_its_value_or_an_error_with_its_line(run: Run) -> None:
    [answer] = run(call("  np.sum(input) * kernel[0, 0]"))
    assert (answer.kind, answer.status, answer.name, answer.backend) == (
        "call",
        "ok",
        "mine",
        "numpy",
    )
    assert answer.output == 66 and answer.code == "  np.sum(input) * kernel[0, 0]"
    for code, message in (
        (
            "nonsense(input)",
            r"NameError: name 'nonsense' is not defined \(line 1: nonsense\(input\)\)",
        ),
        ("input +", r"SyntaxError: invalid syntax \(line 1: input \+\)"),
        ("y = input", r"SyntaxError"),
        ("print", r"the result is a builtin_function_or_method, expected an array of numbers"),
    ):
        [answer] = run(call(code))
        assert answer.status == "failed" and re.match(message, str(answer.message)), answer.message


def test_a_function_in_a_file_gives_its_result_or_an_error_with_its_line(
    run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "port.py"
    file.write_text(
        "import numpy as np\nimport helper\n"
        "def conv(input, kernel, bias=None):\n    return helper.twice(input) if bias is None else "
        "input + bias\n"
        "def broken(input, kernel):\n    x = 1\n    return helper.fails(x)\n"
        "class Layer:\n    def __call__(self, x, w): return x\nlayer = Layer()\nnot_callable = 3\n"
        "if __name__ == '__main__': raise SystemExit\n"
    )
    (tmp_path / "helper.py").write_text(
        "def twice(x): return 2 * x\ndef fails(x):\n    return x / 0\n"
    )
    [answer] = run(call(f"{file}:conv"))
    np.testing.assert_array_equal(np.asarray(answer.output), ARRAYS["input"].array * 2)
    [answer] = run(call(f"{file}:conv"), arrays={**ARRAYS, "bias": stored(np.float32(1))})
    np.testing.assert_array_equal(np.asarray(answer.output), ARRAYS["input"].array + 1)
    assert run(call(f"{file}:layer"))[0].status == "ok"
    for name, message in (
        (
            "broken",
            r"ZeroDivisionError: division by zero \(helper.py line 3, in fails: return x / 0\)$",
        ),
        ("cnov", r".*port.py: it has no function cnov; it has Layer, broken, conv, layer$"),
        ("not_callable", r".*it has no function not_callable"),
    ):
        [answer] = run(call(f"{file}:{name}"))
        assert answer.status == "failed" and re.match(message, str(answer.message)), answer.message
    [answer] = run(call(f"{tmp_path}/prot.py:conv"))
    assert re.search(r"prot.py: no such file \(looked for /", str(answer.message))
    assert not list(tmp_path.glob("__pycache__/port*"))


def test_a_file_and_its_modules_are_loaded_anew_for_each_job(run: Run, tmp_path: Path) -> None:
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "port.py").write_text("import layers\ndef conv(x, w): return layers.VALUE\n")
        (folder / "layers.py").write_text(f"VALUE = {number}\n")
    answers = run(
        *[Job(str(n), "call", "numpy", f"{tmp_path}/{n}/port.py:conv", "function") for n in (1, 2)]
    )
    assert [float(np.asarray(answer.output)) for answer in answers] == [1, 2]
    (tmp_path / "1/port.py").write_text("def conv(x, w): return 7\n")
    assert run(call(f"{tmp_path}/1/port.py:conv"))[0].output == 7


def test_a_relative_path_starts_at_the_users_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "port.py").write_text("def conv(x, w): return x\n")
    monkeypatch.chdir(tmp_path)
    with Fleet([find_environment("numpy")], timeout=PATIENCE) as fleet:
        assert [
            a.status
            for a in fleet.run(
                [job("import os; os.chdir('/'); output = 1"), call("port.py:conv")], ARRAYS
            )
        ] == ["ok", "ok"]


def test_the_message_of_a_crash_names_file_and_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "port.py").write_text(
        "import ctypes\n\ndef conv(x, w):\n    return ctypes.string_at(0)\n"
    )
    [answer] = run(call(f"{tmp_path}/port.py:conv"))
    assert answer.message == "SIGSEGV (segmentation fault) at port.py line 4"


SHADOWING_FILES = ("numpy.py", "json.py", "torch.py", "queue.py", "types.py")


def test_files_in_the_current_folder_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in SHADOWING_FILES:
        (tmp_path / name).write_text("raise SystemExit('shadowed')\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/port.py").write_text("import mine\ndef conv(x, w): return mine.VALUE\n")
    (tmp_path / "mine.py").write_text("VALUE = 5\n")
    monkeypatch.chdir(tmp_path)
    code = "import os, sys\noutput = os.getcwd() in sys.path or '' in sys.path"
    with Fleet([find_environment("numpy")], timeout=PATIENCE) as fleet:
        [answer] = fleet.run([job(code)], ARRAYS)
        assert (answer.status, answer.output) == ("ok", False), answer.message


def test_pythonpath_is_searched_after_the_framework_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder on PYTHONPATH provides modules for calls, but cannot replace the framework's."""
    (tmp_path / "numpy.py").write_text("raise SystemExit('shadowed')\n")
    (tmp_path / "mine.py").write_text("VALUE = 5\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}")
    with Fleet([find_environment("numpy")], timeout=PATIENCE) as fleet:
        [answer] = fleet.run([call("__import__('mine').VALUE")], ARRAYS)
    assert answer.status == "ok" and answer.output == 5, answer.message


def test_files_in_the_folder_of_the_worker_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    import convdiff.backends.process as process

    shutil.copytree(
        process.HERE, tmp_path / "backends", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("numpy.py", "torch.py", "mine.py"):
        (tmp_path / "backends" / name).write_text("raise SystemExit('shadowed')\n")
        (tmp_path / "backends/adapters" / name).write_text("raise SystemExit('shadowed')\n")
    monkeypatch.setattr(process, "HERE", tmp_path / "backends")
    with Fleet([find_environment("numpy")], timeout=PATIENCE) as fleet:
        [answer] = fleet.run(
            [job("try:\n    import mine\nexcept ImportError:\n    output = 1")], ARRAYS
        )
    assert answer.status == "ok" and answer.output == 1, answer.message


def test_a_worker_runs_in_a_deleted_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deleted = tmp_path / "deleted"
    deleted.mkdir()
    monkeypatch.chdir(deleted)
    deleted.rmdir()
    try:
        with Fleet([find_environment("numpy")], timeout=PATIENCE) as fleet:
            assert [a.status for a in fleet.run([job("output = 1")], ARRAYS)] == ["ok"]
    finally:
        os.chdir(tmp_path)


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
def test_results_that_become_arrays(run: Run, name: str) -> None:
    code, dtype = RESULTS[name]
    [answer] = run(code)
    assert answer.status == "ok", answer.message
    assert answer.output is not None and (answer.output.dtype.name, answer.stored) == (dtype, dtype)


def test_repeated_runs_are_compared_with_the_first(run: Run) -> None:
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
