"""numpy: np.correlate and np.convolve where they say it, else windows and einsum; transposed by
scattering.

einsum's letters follow the user's layouts, so nothing is permuted: n batch, g group, c and o
channels within it, d h w positions, t r s taps.
"""

from __future__ import annotations

from collections.abc import Sequence

from convdiff.dialects.by_hand import dilated_input, dilated_size, padded_input
from convdiff.dialects.script import WIDTH, Body, Dialect, Script, Unsupported
from convdiff.dialects.text import (
    along_channels,
    arranged,
    axes_to_flip,
    index,
    numbers,
    reversed_axes,
)
from convdiff.execution_paths import PLAIN, ExecutionPath
from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.padding import kernel_span

_IMPORTS = {
    "np": "import numpy as np",
    "sliding_window_view": "from numpy.lib.stride_tricks import sliding_window_view",
}
_TAPS = {"D": "t", "H": "r", "W": "s"}


def write(spec: ConvSpec, path: ExecutionPath = PLAIN) -> Script:
    """numpy code for `spec`; Unsupported for bfloat16."""
    body = _body(spec)
    if spec.transposed:
        _scatter(spec, body)
    elif _plain(spec) and spec.dilation == (1,):
        _one_call(spec, body)
    else:
        _windows(spec, body)
    return body.script()


def default(spec: ConvSpec, path: ExecutionPath = PLAIN) -> Script:
    """np.convolve or np.correlate with numpy's own word for the padding, where it has one."""
    body = _body(spec)
    if spec.transposed or not _plain(spec) or spec.dilation != (1,) or spec.input_dilation != (1,):
        raise Unsupported(
            "numpy's own calls, np.convolve and np.correlate, take one plain signal and kernel, "
            "nothing else"
        )
    same = spec.output_size[0] == -(-spec.input_size[0] // spec.stride[0])
    _one_call(spec, body, "same" if same and spec.padding != ((0, 0),) else None)
    return body.script()


def _body(spec: ConvSpec) -> Body:
    if spec.dtype == "bfloat16":
        raise Unsupported("numpy has no bfloat16")
    return Body(_IMPORTS)


def _plain(spec: ConvSpec) -> bool:
    return spec.rank == spec.batch == spec.in_channels == spec.out_channels == 1


def _cast(name: str, spec: ConvSpec) -> str:
    return f"{name}.astype(np.{spec.dtype})"


def _finish(spec: ConvSpec, body: Body, text: str) -> None:
    if not spec.bias:
        body.add(f"output = {text}")
        return
    bias = along_channels(_cast("bias", spec), spec.output_layout)
    if len(text) + len(bias) > WIDTH - 12:
        body.add(f"y = {text}")
        text = "y"
    body.add(f"output = {text} + {bias}")


def _one_call(spec: ConvSpec, body: Body, word: str | None = None) -> None:
    word = word or _word(spec)
    signal = _input(
        spec, body, padded=word is None, flat="" if spec.input_layout == "W" else ".ravel()"
    )
    kernel = _cast("kernel" if spec.kernel_layout == "W" else "kernel.ravel()", spec)
    word = word or "valid"
    text = f'{"np.convolve" if spec.flip else "np.correlate"}({signal}, {kernel}, "{word}")'
    if spec.stride != (1,):
        text += f"[::{spec.stride[0]}]"
        body.note("output strided by slicing")
    if spec.output_layout != "W":
        text += f".reshape{numbers([1 if letter != 'W' else -1 for letter in spec.output_layout])}"
    _finish(spec, body, text)


def _word(spec: ConvSpec) -> str | None:
    """numpy's mode for this padding; where the kernel is the longer one numpy swaps the two and
    only "full" holds.
    """
    if (spec.pad_mode != "constant" and spec.padding != ((0, 0),)) or spec.input_dilation != (1,):
        return None
    k = spec.kernel_size[0]
    words = {(k - 1, k - 1): "full"}
    if k <= spec.input_size[0]:
        words = {(k - 1, k - 1): "full", (k // 2, (k - 1) // 2): "same", (0, 0): "valid"}
    return words.get(spec.padding[0])


def _orders(spec: ConvSpec) -> tuple[str, str, str]:
    """einsum's letters for input, kernel and output, without taps; channels that run over groups
    become g, c and o.
    """
    inner, outer = spec.in_channels // spec.groups, spec.out_channels // spec.groups
    grouped = {"C": "gc" if inner > 1 else "g", "Y": "go" if outer > 1 else "g"}
    whole, made = (grouped["C"], grouped["Y"]) if spec.groups > 1 else ("c", "o")
    per_group = spec.transposed or "M" in spec.kernel_layout
    letters = {"I": whole, "O": "o", "M": "o"} if per_group else {"I": "c", "O": made}
    letters |= dict.fromkeys("DHW", "")
    kernel = "".join(letters[letter] for letter in spec.kernel_layout)
    return (
        spec.input_layout.lower().replace("c", whole),
        kernel,
        spec.output_layout.lower().replace("c", made),
    )


def _split(spec: ConvSpec, role: str, shape: Sequence[int], order: str) -> str:
    """`.reshape(...)` that splits the channel axis into groups, or "" where `order` has no more
    axes than the layout.
    """
    layout = getattr(spec, f"{role}_layout")
    if len(order) == len(layout):
        return ""
    split: list[int] = []
    for letter, size in zip(layout, shape, strict=True):
        over_groups = letter == "C" or (letter == "I" if spec.transposed else letter == "O")
        split += [spec.groups, size // spec.groups] if over_groups else [size]
    return f".reshape{numbers(split)}"


def _kernel(spec: ConvSpec, body: Body, order: str) -> str:
    """Writes the kernel; returns its order with the taps."""
    flipped = reversed_axes(spec.kernel_layout, axes_to_flip(spec)) if spec.flip else ""
    split = _split(spec, "kernel", spec.shape("kernel"), order + spec.axes)
    body.add(f"w = {_cast('kernel', spec)}{flipped}{split}")
    if flipped:
        body.note("kernel flipped")
    channels = iter(order)
    per_axis = []
    for letter in spec.kernel_layout:
        if letter in _TAPS:
            per_axis.append(_TAPS[letter])
        else:
            per_axis.append(next(channels))
            if per_axis[-1] == "g" and len(order) + spec.rank > len(spec.kernel_layout):
                per_axis[-1] += next(channels)
    return "".join(per_axis)


def _sum(body: Body, source: str, kernel: str, target: str, names: str) -> tuple[str, str]:
    """An einsum, and the letters of its result: of `target` those that an operand has."""
    made = "".join(letter for letter in target if letter in source + kernel)
    return f'np.einsum("{source},{kernel}->{made}", {names}, optimize=True)', made


def _to_user(spec: ConvSpec, body: Body, text: str, made: str, target: str) -> None:
    """The last line: axes of size 1 that no operand had, the groups joined, the bias."""
    if len(target) > len(spec.output_layout):
        text += f".reshape{numbers(spec.shape('output'))}"
    else:
        text = arranged(text, made, target)
    _finish(spec, body, text)


def _input(spec: ConvSpec, body: Body, *, padded: bool = True, flat: str = "") -> str:
    """Writes what the input needs; returns an expression for it, in the compute dtype."""
    name = dilated_input(spec, body, f"np.{spec.dtype}")
    if name == "input":
        name = _cast(name, spec)
    return (padded_input(spec, body, name) if padded else name) + flat


def _windows(spec: ConvSpec, body: Body) -> None:
    name = _input(spec, body)
    source, channels, target = _orders(spec)
    size = {
        a: n + lo + hi
        for a, n, (lo, hi) in zip(spec.axes, dilated_size(spec), spec.padding, strict=True)
    }
    shape = [
        size.get(letter, n)
        for letter, n in zip(spec.input_layout, spec.shape("input"), strict=True)
    ]
    split = _split(spec, "input", shape, source)
    if name != "x" or split:
        body.add(f"x = {name}{split}")
    kernel = _kernel(spec, body, channels)
    taps = "".join(_TAPS[axis] for axis in spec.axes)
    spans = [kernel_span(k, d) for k, d in zip(spec.kernel_size, spec.dilation, strict=True)]
    steps = {a.lower(): f"::{s}" for a, s in zip(spec.axes, spec.stride, strict=True) if s > 1}
    steps |= {t: f"::{d}" for t, d in zip(taps, spec.dilation, strict=True) if d > 1}
    where = [source.index(axis.lower()) for axis in spec.axes]
    body.call(
        "windows",
        "sliding_window_view",
        "x",
        numbers(spans),
        f"axis={numbers(where)}",
        ending=index(source + taps, steps),
    )
    product, made = _sum(body, source + taps, kernel, target, "windows, w")
    _to_user(spec, body, product, made, target)


def _scatter(spec: ConvSpec, body: Body) -> None:
    """Every tap adds the whole input into an output of full size, from which the asked part is then
    taken.
    """
    source, channels, target = _orders(spec)
    body.add(f"x = {_cast('input', spec)}{_split(spec, 'input', spec.shape('input'), source)}")
    kernel = _kernel(spec, body, channels)
    taps = [_TAPS[axis] for axis in spec.axes]
    product, made = _sum(
        body, source, channels, target, f"x, w{index(kernel, {tap: tap for tap in taps})}"
    )
    size = {"n": spec.batch, "g": spec.groups, "o": spec.out_channels // spec.groups}
    reached, crop = {}, {}
    for axis, tap, n, k, s, d, (lo, _), out in zip(
        spec.axes.lower(),
        taps,
        spec.input_size,
        spec.kernel_size,
        spec.stride,
        spec.dilation,
        spec.padding,
        spec.output_size,
        strict=True,
    ):
        before, first = max(-lo, 0), max(lo, 0)
        size[axis] = max(before + (n - 1) * s + kernel_span(k, d), first + out)
        start = (f"{d} * {tap}" if d > 1 else tap) + (f" + {before}" if before else "")
        reached[axis] = f"{start} : {start} + {(n - 1) * s + 1}" + (f" : {s}" if s > 1 else "")
        if out < size[axis]:
            crop[axis] = f"{first}:{first + out}"
    body.add(f"y = np.zeros({numbers([size[letter] for letter in made])}, np.{spec.dtype})")
    body.add(
        f"for {', '.join(taps) if spec.rank > 1 else taps[0] + ','} in "
        f"np.ndindex{numbers(spec.kernel_size)}:"
    )
    body.add(f"    products = {product}")
    body.add(f"    y{index(made, reached)} += products")
    if crop:
        body.note("output cropped")
    _to_user(spec, body, f"y{index(made, crop)}", made, target)


DIALECT = Dialect(write, default)
