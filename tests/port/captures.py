"""Captures of small models, faithful ones and ones with a planted fault, as `convdiff capture`
writes them; and their check.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from convdiff.manifest import manifest_text
from convdiff.numerics.reference import compute_reference
from convdiff.spec.canonical import user_output
from convdiff.spec.infer_spec import read_spec
from convdiff.spec.settings import Settings
from tests.cli.conftest import Invoke

Options = dict[str, Any]
# A fault: from a layer's input, kernel and options to those that it runs with.
Fault = Callable[[Any, Any, Options], tuple[Any, Any, Options]]

CHANNELS_FIRST: Options = {"input_layout": "NCHW", "kernel_layout": "OIHW"}
CHANNELS_LAST: Options = {"input_layout": "NHWC", "kernel_layout": "HWIO"}
PADDED: Options = {**CHANNELS_FIRST, "padding": 1}


def convolve(x: Any, w: Any, options: Options) -> Any:
    """The correctly rounded convolution, in float32."""
    spec, _ = read_spec(x.shape, w.shape, Settings(**options), bias=False, dtype="float32")
    return user_output(spec, compute_reference(spec, x, w).output.astype(np.float32))


def channels_last(array: Any) -> Any:
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1))


class CaptureWriter:
    """Writes the arrays of a capture, layer by layer, then its manifest."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self.folder.mkdir()
        self._cases: list[Options] = []

    def add(
        self,
        name: str,
        arrays: dict[str, Any],
        options: Options,
        *,
        files: str | None = None,
        framework: str = "port",
    ) -> None:
        """A layer with its arrays x, w and y, in files named `files` (default: as the layer)."""
        stem = name if files is None else files
        for letter, array in arrays.items():
            np.save(self.folder / f"{stem}.{letter}.npy", array)
        self._cases.append(
            {
                "name": name,
                "input": f"{stem}.x.npy",
                "kernel": f"{stem}.w.npy",
                "saved": {framework: f"{stem}.y.npy"},
                **options,
            }
        )

    def close(self, order: list[int] | None = None) -> None:
        """Write the manifest, with the layers in this order (default: as they were added)."""
        cases = [self._cases[at] for at in order or range(len(self._cases))]
        (self.folder / "manifest.toml").write_text(manifest_text(cases, defaults={"backends": []}))


def record_output(folder: str, output: Any) -> None:
    """Add the model's own output to a capture."""
    np.save(f"{folder}/output.npy", output)
    manifest = Path(f"{folder}/manifest.toml")
    manifest.write_text('outputs = ["output.npy"]\n' + manifest.read_text())


def add_bias(folder: str, number: int, bias: Any, *, last: bool) -> None:
    """Give a layer of `network` a bias."""
    np.save(f"{folder}/{number}.b.npy", bias)
    y = np.load(f"{folder}/{number}.y.npy")
    np.save(f"{folder}/{number}.y.npy", y + (bias if last else bias[:, None, None]))
    manifest = Path(f"{folder}/manifest.toml")
    kernel = f'kernel = "{number}.w.npy"'
    manifest.write_text(manifest.read_text().replace(kernel, f'{kernel}\nbias = "{number}.b.npy"'))


def check_captures(
    invoke: Invoke, *more: str, source: str = "a", port: str = "b"
) -> dict[str, Any]:
    """The JSON report of checking one capture against the other."""
    result = invoke("check", "--source", source, "--port", port, "--format", "json", *more)
    report: dict[str, Any] = json.loads(result.stdout)
    assert report["exit_code"] == result.exit_code
    return report


def codes(case: dict[str, Any]) -> list[str]:
    """The codes of the first finding of each row."""
    return [
        edit["code"]
        for row in case["rows"]
        for finding in row["findings"][:1]
        for edit in finding["edits"]
    ]


def exit_codes(report: dict[str, Any]) -> list[int]:
    return [case["exit_code"] for case in report["cases"]]


def notes(case: dict[str, Any]) -> str:
    return " ".join(case["notes"])


def network(
    folder: str,
    *,
    last: bool,
    faults: dict[int, Fault] | None = None,
    after: dict[int, Callable[[Any], Any]] | None = None,
    names: str = "conv{}",
    order: list[int] | None = None,
    padding_layers: bool = False,
    recorded: bool = False,
) -> None:
    """Five convolutions, each with a ReLU after it, channels first or last.

    `faults` change what a layer runs with, and with `recorded` the kernel in the capture too;
    `after` change what a layer hands on.  `padding_layers` pad before the convolutions.
    """
    random = np.random.default_rng(5)
    x = random.standard_normal((2, 3, 14, 15)).astype(np.float32)
    x = channels_last(x) if last else x
    writer = CaptureWriter(folder)
    for number, (inner, outer, k, stride) in enumerate(
        [(3, 6, 3, 1), (6, 6, 3, 1), (6, 4, 1, 1), (4, 8, 3, 2), (8, 8, 3, 1)]
    ):
        w = random.standard_normal((outer, inner, k, k)).astype(np.float32)
        w /= np.float32(k * np.sqrt(inner))
        w = np.ascontiguousarray(w.transpose(2, 3, 1, 0)) if last else w
        layouts = CHANNELS_LAST if last else CHANNELS_FIRST
        options: Options = {**layouts, "stride": stride, "padding": k // 2}
        if padding_layers and last and k > 1:
            x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
            options["padding"] = 0
        run_x, run_w, run_options = (faults or {}).get(number, unchanged)(x, w, options)
        y = convolve(run_x, run_w, run_options)
        writer.add(
            names.format(number),
            {"x": x, "w": run_w if recorded else w, "y": y},
            options,
            files=str(number),
            framework="jax" if last else "torch",
        )
        x = np.maximum((after or {}).get(number, lambda array: array)(y), 0)
    writer.close(order)


def unchanged(x: Any, w: Any, options: Options) -> tuple[Any, Any, Options]:
    return x, w, options


def flipped(x: Any, w: Any, options: Options) -> tuple[Any, Any, Options]:
    return x, (w[::-1, ::-1] if options["input_layout"] == "NHWC" else w[:, :, ::-1, ::-1]), options


def same_padding(x: Any, w: Any, options: Options) -> tuple[Any, Any, Options]:
    return x, w, {**options, "padding": "same"}


def changed_kernel(change: Callable[[Any], Any]) -> Fault:
    return lambda x, w, options: (x, change(w), options)


# Those of a normalization after the third layer of `network`.
CHANNEL_FACTORS = np.random.default_rng(8).uniform(0.5, 2, 4).astype(np.float32)


def folded(x: Any, w: Any, options: Options) -> tuple[Any, Any, Options]:
    """CHANNEL_FACTORS folded into the kernel of the third layer of `network`."""
    last = w.shape[-1] == 4
    return x, w * (CHANNEL_FACTORS if last else CHANNEL_FACTORS[:, None, None, None]), options


def deep(folder: str, *, exact: bool, fault: int | None = None) -> None:
    """Sixteen convolutions, each with a sine after it, whose rounding grows to a large part of the
    whole.

    Sums are exact or in float32 from the last channel on; layer `fault` is followed by a clip.
    """
    random = np.random.default_rng(2)
    x = random.standard_normal((1, 8, 6, 6)).astype(np.float32)
    writer = CaptureWriter(folder)
    for number in range(16):
        w = random.standard_normal((8, 8, 1, 1)).astype(np.float32)
        products = w[None, :, :, 0, 0, None] * x.reshape(1, 1, 8, 36)
        if exact:
            y = products.sum(axis=2, dtype=np.float64)
        else:
            y = products[:, :, ::-1].cumsum(axis=2)[:, :, -1]
        y = y.reshape(1, 8, 6, 6)
        arrays = {"x": x, "w": w, "y": y.astype(np.float32)}
        writer.add(f"conv{number}", arrays, CHANNELS_FIRST, files=str(number))
        x = np.sin(1.2 * y).astype(np.float32)
        x = np.minimum(x, 0.8) if number == fault else x
    writer.close()


def padded(
    folder: str,
    pads: list[Any],
    *,
    separate: list[bool],
    modes: list[str],
    last: bool = False,
    stride: int = 1,
) -> None:
    """Three convolutions of 3x3, each with a ReLU after it and padded (lo, hi) in a mode; in a
    separate layer where `separate` says so.

    The second has the stride.
    """
    random = np.random.default_rng(11)
    x = random.standard_normal((2, 3, 14, 15)).astype(np.float32)
    x = channels_last(x) if last else x
    writer = CaptureWriter(folder)
    for number, (pad, in_layer, mode) in enumerate(zip(pads, separate, modes, strict=True)):
        w = random.standard_normal((4, x.shape[-1 if last else 1], 3, 3)).astype(np.float32) / 5
        w = np.ascontiguousarray(w.transpose(2, 3, 1, 0)) if last else w
        options: Options = {
            **(CHANNELS_LAST if last else CHANNELS_FIRST),
            "padding": 0 if in_layer else [list(pad)] * 2,
            "pad_mode": "constant" if in_layer else mode,
            "stride": stride if number == 1 else 1,
        }
        if in_layer:
            none = [(0, 0)]
            ends = [*none, pad, pad, *none] if last else [*none, *none, pad, pad]
            x = np.pad(x, ends, mode=mode)  # type: ignore[call-overload]
        y = convolve(x, w, options)
        writer.add(f"conv{number}", {"x": x, "w": w, "y": y}, options, files=str(number))
        x = np.maximum(y, 0)
    writer.close()


_random = np.random.default_rng(21)
KERNELS = {
    name: _random.standard_normal((4, 4, 3, 3)).astype(np.float32) / 6
    for name in ("stem", "one", "two", "down", "last")
}
NORM_FACTORS = {name: _random.uniform(0.5, 2, (4, 1, 1, 1)).astype(np.float32) for name in KERNELS}
INPUT = _random.standard_normal((2, 4, 9, 10)).astype(np.float32)
# Every normalization of `residual` folded in correctly.
ALL_FOLDED = dict.fromkeys(KERNELS, 1.0)


def residual(folder: str, folds: dict[str, float], *, output: bool = True) -> None:
    """A residual block with a normalization after each convolution.

    Those of the layers in `folds` are folded into the kernels, with the factor of channel 1 times a
    number: 1 is correct.  `output` records the model's output, a sigmoid of the last layer's.
    """
    writer = CaptureWriter(folder)

    def layer(name: str, x: Any) -> Any:
        error = np.ones((4, 1, 1, 1), np.float32)
        error[1] = folds.get(name, 1.0)
        w = KERNELS[name] * NORM_FACTORS[name] * error if name in folds else KERNELS[name]
        y = convolve(x, w, PADDED)
        writer.add(name, {"x": x, "w": w, "y": y}, PADDED)
        return y if name in folds else y * NORM_FACTORS[name][:, 0]

    x = np.maximum(layer("stem", INPUT), 0)
    x = np.maximum(layer("two", np.maximum(layer("one", x), 0)) + layer("down", x), 0)
    y = layer("last", x)
    writer.close()
    if output:
        record_output(folder, 1 / (1 + np.exp(-y)))


def transposed(folder: str, crops: list[tuple[tuple[int, int], bool]]) -> None:
    """Transposed convolutions of stride 2, and a direct one after them.

    Each transposed one is cropped (lo, hi) on both axes; in a separate layer where its flag says
    so, else by its padding.  A negative hi is output padding.
    """
    random = np.random.default_rng(3)
    x = random.standard_normal((1, 4, 6, 7)).astype(np.float32)
    writer = CaptureWriter(folder)
    for number, ((lo, hi), separate) in enumerate([*crops, ((0, 0), False)]):
        options: Options = dict(CHANNELS_FIRST)
        if number < len(crops):
            options |= {"kernel_layout": "IOHW", "transposed": True, "stride": 2}
        options["padding"] = 0 if separate else [[lo, max(hi, 0)]] * 2
        if hi < 0 and not separate:
            options["output_padding"] = -hi
        w = random.standard_normal((4, 4, 3, 3)).astype(np.float32)
        y = convolve(x, w, options)
        writer.add(f"up{number}", {"x": x, "w": w, "y": y}, options, files=str(number))
        y = y[:, :, lo : y.shape[2] - hi, lo : y.shape[3] - hi] if separate else y
        x = np.maximum(y, 0)
    writer.close()
