"""Manifests as files: an error names the file, the line and the key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from convdiff.errors import ConvdiffError
from convdiff.manifest import load
from tests.cli.conftest import Invoke

# Manifests that cannot be read at all, and the beginning of the error.
BROKEN: dict[str, tuple[str, str]] = {
    "no TOML": ("[defaults]\nstride = = 2\n", "m.toml:2:10: invalid value, expected TOML"),
    "no case": ("[defaults]\nstride = 2\n", "m.toml: found no case, expected [[case]]"),
    "empty": ("", "m.toml: found no case, expected [[case]]"),
    "an unknown table": (
        "\n[[cases]]\ninput = 1\n",
        "m.toml:2: key: found 'cases', expected one of case, defaults, outputs; did you mean case?",
    ),
    "an unknown default": (
        "[defaults]\n\nstrde = 2\n[[case]]\n",
        "m.toml:3: [defaults] key: found 'strde'",
    ),
    "a default that only a case can have": (
        "[defaults]\ninput = 'x.npy'\n[[case]]\n",
        "m.toml:2: [defaults] key: found 'input'",
    ),
    "a default of a wrong type": (
        "[defaults]\nflip = 'yes'\n[[case]]\n",
        "m.toml:2: [defaults] flip: found 'yes', expected true or false",
    ),
    "defaults that are no table": (
        "defaults = 3\n[[case]]\n",
        "m.toml:1: defaults: found 3, expected a table",
    ),
}


# Lines of a case's table, from line 8 of the file on, and the error.
WRONG: dict[str, tuple[str, str]] = {
    "an unknown key": (
        "stride = 1\nstrid = 2",
        "m.toml:9: case bad: key: found 'strid', expected one of allow,",
    ),
    "its hint": ("strid = 2", "did you mean stride?"),
    "a wrong type": ('flip = "no"', "m.toml:8: case bad: flip: found 'no', expected true or false"),
    "a float": (
        "stride = 2.5",
        "m.toml:8: case bad: stride: found 2.5, expected a whole number, or one per axis: [2, 1]",
    ),
    "a flag for a number": (
        "groups = true",
        "m.toml:8: case bad: groups: found true, expected a whole number",
    ),
    "after a text that looks like keys": (
        'as = """\nstride = 3\n[[case]]\n"""\nstride = 2.5',
        "m.toml:12: case bad: stride: found 2.5",
    ),
    "a value over several lines": (
        "padding = [\n  [0, 1],\n  [0],\n]",
        "m.toml:8: case bad: padding: found [[0, 1], [0]]",
    ),
    "an unknown word": (
        'padding = "smae"',
        "m.toml:8: case bad: padding: found 'smae', expected one of causal, full, half, same,",
    ),
    "an unknown framework": (
        'as = "troch"',
        "m.toml:8: case bad: as: found 'troch', expected one of cudnn",
    ),
    "an unknown backend": ('backends = ["torhc"]', "m.toml:8: case bad: backends: found 'torhc'"),
    "an unknown code": (
        'allow = ["kernel-fliped"]',
        "m.toml:8: case bad: allow: found 'kernel-fliped'",
    ),
    "an unknown verdict": ('fail_on = "all"', "m.toml:8: case bad: fail_on: found 'all'"),
    "groups that do not divide": (
        "groups = 2",
        "m.toml:6: case bad: input (2, 3, 6, 7) with kernel (4, 3, 3, 3): no layout fits: ",
    ),
    "a default that does not fit": ("", "m.toml:2: case bad: padding [0, 0, 0]: found 3 axes"),
    "numbers that make no convolution": (
        "dilation = 9",
        "m.toml:4: case bad: the output would be empty along H",
    ),
    "a near word": (
        'pad_mode = "reflct"',
        "m.toml:8: case bad: pad_mode: found 'reflct', expected one of constant, edge, reflect",
    ),
    "a pad mode that is a number": (
        "pad_mode = 1",
        "m.toml:8: case bad: pad_mode: found 1, expected a word, or one per axis: "
        '["wrap", "constant"]',
    ),
    "pad modes of other axes": (
        'pad_mode = ["edge", "wrap", "edge"]',
        "m.toml:8: case bad: pad_mode edge,wrap,edge: found 3 modes, expected 1 or 2, one per",
    ),
    "a pad value that is a word": (
        "pad_value = true",
        "m.toml:8: case bad: pad_value: found true, expected a number, or one per input channel",
    ),
    "pad values of other channels": (
        "pad_value = [1, 2]",
        "m.toml:8: case bad: pad_value 1,2: found 2 numbers, expected 1 or 3, one per input",
    ),
    "a near type": (
        'dtype = "Float23"',
        "complex64, float16, float32, float64; did you mean float32?",
    ),
    "a name with a space": (
        'saved = { "my port" = "y.npy" }',
        "m.toml:8: case bad: saved: found {'my port': 'y.npy'}, expected a file",
    ),
    "a missing file": ('bias = "c.npy"', "m.toml:8: case bad: bias c.npy: found no such file"),
    "a name twice": (
        '[[case]]\nname = "bad"\ninput = "x.npy"\nkernel = "w.npy"',
        "m.toml:9: case bad: name: found 'bad' twice",
    ),
    "no input": (
        '[[case]]\nname = "none"',
        "m.toml:8: case none: input and kernel: found none, expected a file",
    ),
}


def write(path: Path, lines: str, padding: str = "1") -> None:
    path.write_text(
        f'[defaults]\npadding = {padding}\nbackends = []\n[[case]]\nname = "bad"\ninput = '
        f'"x.npy"\nkernel = "w.npy"\n{lines}\n'
        '[[case]]\nname = "good"\ninput = "x.npy"\nkernel = "w.npy"\nsaved = "y.npy"\npadding = 1\n'
    )


@pytest.mark.parametrize("name", BROKEN)
def test_a_manifest_that_cannot_be_read_is_one_line(name: str, invoke: Invoke) -> None:
    content, error = BROKEN[name]
    Path("m.toml").write_text(content)
    result = invoke("check", "m.toml")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith(f"convdiff: {error}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("name", WRONG)
def test_a_bad_case_is_a_row_of_trouble_with_its_line_and_key(name: str, invoke: Invoke) -> None:
    lines, error = WRONG[name]
    write(Path("m.toml"), lines, "[0, 0, 0]" if name == "a default that does not fit" else "1")
    result = invoke("check", "m.toml", "--format", "json")
    assert result.exit_code == 2
    cases = json.loads(result.stdout)["cases"]
    in_error = [case for case in cases if error in (case["message"] or "")]
    assert len(in_error) == 1, [case["message"] for case in cases]
    assert in_error[0]["exit_code"] == 2
    assert next(case for case in cases if case["name"] == "good")["exit_code"] == 0


def test_a_file_that_is_no_manifest_is_an_error(invoke: Invoke) -> None:
    assert (
        "none.toml: found no such file, expected a manifest" in invoke("check", "none.toml").stderr
    )
    assert "MANIFEST: found none" in invoke("check").stderr
    Path("raw.toml").write_bytes(b"\xff\xfe")
    assert "raw.toml: found bytes that are not UTF-8" in invoke("check", "raw.toml").stderr


def test_files_are_relative_to_the_manifest(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text(
        '[[case]]\ninput = "dump/x.npy"\nkernel = "/w.npy"\nsaved = ["a.npz:y"]\ncall = '
        '{ torch = "port.py:conv", jax = "input" }\n'
    )
    entry = load(tmp_path / "m.toml").entries[0]
    assert entry.keys["input"] == f"{tmp_path}/dump/x.npy"
    assert entry.keys["kernel"] == "/w.npy"
    assert entry.keys["saved"] == [f"{tmp_path}/a.npz:y"]
    assert entry.keys["call"] == [f"torch={tmp_path}/port.py:conv", "jax=input"]
    assert (entry.name, entry.place) == ("case-1", f"{tmp_path}/m.toml:1")


def test_a_folder_stands_for_its_manifest(tmp_path: Path) -> None:
    with pytest.raises(ConvdiffError, match=r"manifest\.toml: found no such file"):
        load(tmp_path)
