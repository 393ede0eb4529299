"""Small pieces of Python source: tuples, indices, axes moved.

Orders are layout strings; the digit 1 in an order is an axis of size 1 that no layout names (a 1-D
convolution done as a 2-D one).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from convdiff.spec.conv_spec import ConvSpec
from convdiff.spec.padding import Pair


def numbers(values: Sequence[object]) -> str:
    """`(2, 1)`; `(2,)` for one.  Also of pairs."""
    return repr(tuple(values))


def short(values: Sequence[int]) -> str:
    """`2` where all are 2, else `(2, 1)`."""
    return str(values[0]) if len(set(values)) == 1 else numbers(values)


def option(name: str, values: Sequence[int], default: int, *, whole: bool = False) -> str | None:
    """`name=2` or `name=(2, 1)`; None where all are the default.  With `whole` always a tuple."""
    if set(values) == {default}:
        return None
    return f"{name}={numbers(values) if whole else short(values)}"


def bracketed(pairs: Sequence[Pair]) -> str:
    """`[[0, 0], [1, 1]]`."""
    return repr([list(pair) for pair in pairs])


def index(order: str, picks: Mapping[str, str]) -> str:
    """`[:, 1:8]`: the given slices of an array in `order`, all of every other axis; "" where
    nothing is picked.
    """
    parts = [picks.get(letter, ":") for letter in order]
    while parts and parts[-1] == ":":
        parts.pop()
    return f"[{', '.join(parts)}]" if parts else ""


def _filled(order: str, absent: Sequence[bool], filler: str) -> str:
    """An index with `filler` at the absent axes: `[None]`, `[None, ..., None]`, `[:, None]`."""
    if not any(absent):
        return ""
    lead = absent.index(False)
    tail = list(reversed(absent)).index(False)
    if tail and lead + tail == sum(absent):
        return f"[{', '.join([filler] * lead + ['...'] + [filler] * tail)}]"
    return index(
        order, {letter: filler for letter, gone in zip(order, absent, strict=True) if gone}
    )


def arranged(name: str, layout: str, order: str, permute: str = "transpose") -> str:
    """`name`, which lies in `layout`, brought to `order`; axes that the layout leaves out are put
    in.
    """
    axes = [layout.index(letter) for letter in order if letter in layout]
    if axes != sorted(axes):
        name = f"{name}.{permute}({', '.join(map(str, axes))})"
    return name + _filled(order, [letter not in layout for letter in order], "None")


def restored(name: str, order: str, layout: str, permute: str = "transpose") -> str:
    """The inverse of `arranged`: `name`, which lies in `order`, brought to `layout`."""
    name += _filled(order, [letter not in layout for letter in order], "0")
    kept = [letter for letter in order if letter in layout]
    axes = [kept.index(letter) for letter in layout]
    return name if axes == sorted(axes) else f"{name}.{permute}({', '.join(map(str, axes))})"


def as_is(layout: str, order: str) -> str:
    """`layout` as one takes it who expects `order` and looks no further: the axes that are there,
    in that order.
    """
    return "".join(letter for letter in order if letter in layout.replace("M", "O"))


def misread(spec: ConvSpec, order: str, kernel_order: str) -> Iterator[str]:
    """Words for each array that `as_is` takes for what it is not: "input NCHW read as NHWC"."""
    for role, layout, wanted in (
        ("input", spec.input_layout, order),
        ("kernel", spec.kernel_layout, kernel_order),
    ):
        if moved(layout.replace("M", "O"), wanted):
            yield f"{role} {layout} read as {as_is(layout, wanted)}"


def moved(layout: str, order: str) -> bool:
    """Whether the axes of `layout` stand otherwise in `order`."""
    return layout != "".join(letter for letter in order if letter in layout)


def along_channels(name: str, order: str) -> str:
    """The one-axis array `name` made to broadcast along C of `order`: `bias[:, None, None]`."""
    after = len(order) - 1 - order.index("C") if "C" in order else 0
    return f"{name}[:{', None' * after}]" if after else name


def axes_to_flip(spec: ConvSpec) -> str:
    """The kernel's spatial axes that a flip changes: those longer than 1."""
    return "".join(axis for axis, k in zip(spec.axes, spec.kernel_size, strict=True) if k > 1)


def reversed_axes(order: str, axes: str) -> str:
    """`[::-1, ::-1]`: an index that reverses `axes` of an array in `order`."""
    return index(order, dict.fromkeys(axes, "::-1"))
