"""`convdiff capture`: a model named on the command line, run once."""

from __future__ import annotations

import importlib.util
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from convdiff.arrays import read
from convdiff.errors import ConvdiffError
from convdiff.manifest import MANIFEST_FILE
from convdiff.recorder import capture

_ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
# Keras tells the layer first; torch.load and its like end with a colon.
_ANNOUNCES = re.compile(r"^Exception encountered when calling|:$")


def run(target: str, folder: str, inputs: Sequence[str]) -> str:
    """Record what `target` runs; a sentence that says what was recorded.  ConvdiffError for a
    target that cannot be run.
    """
    if target.endswith(".onnx"):
        with capture(target, folder) as session:
            arrays = [(name, read(file, "--input").array) for name, _, file in map(_named, inputs)]
            missing = session.missing(len(arrays), {name for name, _ in arrays if name})
            if missing:
                raise ConvdiffError(
                    f"{target}: found no --input for {', '.join(missing)}, expected "
                    f"{missing[0]}=FILE"
                )
            session(
                *(array for name, array in arrays if not name),
                **{name: array for name, array in arrays if name},
            )
        return _told(Path(folder))
    if inputs:
        raise ConvdiffError(
            f"--input {inputs[0]}: found it beside {target}, expected an ONNX model; a function "
            "gives its own inputs"
        )
    match = re.fullmatch(r"(.+\.py):(\w+)", target)
    if match is None:
        raise ConvdiffError(f"MODEL: found {target!r}, expected model.onnx or path.py:function")
    made = _theirs(target, _function(Path(match[1]), match[2]))
    if not isinstance(made, tuple) or len(made) < 2:
        raise ConvdiffError(
            f"{target}: it returned {_kind(made)}, expected the model and its arguments: return "
            "model, x"
        )
    model, *arguments = made
    with capture(model, folder):
        # linen's modules hold no parameters: those come first.
        call = (
            model.apply
            if "flax.linen" in {kind.__module__.rpartition(".")[0] for kind in type(model).__mro__}
            else model
        )
        _theirs(target, lambda: call(*arguments))
    return _told(Path(folder))


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"an object of type {type(value).__name__}"


def _theirs(target: str, do: Callable[[], Any]) -> Any:
    """What code of the user's gives; ConvdiffError, with where it was raised, if it raises."""
    try:
        return do()
    except ConvdiffError:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [
            frame
            for frame in frames
            if Path(frame.filename).name
            == Path(target.partition(".py:")[0]).with_suffix(".py").name
        ]
        where = f" ({own[-1].filename}:{own[-1].lineno})" if own else ""
        raise ConvdiffError(
            f"{target}: it raised {type(error).__name__}{where}: {_reason(error)}"
        ) from None


def _reason(error: Exception) -> str:
    """The first line of what an error says, with the next where the first only announces it;
    without a terminal's colours.
    """
    lines = [line.strip() for line in _ESCAPE.sub("", str(error)).splitlines() if line.strip()] or [
        ""
    ]
    last = next(
        (at for at, line in enumerate(lines) if not _ANNOUNCES.search(line)), len(lines) - 1
    )
    return " ".join(lines[: last + 1])


def _named(text: str) -> tuple[str, str, str]:
    name, equals, file = text.partition("=")
    return (name, equals, file) if equals and not Path(text).exists() else ("", "", text)


def _function(path: Path, name: str) -> Any:
    if not path.is_file():
        raise ConvdiffError(f"MODEL {path}: found no such file, expected path.py:function")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    # Its neighbours can be imported, as by `python path.py`.
    sys.path.insert(0, str(path.resolve().parent))
    loader = spec.loader
    _theirs(str(path), lambda: loader.exec_module(module))
    function = getattr(module, name, None)
    if not callable(function):
        known = [
            one
            for one, value in vars(module).items()
            if callable(value) and getattr(value, "__module__", "") == path.stem
        ]
        raise ConvdiffError(
            f"{path}:{name}: found no such function, expected one of "
            f"{', '.join(known) or 'them, and there is none'}"
        )
    return function


def _told(folder: Path) -> str:
    import tomllib

    count = len(tomllib.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))["case"])
    return (
        f"{folder / MANIFEST_FILE}: {count} convolution{'s' if count > 1 else ''}; "
        f"convdiff check {folder}"
    )
