"""PyTorch: calls of torch.conv*, named after the module that makes them, the weights as the very
call had them.

A padding mode is the module's own doing before the call: where torch's own code pads, the module's
input and mode are recorded, with the output of the call.  What hooks, subclasses and patches do
around a call is not the convolution's.  The weight is the call's, since a parametrised one
(spectral norm in training) is another whenever it is asked for.  Source: torch.nn.modules.conv,
torch.overrides.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from convdiff.recorder.capture_folder import CaptureFolder, NoValues, RecordedLayer

PAD_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
DIRECT = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
TRANSPOSED = (
    "input",
    "weight",
    "bias",
    "stride",
    "padding",
    "output_padding",
    "groups",
    "dilation",
)
# Where torch's own `forward` and `_conv_forward` are.
HOME = "torch.nn.modules.conv"
# A node of a scripted module's graph.
_SCRIPTED = re.compile(r"::_?conv(\d|_transpose|olution)")


@contextmanager
def recorded(model: Any, recording: CaptureFolder) -> Iterator[Any]:
    """Record what `model` runs; gives the model."""
    torch = importlib.import_module("torch")
    recording.heading = f"Captured from {type(model).__name__} in torch {torch.__version__}."
    watch = _Watch(recording, model)
    handles = []
    scripted: set[Any] = set()
    for name, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            if module not in scripted and _SCRIPTED.search(
                str(getattr(module, "inlined_graph", ""))
            ):
                recording.skip(name or module.original_name, "it is scripted")
            scripted.update(module.modules())
            continue
        handles.append(module.register_forward_pre_hook(watch.entering(name), with_kwargs=True))
        handles.append(module.register_forward_hook(watch.leaving, always_call=True))
    try:
        with _mode(torch, watch):
            yield model
    finally:
        for handle in handles:
            handle.remove()


@dataclass
class _Running:
    """A module that is being run; `input` of one that is recorded as torch made it, whether a
    convolution was called in it.
    """

    name: str
    module: Any
    whole: bool
    input: Any
    seen: bool = False


class _Watch:
    """Which modules are being run, the innermost last."""

    def __init__(self, recording: CaptureFolder, model: Any) -> None:
        self.recording, self.model = recording, model
        self.path: list[_Running] = []

    def entering(self, name: str) -> Any:
        """A hook for a module of that name."""

        def hook(module: Any, args: Any, kwargs: Any) -> None:
            whole = _as_torch_made_it(module)
            self.path.append(
                _Running(
                    name,
                    module,
                    whole,
                    (args[0] if args else kwargs.get("input")) if whole else None,
                )
            )

        return hook

    def leaving(self, module: Any, args: Any, output: Any) -> None:
        """Its counterpart, called whatever happened."""
        at = next(
            (at for at in reversed(range(len(self.path))) if self.path[at].module is module), None
        )
        if at is None:
            return
        running = self.path[at]
        del self.path[at:]
        if module is self.model and output is not None:
            self.recording.gave(output, _array)
        if running.whole and not running.seen and output is not None:
            self.recording.skip(
                running.name or type(module).__name__,
                "no call of torch.conv* was seen in it, as in another thread",
            )

    def called(self, function: str, call: dict[str, Any], output: Any) -> None:
        """torch.conv2d or the like has been called: for the module that is being run, or by itself."""
        running = self.path[-1] if self.path else None
        for one in self.path:
            one.seen = True
        whole = running is not None and running.whole
        name = (
            running.name
            if running and whole
            else ".".join(filter(None, [running.name if running else "", function]))
        )
        with self.recording.skipping(name or function):
            self.recording.add(_layer(name, function, call, output, running if whole else None))


def _as_torch_made_it(module: Any) -> bool:
    """Whether it is a convolution whose padding and call are torch's own doing."""
    methods = {name: getattr(type(module), name, None) for name in ("forward", "_conv_forward")}
    return getattr(methods["forward"], "__module__", None) == HOME and all(
        name not in vars(module) and (method is None or method.__module__ == HOME)
        for name, method in methods.items()
    )


def _mode(torch: Any, watch: _Watch) -> Any:
    """A mode that sees every call of a convolution."""
    functions = {
        getattr(torch, f"conv{kind}{rank}d"): f"conv{kind}{rank}d"
        for kind in ("", "_transpose")
        for rank in (1, 2, 3)
    }

    class Mode(torch.overrides.TorchFunctionMode):  # type: ignore[misc]
        """Sees the calls."""

        def __torch_function__(
            self, function: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            output = function(*args, **(kwargs or {}))
            name = functions.get(function)
            if name:
                names = TRANSPOSED if "transpose" in name else DIRECT
                watch.called(
                    name, {**dict(zip(names, args, strict=False)), **(kwargs or {})}, output
                )
            return output

    return Mode()


def _layer(
    name: str, function: str, call: dict[str, Any], output: Any, running: _Running | None
) -> RecordedLayer:
    """The call; of a module that is recorded as torch made it, with the padding that its mode does
    before the call.
    """
    rank = int(re.sub(r"\D", "", function))
    transposed = "transpose" in function
    input, weight, bias = call["input"], call["weight"], call.get("bias")
    options = _options(rank, input.dim(), transposed)
    spread = {
        key: _each(call.get(key, default), rank)
        for key, default in (("stride", 1), ("dilation", 1))
    }
    options |= _numbers(**spread, groups=call.get("groups", 1))
    padding = call.get("padding", 0)
    if running is not None and running.module.padding_mode != "zeros":
        input, padding = running.input, running.module.padding
        options["pad_mode"] = PAD_MODES[running.module.padding_mode]
    options["padding"] = padding if isinstance(padding, str) else list(_each(padding, rank))
    if transposed:
        spread["padding"] = _each(padding, rank)
        options |= _tail(
            tuple(input.shape[-rank:]), tuple(output.shape[-rank:]), tuple(weight.shape[2:]), spread
        )
    return RecordedLayer(
        name,
        "torch",
        _array(input),
        _array(weight),
        _array(output),
        None if bias is None else _array(bias),
        options,
    )


def _options(rank: int, axes: int, transposed: bool) -> dict[str, Any]:
    space = "DHW"[3 - rank :]
    batched = "N" if axes == rank + 2 else ""
    return {
        "input_layout": f"{batched}C{space}",
        "kernel_layout": f"{'IO' if transposed else 'OI'}{space}",
        **({"transposed": True} if transposed else {}),
    }


def _numbers(**given: Any) -> dict[str, Any]:
    """Settings that are not 1 everywhere."""
    plain = {
        key: list(value) if isinstance(value, tuple | list) else int(value)
        for key, value in given.items()
    }
    return {
        key: value
        for key, value in plain.items()
        if value != 1 and value != [1] * (len(value) if isinstance(value, list) else 0)
    }


def _tail(
    n: tuple[int, ...], out: tuple[int, ...], k: tuple[int, ...], call: dict[str, Any]
) -> dict[str, Any]:
    """What was added at the end of a transposed convolution, by `output_padding` or by an output
    size that was asked for.
    """
    stride, padding, dilation = (
        _each(call[key], len(n)) for key in ("stride", "padding", "dilation")
    )
    tail = [
        y - ((m - 1) * s - 2 * p + d * (kk - 1) + 1)
        for y, m, s, p, d, kk in zip(out, n, stride, padding, dilation, k, strict=True)
    ]
    return {"output_padding": tail} if any(tail) else {}


def _each(value: Any, rank: int) -> tuple[int, ...]:
    parts = tuple(int(part) for part in value) if isinstance(value, tuple | list) else (int(value),)
    return parts * rank if len(parts) == 1 else parts


def _array(tensor: Any) -> Any:
    """As numpy; bfloat16, which numpy lacks, as its two raw bytes."""
    if getattr(tensor, "is_meta", False):
        raise NoValues("it is on the meta device, where tensors have no values")
    try:
        tensor = tensor.detach().cpu().contiguous()
        if str(tensor.dtype) == "torch.bfloat16":
            torch = importlib.import_module("torch")
            return tensor.view(torch.int16).numpy().view(np.dtype("V2"))
        return tensor.numpy()
    except (RuntimeError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise NoValues(
            f"its tensors have no values of their own, as inside torch.vmap ({reason})"
        ) from None
