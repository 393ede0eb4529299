"""PyTorch: modules by forward hooks, the weights as the very call had them, and calls of torch.conv* outside any such module.

A hook knows the module's padding mode and name; the weight is taken from the call underneath, since a parametrised one (spectral
norm in training) is another whenever it is asked for.  Source: torch.nn.modules.conv, torch.overrides.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from convdiff.capturing.recording import Layer, Recording

PAD_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
DIRECT = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
TRANSPOSED = ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation")


@contextmanager
def recorded(model: Any, recording: Recording) -> Iterator[Any]:
    """Record what `model` runs; gives the model."""
    torch = importlib.import_module("torch")
    recording.heading = f"Captured from a {type(model).__name__} in torch {torch.__version__}."
    watch = _Watch(recording)
    handles = []
    kinds = [getattr(torch.nn, f"Conv{kind}{rank}d") for kind in ("", "Transpose") for rank in (1, 2, 3)]
    # A subclass with a forward of its own may pad, scale or activate around the call: there the call itself is what is known.
    plain = {kind.forward for kind in kinds}
    for name, module in model.named_modules():
        conv = type(module).forward in plain
        handles.append(module.register_forward_pre_hook(watch.entering(name, conv)))
        handles.append(module.register_forward_hook(watch.leaving(name, conv), with_kwargs=True, always_call=True))
    try:
        with _mode(torch, watch):
            yield model
    finally:
        for handle in handles:
            handle.remove()


class _Watch:
    """Which modules are being run, and what the innermost convolution was called with."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.path: list[tuple[str, bool]] = []
        self.call: dict[str, Any] | None = None

    def entering(self, name: str, conv: bool) -> Any:
        """A hook for a module of that name."""

        def hook(module: Any, args: Any) -> None:
            self.path.append((name, conv))
            self.call = None

        return hook

    def leaving(self, name: str, conv: bool) -> Any:
        """Its counterpart, called whatever happened."""

        def hook(module: Any, args: Any, kwargs: Any, output: Any) -> None:
            if (name, conv) in self.path:
                del self.path[len(self.path) - 1 - self.path[::-1].index((name, conv)) :]
            if conv and self.call is not None and output is not None:
                self.recording.add(_of_module(name, module, args[0] if args else kwargs["input"], self.call, output))
                self.call = None

        return hook

    def called(self, function: str, call: dict[str, Any], output: Any) -> None:
        """torch.conv2d or the like has been called: for the module that is being run, or by itself."""
        if self.path and self.path[-1][1]:
            self.call = call
            return
        name = ".".join(filter(None, [self.path[-1][0] if self.path else "", function]))
        self.recording.add(_of_call(name, function, call, output))


def _mode(torch: Any, watch: _Watch) -> Any:
    """A mode that sees every call of a convolution."""
    functions = {getattr(torch, f"conv{kind}{rank}d"): f"conv{kind}{rank}d" for kind in ("", "_transpose") for rank in (1, 2, 3)}

    class Mode(torch.overrides.TorchFunctionMode):  # type: ignore[misc]
        """Sees the calls."""

        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            output = function(*args, **(kwargs or {}))
            name = functions.get(function)
            if name:
                names = TRANSPOSED if "transpose" in name else DIRECT
                watch.called(name, {**dict(zip(names, args, strict=False)), **(kwargs or {})}, output)
            return output

    return Mode()


def _of_module(name: str, module: Any, input: Any, call: dict[str, Any], output: Any) -> Layer:
    rank = len(module.kernel_size)
    options = _options(rank, input.dim(), module.transposed)
    options |= _numbers(stride=module.stride, dilation=module.dilation, groups=module.groups)
    padding = module.padding if isinstance(module.padding, str) else list(module.padding)
    mode = PAD_MODES[module.padding_mode]
    options |= {"padding": padding, **({"pad_mode": mode} if mode != "constant" else {})}
    if module.transposed:
        options |= _tail(tuple(input.shape[-rank:]), tuple(output.shape[-rank:]), module.kernel_size, call | {
            "stride": module.stride, "padding": module.padding, "dilation": module.dilation})
    return _layer(name, input, call, output, options)


def _of_call(name: str, function: str, call: dict[str, Any], output: Any) -> Layer:
    rank = int(re.sub(r"\D", "", function))
    transposed = "transpose" in function
    input, weight = call["input"], call["weight"]
    options = _options(rank, input.dim(), transposed)
    spread = {key: _each(call.get(key, default), rank) for key, default in (("stride", 1), ("dilation", 1))}
    options |= _numbers(**spread, groups=call.get("groups", 1))
    padding = call.get("padding", 0)
    options["padding"] = padding if isinstance(padding, str) else list(_each(padding, rank))
    if transposed:
        spread["padding"] = _each(padding, rank)
        options |= _tail(tuple(input.shape[-rank:]), tuple(output.shape[-rank:]), tuple(weight.shape[2:]), spread)
    return _layer(name, input, call, output, options)


def _options(rank: int, axes: int, transposed: bool) -> dict[str, Any]:
    space = "DHW"[3 - rank :]
    batched = "N" if axes == rank + 2 else ""
    return {"input_layout": f"{batched}C{space}", "kernel_layout": f"{'IO' if transposed else 'OI'}{space}",
            **({"transposed": True} if transposed else {})}


def _numbers(**given: Any) -> dict[str, Any]:
    """Settings that are not 1 everywhere."""
    plain = {key: list(value) if isinstance(value, tuple | list) else int(value) for key, value in given.items()}
    return {key: value for key, value in plain.items() if value != 1 and value != [1] * (len(value) if isinstance(value, list) else 0)}


def _tail(n: tuple[int, ...], out: tuple[int, ...], k: tuple[int, ...], call: dict[str, Any]) -> dict[str, Any]:
    """What was added at the end of a transposed convolution, by `output_padding` or by an output size that was asked for."""
    stride, padding, dilation = (_each(call[key], len(n)) for key in ("stride", "padding", "dilation"))
    tail = [y - ((m - 1) * s - 2 * p + d * (kk - 1) + 1) for y, m, s, p, d, kk in zip(out, n, stride, padding, dilation, k, strict=True)]
    return {"output_padding": tail} if any(tail) else {}


def _each(value: Any, rank: int) -> tuple[int, ...]:
    parts = tuple(int(part) for part in value) if isinstance(value, tuple | list) else (int(value),)
    return parts * rank if len(parts) == 1 else parts


def _layer(name: str, input: Any, call: dict[str, Any], output: Any, options: dict[str, Any]) -> Layer:
    bias = call.get("bias")
    return Layer(name, "torch", _array(input), _array(call["weight"]), _array(output), None if bias is None else _array(bias), options)


def _array(tensor: Any) -> Any:
    """As numpy; bfloat16, which numpy lacks, as its two raw bytes."""
    tensor = tensor.detach().cpu().contiguous()
    if str(tensor.dtype) == "torch.bfloat16":
        torch = importlib.import_module("torch")
        return tensor.view(torch.int16).numpy().view(np.dtype("V2"))
    return tensor.numpy()
