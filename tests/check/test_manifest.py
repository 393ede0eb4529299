"""Manifests as files: what is wrong with one is told with file, line and key; what is written is
read back.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convdiff.errors import ConvdiffError
from convdiff.manifest import keys, load, manifest_text
from convdiff.manifest.line_numbers import case_line, key_line
from convdiff.pipeline.request import Request
from convdiff.spec.settings import Settings
from tests.cli.conftest import Invoke

# A manifest that cannot be read at all; the one line that says so.
BROKEN: dict[str, tuple[str, str]] = {
    "no TOML": ("[defaults]\nstride = = 2\n", "m.toml:2:10: invalid value, expected TOML"),
    "no case": ("[defaults]\nstride = 2\n", "m.toml: found no case, expected [[case]]"),
    "empty": ("", "m.toml: found no case, expected [[case]]"),
    "another table": (
        "\n[[cases]]\ninput = 1\n",
        "m.toml:2: key: found 'cases', expected one of case, defaults, outputs; did you mean case?",
    ),
    "a default that is none": (
        "[defaults]\n\nstrde = 2\n[[case]]\n",
        "m.toml:3: [defaults] key: found 'strde'",
    ),
    "a default of one case": (
        "[defaults]\ninput = 'x.npy'\n[[case]]\n",
        "m.toml:2: [defaults] key: found 'input'",
    ),
    "a default of another type": (
        "[defaults]\nflip = 'yes'\n[[case]]\n",
        "m.toml:2: [defaults] flip: found 'yes', expected true or false",
    ),
    "defaults that are none": (
        "defaults = 3\n[[case]]\n",
        "m.toml:1: defaults: found 3, expected a table",
    ),
}
# A case that is wrong: the lines of its table, from line 5 on, and what is said.
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
    "a near type": (
        'dtype = "Float23"',
        "expected one of bfloat16, float16, float32, float64; did you mean float32?",
    ),
    "a name that is none": (
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
    content, said = BROKEN[name]
    Path("m.toml").write_text(content)
    result = invoke("check", "m.toml")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith(f"convdiff: {said}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("name", WRONG)
def test_a_bad_case_is_a_row_of_trouble_with_its_line_and_key(name: str, invoke: Invoke) -> None:
    lines, said = WRONG[name]
    write(Path("m.toml"), lines, "[0, 0, 0]" if name == "a default that does not fit" else "1")
    result = invoke("check", "m.toml", "--format", "json")
    assert result.exit_code == 2
    from json import loads

    cases = {case["message"]: case for case in loads(result.stdout)["cases"]}
    told = [message for message in cases if message and said in message]
    assert len(told) == 1, list(cases)
    assert cases[told[0]]["exit_code"] == 2
    assert next(case for case in cases.values() if case["name"] == "good")["exit_code"] == 0


def test_a_file_that_is_none_is_told(invoke: Invoke) -> None:
    assert (
        "none.toml: found no such file, expected a manifest" in invoke("check", "none.toml").stderr
    )
    assert "MANIFEST: found none" in invoke("check").stderr
    Path("raw.toml").write_bytes(b"\xff\xfe")
    assert "raw.toml: found bytes that are not UTF-8" in invoke("check", "raw.toml").stderr


def test_every_option_of_run_is_a_key() -> None:
    said = {"settings", "command", "align", "calls", "pictures", "notes"}
    options = {name.rstrip("_") for name in Settings.names()} | {
        name for name in Request.__dataclass_fields__ if name not in said
    }
    assert options | {"name", "allow", "call", "no_align"} == set(keys.KEYS)


def test_a_line_is_that_of_the_real_case() -> None:
    content = 'x = """\n[[case]]\n"""\n[[case]]\nname = "a"\n\n[[ "case" ]]\nname = "b"\n'
    assert [case_line(content, number) for number in (0, 1)] == [4, 7]
    assert key_line(content, "case", 1, "name") == 8
    assert key_line('[[case]]\n"stride" = 2\nsaved.port = "y"\n', "case", 0, "saved") == 3
    assert key_line("case = [{a = 1,\n b = 2}]\n", "case", 0, "b") == 1


NAMES = st.text(min_size=1, max_size=8)
VALUES = st.one_of(
    st.booleans(),
    st.integers(-9, 9),
    NAMES,
    st.lists(st.integers(), max_size=3),
    st.dictionaries(NAMES, NAMES, max_size=2),
)


@given(
    st.lists(
        st.dictionaries(NAMES.filter(lambda name: name != "#"), VALUES, max_size=4),
        min_size=1,
        max_size=3,
    )
)
def test_what_is_written_is_read_back(cases: list[dict[str, object]]) -> None:
    assert tomllib.loads(manifest_text(cases))["case"] == cases


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
