"""What a user said about a convolution, before it is read against the arrays' shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from convdiff.errors import ConvdiffError, one_of
from convdiff.spec.padding import whole

FRAMEWORKS = ("cudnn", "jax", "keras", "numpy", "onnx", "scipy", "tensorflow", "theano", "torch")

_WORD, _FLAG = (str, type(None)), (bool, type(None))
_KINDS: dict[str, tuple[type, ...]] = {
    "depthwise": (bool,),
    "transposed": (bool,),
    "flip": _FLAG,
    "pad_mode": _WORD,
    "input_layout": _WORD,
    "kernel_layout": _WORD,
    "output_layout": _WORD,
    "as_": _WORD,
    "dtype": _WORD,
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The options of a convolution as they were given; None is unsaid.

    The names are those of the command line, with underscores; `as_` is also accepted as "as" by
    `from_mapping`.
    """

    stride: object = None
    dilation: object = None
    padding: object = None
    pad_mode: str | None = None
    groups: int | None = None
    depthwise: bool = False
    transposed: bool = False
    output_padding: object = None
    output_size: object = None
    flip: bool | None = None
    input_layout: str | None = None
    kernel_layout: str | None = None
    output_layout: str | None = None
    input_dilation: object = None
    as_: str | None = None
    dtype: str | None = None

    def __post_init__(self) -> None:
        for name, kinds in _KINDS.items():
            if not isinstance(getattr(self, name), kinds):
                wanted = "True or False" if bool in kinds else "a word"
                raise ConvdiffError(
                    f"--{name.strip('_').replace('_', '-')}: found {getattr(self, name)!r}, "
                    f"expected {wanted}"
                )
        if self.as_ is not None and self.as_ not in FRAMEWORKS:
            raise one_of("--as", self.as_, FRAMEWORKS)
        if self.groups is not None:
            # A plain int: numpy's small types would wrap around in what is computed with it.
            object.__setattr__(self, "groups", _groups(self.groups))

    @staticmethod
    def names() -> list[str]:
        """Every option's name, sorted."""
        return sorted(field.name for field in fields(Settings))

    @staticmethod
    def from_mapping(options: Mapping[str, Any]) -> Settings:
        """Settings from keyword arguments or a manifest's keys; ConvdiffError for a name that is
        none of them.
        """
        known = Settings.fields_in(options)
        for name in options:
            if name not in known and name != "as":
                raise one_of("option", name, Settings.names())
        return Settings(**known)

    @staticmethod
    def fields_in(options: Mapping[str, Any]) -> dict[str, Any]:
        """The fields and values among `options` (a command's options, a manifest's keys)."""
        named = {("as_" if name == "as" else name): value for name, value in options.items()}
        return {name: named[name] for name in Settings.names() if name in named}

    @staticmethod
    def option_name(field: str) -> str:
        """What a manifest and the command line call this field: "as" for `as_`."""
        return "as" if field == "as_" else field


def _groups(value: object) -> int:
    try:
        if not isinstance(value, str) and (found := whole(value)) > 0:
            return found
    except OverflowError as error:
        raise ConvdiffError(f"--groups: {error}") from None
    except (TypeError, ValueError):
        pass
    raise ConvdiffError(f"--groups: found {value!r}, expected a whole number of at least 1")


def numbers(option: str, value: object, rank: int, default: int) -> tuple[int, ...]:
    """`rank` whole numbers from None, `2`, `"2,1"` or `[2, 1]`; one value stands for every axis."""
    if value is None:
        return (default,) * rank
    parts: list[Any]
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, str):
        parts = value.split(",")
    elif isinstance(value, list | tuple):
        parts = list(value)
    else:
        parts = [value]
    try:
        found = tuple(whole(part) for part in parts)
    except OverflowError as error:
        raise ConvdiffError(f"{option}: {error}") from None
    except (TypeError, ValueError):
        raise ConvdiffError(
            f"{option}: found {value!r}, expected whole numbers: 2, or one per spatial axis: 2,1"
        ) from None
    if len(found) == 1:
        return found * rank
    if len(found) != rank:
        raise ConvdiffError(
            f"{option}: found {len(found)} values, expected 1 or {rank}, one per spatial axis"
        )
    return found
