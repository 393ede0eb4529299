"""`convdiff run`: exit codes, names of rows, notes, and the errors for bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convdiff.backends import environments
from tests.cli.conftest import Invoke, environment

NO_BACKEND = ("--padding", "1", "--backend", "none")


def rows(output: str) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in json.loads(output)["rows"]}


def strict(text: str) -> Any:
    """Parses `text`; fails on NaN and Infinity, which JSON does not have."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_an_output_that_agrees_exits_with_0(invoke: Invoke) -> None:
    result = invoke("run", "x.npy", "w.npy", *NO_BACKEND, "--saved", "y.npy")
    assert result.exit_code == 0
    assert "conv2d" in result.stdout
    assert result.stderr == ""


def test_saved_outputs_of_two_sizes_have_their_own_readings(invoke: Invoke, folder: Path) -> None:
    rng = np.random.default_rng(2)
    x, k = rng.standard_normal(20), rng.standard_normal(5)
    arrays = {"signal": x, "k": k, "full": np.correlate(x, k, "full")}
    arrays["same"] = np.convolve(x, k, "same")
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    saved = ("--saved", "same.npy", "--saved", "full.npy", "--format", "json")
    result = invoke("run", "signal.npy", "k.npy", "--backend", "none", *saved)
    by_name = rows(result.stdout)
    assert by_name["same"]["findings"][0]["edits"] == [{"code": "kernel-flipped", "axes": ["W"]}]
    assert by_name["full"]["verdict"] in ("identical", "rounding")
    notes = json.loads(result.stdout)["notes"]
    assert "read as padding same: the saved output has that size; --padding picks another" in notes
    assert (
        "full is read as padding full: the saved output has that size; --padding picks another"
        in notes
    )


def test_an_output_that_differs_exits_with_1_and_is_explained(invoke: Invoke) -> None:
    result = invoke(
        "run",
        "x.npy",
        "w.npy",
        *NO_BACKEND,
        "--saved",
        "y.npy",
        "--saved",
        "port=flipped.npy",
        "--format",
        "json",
    )
    assert result.exit_code == 1
    by_name = rows(result.stdout)
    assert list(by_name) == ["y", "port"]
    assert by_name["port"]["findings"][0]["edits"][0]["code"] == "kernel-flipped"
    assert by_name["port"]["findings"][0]["fix"]
    assert by_name["y"]["verdict"] in ("identical", "rounding")


def test_numbers_in_the_padding_are_computed_and_told(invoke: Invoke) -> None:
    options = ("--padding", "1", "--pad-value", "-1,2.5,0", "--backend", "numpy")
    result = invoke("run", "x.npy", "w.npy", *options, "--saved", "y.npy", "--format", "json")
    report = json.loads(result.stdout)
    assert report["spec"]["pad_value"] == [-1, 2.5, 0]
    assert report["spec"]["line"].endswith("padding=1 pad_value=-1,2.5,0 float32")
    by_name = rows(result.stdout)
    assert by_name["numpy"]["verdict"] in ("identical", "rounding")
    expected = {"code": "wrong-pad-value", "asked": [-1, 2.5, 0], "obtained": 0}
    assert by_name["y"]["findings"][0]["edits"] == [expected]
    table = invoke("run", "x.npy", "w.npy", *options, "--saved", "y.npy").stdout
    assert "pad value -1,2.5,0" in " ".join(table.split())


def test_the_table_shows_the_code_of_the_finding(invoke: Invoke) -> None:
    result = invoke("run", "x.npy", "w.npy", *NO_BACKEND, "--saved", "port=flipped.npy")
    assert result.exit_code == 1
    assert "kernel-flipped" in result.stdout
    assert "\x1b" not in result.stdout


def test_nothing_to_compare_exits_with_2_and_says_what_to_give(invoke: Invoke) -> None:
    result = invoke("run", "x.npy", "w.npy", *NO_BACKEND)
    assert result.exit_code == 2
    assert "nothing was compared" in result.stdout
    assert "--saved FILE" in result.stdout


def test_a_backend_runs_and_agrees(invoke: Invoke) -> None:
    options = (
        "--padding",
        "-1:0",
        "--bias",
        "b.npy",
        "--backend",
        "numpy",
        "--require",
        "numpy",
        "--format",
        "json",
    )
    result = invoke("run", "x.npy", "w.npy", *options)
    assert result.exit_code == 0
    row = rows(result.stdout)["numpy"]
    assert (row["kind"], row["status"], row["backend"]) == ("backend", "ok", "numpy")
    assert json.loads(result.stdout)["spec"]["padding"] == [[-1, 0], [-1, 0]]


def test_rows_are_ordered_by_kind_and_then_as_given(invoke: Invoke) -> None:
    result = invoke(
        "run",
        "x.npy",
        "w.npy",
        "--padding",
        "1",
        "--backend",
        "numpy",
        "--call",
        "numpy=input",
        "--saved",
        "numpy=y.npy",
        "--saved",
        "y.npy",
        "--saved",
        "all.npz:y",
        "--format",
        "json",
    )
    names = [(row["name"], row["kind"]) for row in json.loads(result.stdout)["rows"]]
    here = Path.cwd().name
    assert names == [
        ("numpy", "saved"),
        (f"{here}/y", "saved"),
        (f"{here}/y-2", "saved"),
        ("numpy-call", "call"),
        ("numpy", "backend"),
    ]


def test_a_call_that_agrees_exits_with_0(invoke: Invoke) -> None:
    Path("port.py").write_text(
        "import numpy as np\n"
        "def conv(input, kernel):\n"
        "    x = np.pad(input, ((0, 0), (0, 0), (1, 1), (1, 1)))\n"
        "    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (2, 3))\n"
        "    return np.einsum('nchwij,ocij->nohw', windows, kernel)\n"
    )
    result = invoke(
        "run", "x.npy", "w.npy", *NO_BACKEND, "--call", "numpy=port.py:conv", "--format", "json"
    )
    assert result.exit_code == 0
    assert rows(result.stdout)["conv"]["kind"] == "call"


def test_a_call_that_fails_exits_with_2(invoke: Invoke) -> None:
    """Otherwise a port that no longer runs would pass."""
    result = invoke(
        "run",
        "x.npy",
        "w.npy",
        *NO_BACKEND,
        "--saved",
        "y.npy",
        "--call",
        "numpy=1 / 0",
        "--format",
        "json",
    )
    assert result.exit_code == 2
    row = rows(result.stdout)["numpy-call"]
    assert row["status"] == "failed"
    assert "ZeroDivisionError" in row["message"]


def test_a_saved_output_may_have_any_shape(invoke: Invoke) -> None:
    np.save("small.npy", np.load("y.npy")[:, :, 1:-1, 1:-1])
    np.save("scalar.npy", np.float32(3))
    np.save("empty.npy", np.zeros((2, 0, 6, 7)))
    result = invoke(
        "run",
        "x.npy",
        "w.npy",
        *NO_BACKEND,
        *(f"--saved={name}.npy" for name in ("small", "scalar", "empty")),
        "--format",
        "json",
    )
    assert result.exit_code == 1
    assert {row["verdict"] for row in rows(result.stdout).values()} <= {"different", "incomparable"}
    assert rows(result.stdout)["small"]["findings"][0]["edits"][0]["code"] == "wrong-padding"


def test_no_align_runs_other_code(invoke: Invoke) -> None:
    arguments = ("run", "x.npy", "w.npy", "--backend", "numpy", "--format", "json")
    aligned, default = invoke(*arguments), invoke(*arguments, "--no-align")
    assert rows(aligned.stdout)["numpy"]["code"] != rows(default.stdout)["numpy"]["code"]


@pytest.mark.parametrize(
    ("fail_on", "code"), [("different", 0), ("reduced-precision", 0), ("rounding", 1)]
)
def test_fail_on_is_the_mildest_verdict_that_fails(fail_on: str, code: int, invoke: Invoke) -> None:
    y = np.load("y.npy")
    np.save("near.npy", np.nextafter(y, np.inf, dtype=np.float32))
    result = invoke(
        "run",
        "x.npy",
        "w.npy",
        *NO_BACKEND,
        "--saved",
        "near.npy",
        "--fail-on",
        fail_on,
        "--format",
        "json",
    )
    assert rows(result.stdout)["near"]["verdict"] == "rounding"
    assert result.exit_code == code


def test_nan_is_accepted_and_noted(invoke: Invoke) -> None:
    x, y = np.load("x.npy"), np.load("y.npy")
    x[0, 0, 0, 0] = np.nan
    y[0, :, :2, :2] = np.nan
    np.save("xn.npy", x)
    np.save("yn.npy", y)
    result = invoke("run", "xn.npy", "w.npy", *NO_BACKEND, "--saved", "yn.npy", "--format", "json")
    assert result.exit_code == 0
    notes = strict(result.stdout)["notes"]
    assert any(note.startswith("input: 1 NaN of 252 values") for note in notes)
    assert any(note.startswith("yn: 16 NaN of 336 values") for note in notes)


def test_integer_images_are_computed_in_float32_with_a_note(invoke: Invoke) -> None:
    np.save("image.npy", np.arange(60, dtype=np.uint8).reshape(6, 10))
    np.save("filter.npy", np.ones((3, 3), bool))
    result = invoke("run", "image.npy", "filter.npy", "--backend", "numpy", "--format", "json")
    assert result.exit_code == 0
    assert any(
        "uint8 input, bool kernel: computed in float32" in note
        for note in json.loads(result.stdout)["notes"]
    )


def test_backends_that_are_not_installed_are_one_note(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "has_module", lambda module: False)
    result = invoke("run", "x.npy", "w.npy", "--format", "json")
    assert result.exit_code == 0
    assert list(rows(result.stdout)) == ["numpy"]
    assert [note for note in json.loads(result.stdout)["notes"] if "install" in note] == [
        "not installed: scipy, torch, tensorflow, jax, onnxruntime, theano (convdiff backends "
        "install NAME)"
    ]


def test_a_backend_that_is_named_but_not_installed_is_a_row(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "has_module", lambda module: False)
    named = invoke(
        "run", "x.npy", "w.npy", "--backend", "torch", "--backend", "numpy", "--format", "json"
    )
    assert named.exit_code == 0
    assert rows(named.stdout)["torch"]["status"] == "unavailable"
    assert "convdiff backends install torch" in rows(named.stdout)["torch"]["message"]
    required = invoke(
        "run", "x.npy", "w.npy", "--require", "torch", "--backend", "numpy", "--format", "json"
    )
    assert required.exit_code == 2
    assert sorted(rows(required.stdout)) == ["numpy", "torch"]


# The arguments, and what the error message must contain.
BAD: dict[str, tuple[tuple[str, ...], str]] = {
    "missing input": (
        ("run", "none.npy", "w.npy", *NO_BACKEND),
        "input none.npy: found no such file, expected file.npy or file.npz:key",
    ),
    "missing kernel": (("run", "x.npy", "v.npy", *NO_BACKEND), "kernel v.npy: found no such file"),
    "missing saved": (
        ("run", "x.npy", "w.npy", *NO_BACKEND, "--saved", "z=v.npy"),
        "--saved v.npy: found no such file",
    ),
    "missing bias": (
        ("run", "x.npy", "w.npy", *NO_BACKEND, "--bias", "v.npy"),
        "--bias v.npy: found no such file",
    ),
    "unknown key of an npz file": (
        ("run", "all.npz:v", "w.npy", *NO_BACKEND),
        "input all.npz:v: found 'v', expected one of b, flipped, w, x, y",
    ),
    "bias of another shape": (
        ("run", "x.npy", "w.npy", *NO_BACKEND, "--bias", "x.npy"),
        "found shape (2, 3, 6, 7), expected (4,)",
    ),
    "unknown backend": (
        ("run", "x.npy", "w.npy", "--backend", "torhc"),
        "found 'torhc', expected one of cudnn, jax, none, numpy,",
    ),
    "alias of a path": (
        ("run", "x.npy", "w.npy", "--backend", "keras"),
        "torch; did you mean tensorflow:cpu/keras?",
    ),
    "unknown version": (
        ("run", "x.npy", "w.npy", "--backend", "torch@0"),
        "to register an environment of yours: convdiff backends add torch@0 PYTHON",
    ),
    "unknown required backend": (
        ("run", "x.npy", "w.npy", "--require", "spam"),
        "--require: found 'spam', expected one of cudnn, jax, numpy,",
    ),
    "none and a backend": (
        ("run", "x.npy", "w.npy", *NO_BACKEND, "--backend", "numpy"),
        "--backend: found none together with numpy, expected either none or names",
    ),
    "call without a backend": (
        ("run", "x.npy", "w.npy", *NO_BACKEND, "--call", "conv(input)"),
        "--call: found 'conv(input)', expected NAME=CODE",
    ),
    "call in an unknown backend": (
        ("run", "x.npy", "w.npy", *NO_BACKEND, "--call", "spam=1"),
        "--call: found 'spam', expected one of cudnn, jax, numpy,",
    ),
    "unknown padding": (("run", "x.npy", "w.npy", "--padding", "smae"), "did you mean same?"),
    "unknown framework": (
        ("run", "x.npy", "w.npy", "--as", "troch"),
        "--as: found 'troch', expected one of cudnn,",
    ),
    "unknown format": (
        ("run", "x.npy", "w.npy", "--format", "jsn"),
        "--format: found 'jsn', expected one of github, json, table; did",
    ),
    "unknown verdict": (
        ("run", "x.npy", "w.npy", "--fail-on", "all"),
        "--fail-on: found 'all', expected one of different,",
    ),
    "unknown pad mode": (
        ("run", "x.npy", "w.npy", "--pad-mode", "spam"),
        "--pad-mode: found 'spam', expected one of constant, edge,",
    ),
    "pad modes of three axes": (
        ("run", "x.npy", "w.npy", "--pad-mode", "edge,wrap,edge"),
        "--pad-mode edge,wrap,edge: found 3 modes, expected 1 or 2, one per spatial axis",
    ),
    "pad value in words": (
        ("run", "x.npy", "w.npy", "--pad-value", "zero"),
        "--pad-value: found 'zero', expected a number: 5, or one per input channel: 1,2,3",
    ),
    "pad value beside a pad mode": (
        ("run", "x.npy", "w.npy", "--pad-value", "-1", "--pad-mode", "edge"),
        "--pad-value -1: found it with --pad-mode edge, expected --pad-mode constant",
    ),
    "unknown dtype": (
        ("run", "x.npy", "w.npy", "--dtype", "float8"),
        "--dtype: found 'float8', expected one of bfloat16, complex128, complex64, float16,",
    ),
    "groups that do not divide": (
        ("run", "x.npy", "w.npy", "--groups", "2"),
        "--groups 2 does not divide",
    ),
    "zero groups": (
        ("run", "x.npy", "w.npy", "--groups", "0"),
        "--groups: found 0, expected a whole number of at least 1",
    ),
    "empty output": (
        ("run", "x.npy", "w.npy", "--dilation", "9"),
        "the output would be empty along H",
    ),
    "wrong rank": (("run", "b.npy", "w.npy", *NO_BACKEND), "make no convolution"),
    "json into a missing directory": (
        ("run", "x.npy", "w.npy", *NO_BACKEND, "--json", "no/where.json"),
        "--json no/where.json: found no directory",
    ),
    "json onto a directory": (
        ("run", "x.npy", "w.npy", *NO_BACKEND, "--json", "."),
        "--json .: found a directory",
    ),
    "code for an unknown framework": (
        ("code", "x.npy", "w.npy", "--for", "caffe"),
        "--for: found 'caffe', expected one of cudnn, jax, numpy,",
    ),
    "unknown code": (("explain", "kernel-fliped"), "did you mean kernel-flipped?"),
    "installing an unknown backend": (
        ("backends", "install", "caffe"),
        "backend to install: found 'caffe', expected one of cudnn, jax,",
    ),
    "adding a missing interpreter": (
        ("backends", "add", "torch@1", "/no/python"),
        "/no/python: expected an interpreter",
    ),
    "removing an unknown environment": (
        ("backends", "remove", "torch"),
        "nothing is registered or installed under that name",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_a_one_line_error_and_exits_with_2(name: str, invoke: Invoke) -> None:
    args, message = BAD[name]
    result = invoke(*args)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("convdiff: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_control_characters_in_a_name_are_escaped(invoke: Invoke) -> None:
    result = invoke("run", "q\x1b[31m\r\x07\u202e.npy", "w.npy", *NO_BACKEND)
    assert result.stderr.startswith(
        r"convdiff: input q\x1b[31m\r\x07\u202e.npy: found no such file"
    )


def test_padding_beyond_the_memory_is_a_one_line_error(invoke: Invoke) -> None:
    options = ("--padding", "2000000000", "--stride", "1000000000", "--pad-mode", "edge")
    result = invoke("run", "x.npy", "w.npy", *NO_BACKEND, "--saved", "y.npy", *options)
    assert result.exit_code == 2
    assert result.stderr.startswith(
        "convdiff: the padded input of 2x3x4000000006x4000000007 needs "
    )


def test_a_file_that_is_truncated_meanwhile_is_a_one_line_error(folder: Path) -> None:
    script = (
        "import os, sys, convdiff.pipeline.load_case as module\nfrom convdiff.__main__ import "
        "main\nreal = module.compute_dtype\n"
        "def shrunk(*args):\n    os.truncate('big.npy', 4096)\n    return real(*args)\n"
        "module.compute_dtype = shrunk\n"
        "sys.argv = ['convdiff', 'run', 'big.npy', 'w.npy', '--backend', 'none', '--saved', "
        "'y.npy']\nmain()\n"
    )
    np.save("big.npy", np.ones((1, 3, 512, 512), np.float32))
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment(),
        timeout=300,
        text=True,
        capture_output=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("convdiff: an array's file was cut short")


def test_running_out_of_memory_is_a_one_line_error(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise MemoryError("Unable to allocate 7 EiB")

    monkeypatch.setattr("convdiff.pipeline.load_case.compute_dtype", full)
    result = invoke("run", "x.npy", "w.npy", *NO_BACKEND, "--saved", "y.npy")
    assert result.exit_code == 2
    assert result.stderr.startswith(
        "convdiff: run: this takes more memory than the machine has (Unable to allocate 7 EiB); "
    )


@pytest.mark.parametrize(
    "args",
    [
        ("run",),
        ("run", "x.npy"),
        ("run", "x.npy", "w.npy", "--strde", "2"),
        ("rnu",),
        ("run", "--timeout=0"),
    ],
)
def test_wrong_usage_exits_with_2_and_points_to_the_help(
    args: tuple[str, ...], invoke: Invoke
) -> None:
    result = invoke(*args)
    assert result.exit_code == 2
    assert result.stderr.startswith("convdiff: ")
    assert result.stderr.count("\n") == 1
    assert result.stderr.endswith("--help\n")


def test_the_error_for_an_unknown_command_lists_the_known_ones(invoke: Invoke) -> None:
    assert (
        "expected one of backends, capture, check, code, explain, probe, run"
        in invoke("rnu").stderr
    )


def test_json_is_written_besides_the_table_through_a_link(invoke: Invoke) -> None:
    Path("link.json").symlink_to("real.json")
    result = invoke(
        "run", "x.npy", "w.npy", *NO_BACKEND, "--saved", "flipped.npy", "--json", "link.json"
    )
    assert result.exit_code == 1
    assert "kernel-flipped" in result.stdout
    assert Path("link.json").is_symlink()
    written = strict(Path("real.json").read_text())
    assert (written["schema"], written["exit_code"]) == ("convdiff/1", 1)
    assert not list(Path().glob("*.tmp")) + list(Path().glob(".*.tmp"))


def test_json_on_stdout_moves_the_table_to_stderr(invoke: Invoke) -> None:
    result = invoke("run", "x.npy", "w.npy", *NO_BACKEND, "--saved", "flipped.npy", "--json", "-")
    assert strict(result.stdout)["exit_code"] == 1
    assert "kernel-flipped" in result.stderr


def test_an_old_json_file_stays_where_the_input_is_bad(invoke: Invoke) -> None:
    Path("old.json").write_text("old")
    assert invoke("run", "none.npy", "w.npy", *NO_BACKEND, "--json", "old.json").exit_code == 2
    assert Path("old.json").read_text() == "old"


@pytest.mark.parametrize(("when", "colored"), [("always", True), ("never", False), ("auto", False)])
def test_color_is_decided_by_the_option(when: str, colored: bool, invoke: Invoke) -> None:
    result = invoke("run", "x.npy", "w.npy", *NO_BACKEND, "--saved", "flipped.npy", "--color", when)
    assert ("\x1b[" in result.stdout) == colored
    wrong = invoke("run", "none.npy", "w.npy", "--color", when)
    assert ("\x1b[31m" in wrong.stderr) == colored


def test_an_existing_file_with_an_equals_sign_is_not_split(invoke: Invoke) -> None:
    np.save("run=1.npy", np.load("y.npy"))
    result = invoke(
        "run",
        "x.npy",
        "w.npy",
        *NO_BACKEND,
        "--saved",
        "run=1.npy",
        "--saved",
        "a.b-c=y.npy",
        "--format",
        "json",
    )
    assert list(rows(result.stdout)) == ["run=1", "a.b-c"]


def test_complex_arrays_are_read_from_files_and_reported(invoke: Invoke, folder: Path) -> None:
    rng = np.random.default_rng(2)
    x, k = (rng.standard_normal(n) + 1j * rng.standard_normal(n) for n in (20, 5))
    np.savez(folder / "arrays.npz", x=x, k=k)
    np.save(folder / "numpy.npy", np.correlate(x, k))
    np.save(folder / "torch.npy", np.correlate(x, k.conj()).astype(">c16"))
    outputs = ("--saved", "numpy.npy", "--saved", "torch.npy", "--format", "json")
    reports = ("--html", "page.html", "--junit", "report.xml")
    operands = ("arrays.npz:x", "arrays.npz:k", "--padding", "0", "--backend", "none")
    result = invoke("run", *operands, *outputs, *reports)
    assert result.exit_code == 1 and result.stderr == ""
    by_name = rows(result.stdout)
    assert by_name["numpy"]["findings"][0]["edits"] == [{"code": "kernel-conjugated"}]
    assert by_name["torch"]["verdict"] in ("identical", "rounding")
    assert strict(result.stdout)["spec"]["dtype"] == "complex128"
    assert len(by_name["torch"]["error"]["obtained"]) == 2
    assert "conjugate" in (folder / "page.html").read_text(encoding="utf-8")
