"""CONTRIBUTING.md and README.md hold what they say: what they name exists, and the recipes work.

A recipe's code blocks are applied to a copy of the repository: a block of Python is a new file, a
block of diff changes one, and both belong to the file that is named last before them.
"""

from __future__ import annotations

import ast
import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import pytest
import yaml

from benchmarks.run import BENCHMARKS
from convdiff.cli.main import group
from convdiff.execution_paths import PATHS
from tests.packaging.lowest_versions import ROOT
from tests.recorder.conftest import need
from tests.test_layering import ROWS

PAGES = ("CONTRIBUTING.md", "README.md", "CHANGELOG.md")
FOLDERS = ("convdiff", "tests", "examples", "benchmarks", ".ci", ".github")
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[([^]]*)\]\(([^)]*)\)")
# What only a recipe adds, and names that look like paths or modules.
NEW = re.compile("im2col|csv|tinynet")
OTHER_NAMES = ("convdiff/1", "convdiff.toml", "convdiff.backends")
# Paths of devices that this project has never had.
NEVER_RUN = re.compile(r"cudnn:|\w+:(cuda|gpu|mps)\b")


# What the pages name


class Page(NamedTuple):
    """A page in parts: its text without code blocks, and the code blocks with their language."""

    prose: str
    blocks: list[tuple[str, str]]

    @property
    def quoted(self) -> list[str]:
        """What stands in backticks, on one line each."""
        return [" ".join(text.split()) for text in re.findall(r"`([^`]+)`", self.prose)]

    @property
    def commands(self) -> list[str]:
        """Command lines: those of blocks without a language, and those in backticks."""
        lines = [
            line for language, text in self.blocks if not language for line in text.split("\n")
        ]
        starts = ("convdiff ", "make ", ".venv/bin/python ", "CONVDIFF_")
        known = [line for line in (*lines, *self.quoted) if line.startswith(starts)]
        return [re.split(r"\s+#\s|; ", line)[0] for line in known]


def page(text: str) -> Page:
    blocks = [(language, textwrap.dedent(code)) for _, language, code in FENCE.findall(text)]
    return Page(FENCE.sub("", text), blocks)


def missing(text: str) -> list[str]:
    """What a page names that does not exist."""
    parts = page(text)
    return [
        *missing_links(parts, text),
        *missing_paths(parts),
        *missing_commands(parts),
        *missing_options(parts),
    ]


def missing_links(parts: Page, text: str) -> Iterator[str]:
    """Links to files and headings that do not exist; names that a linked file does not define."""
    for words, target in LINK.findall(parts.prose):
        file, _, heading = target.partition("#")
        if target.startswith("http"):
            continue
        if not (ROOT / file).exists():
            yield f"link to {file}"
        elif heading and heading not in headings((ROOT / file).read_text() if file else text):
            yield f"link to the heading {target}"
        elif file.endswith(".py") and re.fullmatch(r"`\w+`", words):
            absent = {words.strip("`")} - definitions(ROOT / file)
            yield from (f"{name} in {file}" for name in absent)


def headings(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    lines = re.findall(r"^#+ (.*)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\s-]", "", line).strip().lower().replace(" ", "-") for line in lines}


def definitions(file: Path) -> set[str]:
    """The classes, functions and constants that a module defines or imports at its top."""
    names = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
    return names


def missing_paths(parts: Page) -> Iterator[str]:
    """Files, folders and modules in backticks; of a recipe's new files, the folders."""
    folder = re.compile(rf"({'|'.join(map(re.escape, FOLDERS))})(/[\w.*-]+)*/?")
    for text in parts.quoted:
        if text in OTHER_NAMES:
            continue
        if folder.fullmatch(text):
            place = str(Path(text).parent) if NEW.search(text) else text.rstrip("/")
            there = bool(list(ROOT.glob(place)))
        elif re.fullmatch(r"[A-Z]\w+\.md|Makefile|pyproject\.toml", text):
            there = (ROOT / text).exists()
        elif re.fullmatch(r"convdiff(\.\w+)+", text):
            there = resolves(text)
        else:
            continue
        if not there:
            yield text


def resolves(name: str) -> bool:
    """Whether it is a module, or an attribute of one."""
    module, _, attribute = name.rpartition(".")
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        return hasattr(importlib.import_module(module), attribute) if module else False
    return True


def missing_commands(parts: Page) -> Iterator[str]:
    """Command lines that name no target of make, no command or option of convdiff, no test."""
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for line in parts.commands:
        words = shlex.split(line)
        if words[0] == "make":
            if not set(words[1:]) <= set(targets):
                yield line
        elif words[0] == "convdiff":
            if not known_command([word for word in words[1:] if not NEW.search(word)]):
                yield line
        elif "pytest" in words or "benchmarks/run.py" in words:
            places = [word for word in words if word.startswith(("tests/", "benchmarks/"))]
            names = words[words.index("benchmarks/run.py") + 1 :] if "pytest" not in words else []
            if not set(names) <= set(BENCHMARKS) or not all((ROOT / it).exists() for it in places):
                yield line


def known_command(words: list[str]) -> bool:
    """Whether the command line's command, subcommand and options exist."""
    command: click.Command = group
    context = click.Context(group)
    while isinstance(command, click.Group) and words and words[0] in command.list_commands(context):
        found = command.get_command(context, words[0])
        assert found is not None
        command, words = found, words[1:]
    if isinstance(command, click.Group) and words and not words[0].startswith("-"):
        return False
    options = {option for parameter in command.params for option in parameter.opts}
    options |= {
        "--help",
        *(text for parameter in command.params for text in parameter.secondary_opts),
    }
    return {word for word in words if word.startswith("--")} <= options


def missing_options(parts: Page) -> Iterator[str]:
    """Options in backticks that no command has, and environment variables that no file reads."""
    context = click.Context(group)
    commands = [group.get_command(context, name) for name in group.list_commands(context)]
    known = {"--check"}  # ruff format --check
    for command in [group, *filter(None, commands)]:
        for parameter in command.params:
            known |= {*parameter.opts, *parameter.secondary_opts}
    for text in parts.quoted:
        if text.startswith("--") and text.split()[0] not in known:
            yield text
    sources = {*ROOT.glob("tests/**/*.py"), *ROOT.glob("convdiff/**/*.py")} - {Path(__file__)}
    read = {name for file in sources for name in re.findall(r"\bCONVDIFF_\w+", file.read_text())}
    yield from {*re.findall(r"\bCONVDIFF_\w+", parts.prose)} - read


def questions(name: str) -> str:
    """The labels and descriptions of an issue form."""
    form = yaml.safe_load((ROOT / f".github/ISSUE_TEMPLATE/{name}.yml").read_text())
    assert {"name", "description", "body"} <= set(form)
    fields = [field["attributes"] for field in form["body"]]
    return "\n".join(f"{field['label']}\n{field.get('description', '')}" for field in fields)


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("bug", ["`convdiff --version`", "`convdiff backends`", "command", "two arrays"]),
        ("wrong-diagnosis", ["really do", "arrays", "`convdiff --version`"]),
        ("feature", ["question"]),
    ],
)
def test_an_issue_form_asks_for_what_is_needed(name: str, asked: list[str]) -> None:
    text = questions(name)
    assert [words for words in asked if words not in text] == []
    assert missing(text) == []


@pytest.mark.parametrize("name", PAGES)
def test_what_a_page_names_exists(name: str) -> None:
    assert missing((ROOT / name).read_text()) == []


@pytest.mark.parametrize(
    ("lie", "named"),
    [
        ("see [here](convdiff/nowhere.py)", "link to convdiff/nowhere.py"),
        ("see [there](README.md#no-such-heading)", "link to the heading README.md#no-such-heading"),
        ("[`no_such`](convdiff/records.py) is one", "no_such in convdiff/records.py"),
        ("look into `convdiff/diagnose/turns.py`", "convdiff/diagnose/turns.py"),
        ("`tests/diagnose/test_none.py` holds it", "tests/diagnose/test_none.py"),
        ("`convdiff.diagnose.turns` says when", "convdiff.diagnose.turns"),
        ("```\nmake all\n```", "make all"),
        ("```\nconvdiff run x.npy --no-such 3  # an option\n```", "convdiff run x.npy --no-such 3"),
        ("`convdiff reduce x.npy` makes it small", "convdiff reduce x.npy"),
        ("say `--gradually`", "--gradually"),
        (
            "```\n.venv/bin/python -m pytest -q tests/no_such.py\n```",
            ".venv/bin/python -m pytest -q tests/no_such.py",
        ),
        (
            "`.venv/bin/python benchmarks/run.py no_such`",
            ".venv/bin/python benchmarks/run.py no_such",
        ),
        ("set `CONVDIFF_MOOD`", "CONVDIFF_MOOD"),
    ],
)
def test_a_name_that_does_not_exist_is_reported(lie: str, named: str) -> None:
    assert missing(lie) == [named]


def test_the_map_has_every_package_and_module() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    rows = re.findall(r"^\| `(convdiff/[\w/.]+)` \|", text, re.MULTILINE)
    folders = {path.parent for path in (ROOT / "convdiff").glob("**/__init__.py")}
    folders -= {ROOT / "convdiff"}
    modules = {path for path in (ROOT / "convdiff").glob("*.py") if path.name != "__init__.py"}
    assert sorted(rows) == sorted(str(path.relative_to(ROOT)) for path in folders | modules)


def test_the_picture_has_the_order_of_the_layers() -> None:
    (picture,) = re.findall(r"```text\n(.*?)```", section("The map"), re.DOTALL)
    rows = [[name for name in row if name != "__main__"] for row in ROWS]
    at = {
        name: found.start()
        for row in rows
        for name in row
        if (found := re.search(rf"\b{name}\b", picture))
    }
    assert set(at) == {name for row in rows for name in row}
    for upper, lower in pairwise(filter(None, rows)):
        assert max(at[name] for name in upper) < min(at[name] for name in lower)


def test_the_table_of_paths_has_every_path() -> None:
    """Those of a GPU or a Mac are named together, as never run."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    listed = re.findall(r"^\| (\w+:[\w/-]+) \|", text, re.MULTILINE)
    names = {f"{path.backend}:{path.name}" for path in PATHS}
    assert set(listed) == {name for name in names if not NEVER_RUN.match(name)}


# What the recipes do


class Step(NamedTuple):
    """A code block of a recipe, and the file that it belongs to."""

    path: str
    language: str
    code: str


def steps(text: str) -> list[Step]:
    """The blocks of Python and diff in a recipe, each with the path that is named before it."""
    found, path = [], ""
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        fence = re.match(r"^( *)```(\w*)$", lines[at])
        if fence is None:
            names = re.findall(r"`((?:convdiff|tests)/[\w/.]+\.py)`", lines[at])
            path = names[-1] if names else path
        else:
            end = next(i for i in range(at + 1, len(lines)) if lines[i].strip() == "```")
            indent = len(fence[1])
            code = "".join(f"{line[indent:]}\n" for line in lines[at + 1 : end])
            if fence[2] in ("python", "diff"):
                found.append(Step(path, fence[2], code))
            at = end
        at += 1
    return found


def section(heading: str) -> str:
    """A section of CONTRIBUTING.md, up to the next heading of its level."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    start = text.index(f"\n## {heading}\n")
    end = text.find("\n## ", start + 1)
    return text[start : end if end > 0 else len(text)]


def changed(text: str, diff: str) -> str:
    """`text` after a hunk without line numbers.

    ValueError unless the lines that the hunk expects occur exactly once.
    """
    lines, hunk = text.splitlines(), diff.splitlines()
    old = [line[1:] for line in hunk if not line.startswith("+")]
    new = [line[1:] for line in hunk if not line.startswith("-")]
    places = [at for at in range(len(lines)) if lines[at : at + len(old)] == old]
    if len(places) != 1:
        raise ValueError(
            "CONTRIBUTING.md shows lines of a file as they are not: they occur "
            f"{len(places)} times there, expected once: {old}"
        )
    lines[places[0] : places[0] + len(old)] = new
    return "".join(f"{line}\n" for line in lines)


class Copy(NamedTuple):
    """A copy of the repository, to be changed."""

    root: Path

    def follow(self, recipe: str) -> list[Path]:
        """Apply a recipe's blocks; returns the files that were written."""
        written = []
        for step in steps(recipe):
            file = self.root / step.path
            if step.language == "python":
                assert not file.exists(), f"{step.path} is not new"
                file.write_text(step.code)
            else:
                try:
                    file.write_text(changed(file.read_text(), step.code))
                except ValueError as error:
                    raise ValueError(f"{step.path}: {error}") from error
            written.append(file)
        return written

    def python(self, *arguments: str | Path, **variables: str) -> str:
        """What Python prints that imports convdiff from the copy; AssertionError if it fails."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": str(self.root), "COLUMNS": "200", **variables},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def pytest(self, *arguments: str, **variables: str) -> str:
        """The output of pytest in the copy."""
        return self.python(
            "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *arguments, **variables
        )

    def lint(self, files: list[Path]) -> None:
        """AssertionError unless ruff accepts the files, whatever the length of their comments."""
        for command in (["check", "--ignore", "E501"], ["format", "--check"]):
            self.python("-m", "ruff", *command, "--no-cache", *files)


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    root = tmp_path / "copy"
    ignore = shutil.ignore_patterns("__pycache__")
    for folder in ("convdiff", "tests", "examples/backend-plugin"):
        shutil.copytree(ROOT / folder, root / folder, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", root)
    random = np.random.default_rng(0)
    np.save(root / "x.npy", random.integers(-4, 5, (1, 3, 7, 6)).astype(np.float32))
    np.save(root / "w.npy", random.integers(-4, 5, (4, 3, 3, 3)).astype(np.float32))
    return Copy(root)


RUN = ("-m", "convdiff", "run", "x.npy", "w.npy", "--padding", "1")


@pytest.mark.parametrize(
    "diff", [" no such line\n+another\n", "-from __future__ import annotations\n+import os\n"]
)
def test_a_hunk_that_does_not_fit_is_an_error(diff: str) -> None:
    twice = "from __future__ import annotations\n" * 2
    with pytest.raises(ValueError, match="expected once"):
        changed(twice, diff)


def test_the_recipe_for_a_hypothesis(copy: Copy) -> None:
    written = copy.follow(section("Add a hypothesis"))
    copy.lint(written)
    output = copy.pytest(
        "tests/diagnose/hypotheses",
        "tests/diagnose/test_planted.py",
        *("-k", "SumsSquared or sums-squared or sums_squared or every_code_is_planted"),
    )
    assert set(output.split("[100%]")[0].strip()) == {"."}
    explained = copy.python("-m", "convdiff", "explain", "sums-squared")
    assert "the energy of a Gabor filter" in explained


def test_a_hypothesis_that_lacks_its_sentence_is_named(copy: Copy) -> None:
    copy.follow(section("Add a hypothesis"))
    module = copy.root / "convdiff/diagnose/hypotheses/output_values.py"
    sentence = '        return "the sums were squared"\n'
    head = "    def sentence(self, edit: Edit) -> str:\n"
    assert head + sentence in module.read_text()
    module.write_text(module.read_text().replace(head + sentence, ""))
    with pytest.raises(AssertionError, match="SumsSquared lacks `sentence`"):
        copy.pytest("tests/diagnose/hypotheses/test_base.py", "-k", "SumsSquared")


def test_the_recipe_for_a_report_format(copy: Copy) -> None:
    files = copy.follow(section("Add a report format"))
    assert [file.name for file in files[:1]] == ["csv_report.py"]
    copy.lint(files)
    copy.python(*RUN, "--backend", "numpy", "--csv", "report.csv")
    assert (copy.root / "report.csv").read_text().splitlines() == [
        "case,row,verdict",
        "run,numpy,identical",
    ]
    copy.pytest("tests/report/test_csv_report.py", CONVDIFF_REFRESH="1")
    copy.pytest("tests/report/test_csv_report.py")
    assert list((copy.root / "tests/report/golden").glob("*.csv"))
    copy.pytest("tests/test_layering.py", "-k", "csv_report")


@pytest.mark.xdist_group("torch")
def test_the_recipe_for_an_execution_path(copy: Copy) -> None:
    files = copy.follow(section("Add an execution path"))
    copy.lint(files)
    code = copy.python("-m", "convdiff", "code", "x.npy", "w.npy", "--for", "torch:cpu/one-thread")
    assert "torch.set_num_threads(1)\n" in code
    need("torch", "torch")
    row = copy.python(*RUN, "--backend", "torch:cpu/one-thread", "--format", "json")
    assert '"verdict": "identical"' in row
    assert copy.pytest("tests/dialects/test_execution_paths.py", "-k", "one-thread").startswith(".")


def test_the_recipe_for_a_backend_in_the_tree(copy: Copy) -> None:
    """With the dialect and the adapter of the plugin, in the places that the recipe names."""
    plugin = copy.root / "examples/backend-plugin"
    recipe = section("Add a backend to the tree")
    dialect, adapter = (
        copy.root
        / next(name for name in re.findall(r"`(convdiff/[\w/.]+)`", recipe) if kind in name)
        for kind in ("_dialect.py", "_adapter.py")
    )
    code, _, _ = (plugin / "convdiff_im2col/__init__.py").read_text().partition("PLUGIN = ")
    code = code.replace("from convdiff.plugins import Plugin\n", "")
    dialect.write_text(
        code.replace("convdiff.dialects import", "convdiff.dialects.script import")
        + "DIALECT = Dialect(write, default)\n"
    )
    shutil.copy(plugin / "convdiff_im2col/adapter.py", adapter)
    copy.lint(copy.follow(recipe))
    library = f"{copy.root}{os.pathsep}{plugin}"
    row = copy.python(*RUN, "--backend", "im2col", "--format", "json", PYTHONPATH=library)
    assert '"verdict": "identical"' in row and '"path": "rows first"' in row
    copy.pytest("tests/test_layering.py", "-k", "im2col")


def test_the_recipe_for_a_plugin(copy: Copy, tmp_path: Path) -> None:
    """The example, copied, with a library of another name, installed, and run."""
    recipe = section("Add a backend as a plugin")
    plugin, site = tmp_path / "columns", tmp_path / "site"
    shutil.copytree(copy.root / "examples/backend-plugin", plugin)
    (plugin / "im2col.py").rename(plugin / "columns.py")
    (plugin / "convdiff_im2col").rename(plugin / "convdiff_columns")
    for file in plugin.rglob("*.*"):
        file.write_text(file.read_text().replace("im2col", "columns"))
    for name in re.findall(r"^\d\. `([\w./]+)`:", recipe, re.MULTILINE):
        assert (plugin / name.replace("im2col", "columns")).is_file(), name
    install = "-m pip install --quiet --no-deps --no-build-isolation --no-index --target"
    copy.python(*install.split(), site, plugin)
    (command,) = re.findall(r"^convdiff run .*", recipe, re.MULTILINE)
    words = shlex.split(command.replace("im2col", "columns"))
    paths = {"PYTHONPATH": f"{copy.root}{os.pathsep}{site}"}
    row = copy.python("-m", *words, "--format", "json", **paths)
    assert row.count('"verdict": "identical"') == 2


TINYNET = """
import numpy as np
class Layer:
    padding = 1
    def __init__(self, name, kernel):
        self.name, self.kernel = name, kernel
    def __call__(self, x):
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, self.kernel.shape[2:], (2, 3))
        return np.einsum("nchwij,ocij->nohw", windows, self.kernel)
class Model:
    def __init__(self, layers):
        self.layers, self.hooks = layers, []
    def __call__(self, x):
        for layer in self.layers:
            y = layer(x)
            for hook in self.hooks:
                hook(layer, x, y)
            x = y
        return x
"""
CAPTURE = """
import numpy as np, convdiff
from tinynet import Layer, Model
model = Model([Layer("first", np.load("w.npy")), Layer("second", np.ones((2, 4, 3, 3)))])
with convdiff.capture(model, "dump"):
    model(np.load("x.npy"))
assert not model.hooks
"""


def test_the_recipe_for_a_framework_of_capture(copy: Copy) -> None:
    copy.lint(copy.follow(section("Add a layer kind or a framework for capture")))
    (copy.root / "tinynet.py").write_text(TINYNET)
    copy.python("-c", CAPTURE)
    report = copy.python("-m", "convdiff", "check", "dump")
    assert "all 2 cases agree" in report or "2 of 2 cases agree" in report, report
