"""`convdiff capture`: a model named on the command line, loaded and run once."""

from __future__ import annotations

import importlib.util
import re
import sys
import tomllib
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from convdiff.arrays import read
from convdiff.errors import ConvdiffError
from convdiff.manifest import MANIFEST_FILE
from convdiff.recorder import capture

_TERMINAL_ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
# First lines of an error that only announce the next: Keras names the layer, torch.load and others
# end the line with a colon.
_ANNOUNCEMENT = re.compile(r"^Exception encountered when calling|:$")


def run(target: str, folder: str, inputs: Sequence[str]) -> str:
    """Record what `target` runs, and return a sentence that says what was recorded.

    `target` is model.onnx, run on the arrays of `inputs`, or path.py:function. Raises ConvdiffError
    for a target that cannot be run.
    """
    if target.endswith(".onnx"):
        _run_onnx(target, folder, inputs)
    elif inputs:
        raise ConvdiffError(
            f"--input {inputs[0]}: found it with {target}, expected it only with an ONNX model; a "
            "function makes its own inputs"
        )
    else:
        _run_function(target, folder)
    return _summary(Path(folder))


def _run_onnx(target: str, folder: str, inputs: Sequence[str]) -> None:
    with capture(target, folder) as session:
        arrays = [(name, read(file, "--input").array) for name, file in map(_parse_input, inputs)]
        missing = session.missing(len(arrays), {name for name, _ in arrays if name})
        if missing:
            raise ConvdiffError(
                f"{target}: found no --input for {', '.join(missing)}, expected {missing[0]}=FILE"
            )
        session(
            *(array for name, array in arrays if not name),
            **{name: array for name, array in arrays if name},
        )


def _run_function(target: str, folder: str) -> None:
    match = re.fullmatch(r"(.+\.py):(\w+)", target)
    if match is None:
        raise ConvdiffError(f"MODEL: found {target!r}, expected model.onnx or path.py:function")
    result = _run_user_code(target, _load_function(Path(match[1]), match[2]))
    if not isinstance(result, tuple) or len(result) < 2:
        found = "nothing" if result is None else f"an object of type {type(result).__name__}"
        raise ConvdiffError(
            f"{target}: it returned {found}, expected the model and its arguments: return model, x"
        )
    model, *arguments = result
    packages = {base.__module__.rpartition(".")[0] for base in type(model).__mro__}
    # A linen module does not hold its parameters: they are the first argument of `apply`.
    call = model.apply if "flax.linen" in packages else model
    with capture(model, folder):
        _run_user_code(target, lambda: call(*arguments))


def _run_user_code(target: str, function: Callable[[], Any]) -> Any:
    """The result of `function`; an exception of the user's code becomes a ConvdiffError.

    The message says where in the target's file it was raised.
    """
    try:
        return function()
    except ConvdiffError:
        raise
    except Exception as error:
        file = Path(target.partition(".py:")[0]).with_suffix(".py").name
        frames = [
            frame
            for frame in traceback.extract_tb(error.__traceback__)
            if Path(frame.filename).name == file
        ]
        where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
        raise ConvdiffError(
            f"{target}: it raised {type(error).__name__}{where}: {_first_line(error)}"
        ) from None


def _first_line(error: Exception) -> str:
    """The first line of an error's message that says something, after those that announce it.

    Without the escapes that color it in a terminal.
    """
    plain = _TERMINAL_ESCAPE.sub("", str(error))
    lines = [line.strip() for line in plain.splitlines() if line.strip()] or [""]
    last = next(
        (at for at, line in enumerate(lines) if not _ANNOUNCEMENT.search(line)), len(lines) - 1
    )
    return " ".join(lines[: last + 1])


def _parse_input(text: str) -> tuple[str, str]:
    """(name, file) of `NAME=FILE` or `FILE`, whose name is empty."""
    name, equals, file = text.partition("=")
    return (name, file) if equals and not Path(text).exists() else ("", text)


def _load_function(path: Path, name: str) -> Any:
    if not path.is_file():
        raise ConvdiffError(f"MODEL {path}: found no such file, expected path.py:function")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    # Modules beside it can be imported, as with `python path.py`.
    sys.path.insert(0, str(path.resolve().parent))
    loader = spec.loader
    _run_user_code(str(path), lambda: loader.exec_module(module))
    function = getattr(module, name, None)
    if not callable(function):
        functions = [
            key
            for key, value in vars(module).items()
            if callable(value) and getattr(value, "__module__", "") == path.stem
        ]
        expected = (
            f"one of {', '.join(functions)}" if functions else "a function, the file has none"
        )
        raise ConvdiffError(f"{path}:{name}: found no such function, expected {expected}")
    return function


def _summary(folder: Path) -> str:
    count = len(tomllib.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))["case"])
    convolutions = f"{count} convolution{'s' if count > 1 else ''}"
    return f"{folder / MANIFEST_FILE}: {convolutions}; convdiff check {folder}"
