"""PyTorch: calls of torch.conv*, named after the module that makes them.

A padding mode is applied by the module before the call. Where torch's own code does that, the
module's input and mode are recorded with the output of the call. What hooks, subclasses and patches
do around a call is not part of the convolution. The weight is that of the call, since a
parametrized one (spectral norm in training) changes every time it is read. Sources:
torch.nn.modules.conv, torch.overrides.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from convdiff.recorder.capture_folder import CaptureFolder, RecordedLayer, ValuesUnavailable

PAD_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
# The positional parameters of torch.conv* and torch.conv_transpose*.
DIRECT_PARAMETERS = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
TRANSPOSED_PARAMETERS = (
    "input",
    "weight",
    "bias",
    "stride",
    "padding",
    "output_padding",
    "groups",
    "dilation",
)
# The module that defines torch's own `forward` and `_conv_forward`.
TORCH_CONV_MODULE = "torch.nn.modules.conv"
# A convolution in the graph of a scripted module.
_SCRIPTED_CONVOLUTION = re.compile(r"::_?conv(\d|_transpose|olution)")


@contextmanager
def record_calls(model: Any, capture_folder: CaptureFolder) -> Iterator[Any]:
    """Record what `model` runs inside the block; yields the model."""
    torch = importlib.import_module("torch")
    capture_folder.heading = f"Captured from {type(model).__name__} in torch {torch.__version__}."
    recorder = _CallRecorder(capture_folder, model)
    handles = []
    scripted: set[Any] = set()
    for name, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            # A scripted module's graph has the convolutions of those inside it too.
            graph = str(getattr(module, "inlined_graph", ""))
            if module not in scripted and _SCRIPTED_CONVOLUTION.search(graph):
                capture_folder.skip(name or module.original_name, "it is scripted")
            scripted.update(module.modules())
            continue
        enter = recorder.enter_hook(name)
        handles.append(module.register_forward_pre_hook(enter, with_kwargs=True))
        handles.append(module.register_forward_hook(recorder.leave_hook, always_call=True))
    try:
        with _function_mode(torch, recorder):
            yield model
    finally:
        for handle in handles:
            handle.remove()


@dataclass
class _RunningModule:
    """A module that is being run.

    `recorded` is whether it is recorded as a whole, with its `input` and its padding mode; `called`
    whether a convolution was called in it.
    """

    name: str
    module: Any
    recorded: bool
    input: Any
    called: bool = False


class _CallRecorder:
    """Records the calls of convolutions, with the modules that are being run when they occur."""

    def __init__(self, capture_folder: CaptureFolder, model: Any) -> None:
        self._capture_folder, self._model = capture_folder, model
        # The innermost last.
        self._running: list[_RunningModule] = []

    def enter_hook(self, name: str) -> Any:
        """A forward pre-hook for a module of that name."""

        def hook(module: Any, args: Any, kwargs: Any) -> None:
            recorded = _runs_torch_code_only(module)
            input = (args[0] if args else kwargs.get("input")) if recorded else None
            self._running.append(_RunningModule(name, module, recorded, input))

        return hook

    def leave_hook(self, module: Any, args: Any, output: Any) -> None:
        """A forward hook, also called for a module that raised: then `output` is None."""
        at = next(
            (
                at
                for at in reversed(range(len(self._running)))
                if self._running[at].module is module
            ),
            None,
        )
        if at is None:
            return
        running = self._running[at]
        del self._running[at:]
        if module is self._model and output is not None:
            self._capture_folder.add_outputs(output, _as_array)
        if running.recorded and not running.called and output is not None:
            self._capture_folder.skip(
                running.name or type(module).__name__,
                "no call of torch.conv* was seen in it, as in another thread",
            )

    def record_call(self, function: str, call: dict[str, Any], output: Any) -> None:
        """Record a call of torch.conv2d or the like, by the innermost module that is being run."""
        for running in self._running:
            running.called = True
        innermost = self._running[-1] if self._running else None
        if innermost is not None and innermost.recorded:
            name, module = innermost.name, innermost
        else:
            name = ".".join(filter(None, [innermost.name if innermost else "", function]))
            module = None
        with self._capture_folder.skip_without_values(name or function):
            self._capture_folder.add(_layer(name, function, call, output, module))


def _runs_torch_code_only(module: Any) -> bool:
    """Whether it is a convolution whose padding and call no subclass or patch replaces."""
    methods = {name: getattr(type(module), name, None) for name in ("forward", "_conv_forward")}
    if getattr(methods["forward"], "__module__", None) != TORCH_CONV_MODULE:
        return False
    return all(
        name not in vars(module) and (method is None or method.__module__ == TORCH_CONV_MODULE)
        for name, method in methods.items()
    )


def _function_mode(torch: Any, recorder: _CallRecorder) -> Any:
    """A torch function mode that records every call of a convolution."""
    functions = {
        getattr(torch, f"conv{kind}{rank}d"): f"conv{kind}{rank}d"
        for kind in ("", "_transpose")
        for rank in (1, 2, 3)
    }

    class RecordingMode(torch.overrides.TorchFunctionMode):  # type: ignore[misc]
        """Passes every call on, and records those of convolutions."""

        def __torch_function__(
            self, function: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            output = function(*args, **(kwargs or {}))
            name = functions.get(function)
            if name:
                parameters = TRANSPOSED_PARAMETERS if "transpose" in name else DIRECT_PARAMETERS
                call = {**dict(zip(parameters, args, strict=False)), **(kwargs or {})}
                recorder.record_call(name, call, output)
            return output

    return RecordingMode()


def _layer(
    name: str, function: str, call: dict[str, Any], output: Any, running: _RunningModule | None
) -> RecordedLayer:
    """The call as a layer; with the padding mode of the module, if that is recorded as a whole."""
    rank = int(re.sub(r"\D", "", function))
    transposed = "transpose" in function
    input, weight, bias = call["input"], call["weight"], call.get("bias")
    stride, dilation = (_per_axis(call.get(key, 1), rank) for key in ("stride", "dilation"))
    options = _layout_options(rank, input.dim(), transposed)
    options |= _unless_one(stride=stride, dilation=dilation, groups=call.get("groups", 1))
    padding = call.get("padding", 0)
    if running is not None and running.module.padding_mode != "zeros":
        input, padding = running.input, running.module.padding
        options["pad_mode"] = PAD_MODES[running.module.padding_mode]
    options["padding"] = padding if isinstance(padding, str) else list(_per_axis(padding, rank))
    if transposed:
        output_padding = _output_padding(
            tuple(input.shape[-rank:]),
            tuple(output.shape[-rank:]),
            tuple(weight.shape[2:]),
            stride,
            _per_axis(padding, rank),
            dilation,
        )
        options |= {"output_padding": output_padding} if any(output_padding) else {}
    return RecordedLayer(
        name,
        "torch",
        _as_array(input),
        _as_array(weight),
        _as_array(output),
        None if bias is None else _as_array(bias),
        options,
    )


def _layout_options(rank: int, input_axes: int, transposed: bool) -> dict[str, Any]:
    space = "DHW"[3 - rank :]
    batch = "N" if input_axes == rank + 2 else ""
    return {
        "input_layout": f"{batch}C{space}",
        "kernel_layout": f"{'IO' if transposed else 'OI'}{space}",
        **({"transposed": True} if transposed else {}),
    }


def _unless_one(**settings: Any) -> dict[str, Any]:
    """The settings that differ from 1 on some axis."""
    return {
        key: list(value) if isinstance(value, tuple) else int(value)
        for key, value in settings.items()
        if np.any(np.asarray(value) != 1)
    }


def _output_padding(
    input_size: tuple[int, ...],
    output_size: tuple[int, ...],
    kernel_size: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
) -> list[int]:
    """What was added at the end of a transposed convolution.

    Read off the size of the output, since `output_size` of the module may have settled it.
    """
    return [
        y - ((n - 1) * s - 2 * p + d * (k - 1) + 1)
        for n, y, k, s, p, d in zip(
            input_size, output_size, kernel_size, stride, padding, dilation, strict=True
        )
    ]


def _per_axis(value: Any, rank: int) -> tuple[int, ...]:
    parts = tuple(int(part) for part in value) if isinstance(value, tuple | list) else (int(value),)
    return parts * rank if len(parts) == 1 else parts


def _as_array(tensor: Any) -> Any:
    """A tensor as numpy's, bfloat16, which numpy lacks, as raw 2-byte items.

    Raises ValuesUnavailable for one without values.
    """
    if getattr(tensor, "is_meta", False):
        raise ValuesUnavailable("it is on the meta device, where tensors have no values")
    try:
        tensor = tensor.detach().cpu().contiguous()
        if str(tensor.dtype) == "torch.bfloat16":
            torch = importlib.import_module("torch")
            return tensor.view(torch.int16).numpy().view(np.dtype("V2"))
        return tensor.numpy()
    except (RuntimeError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValuesUnavailable(
            f"its tensors have no values of their own, as inside torch.vmap ({reason})"
        ) from None
