"""`Settings`: the options of a convolution as the user gave them, before the shapes are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from convdiff.errors import ConvdiffError, one_of
from convdiff.spec.padding import whole_number

FRAMEWORKS = ("cudnn", "jax", "keras", "numpy", "onnx", "scipy", "tensorflow", "theano", "torch")

_WORD, _FLAG = (str, type(None)), (bool, type(None))
# The fields that have one type; numbers may be given in many forms and are parsed later.
_TYPES: dict[str, tuple[type, ...]] = {
    "depthwise": (bool,),
    "transposed": (bool,),
    "flip": _FLAG,
    "pad_mode": (str, list, tuple, type(None)),
    "input_layout": _WORD,
    "kernel_layout": _WORD,
    "output_layout": _WORD,
    "as_": _WORD,
    "dtype": _WORD,
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The options of a convolution as they were given; None means not given.

    The names are those of the command line, with underscores. `as` is a Python keyword, so the
    field is `as_`; `from_mapping` accepts both. The constructor raises ConvdiffError for a value of
    the wrong type.
    """

    stride: object = None
    dilation: object = None
    padding: object = None
    pad_mode: str | Sequence[str] | None = None
    pad_value: object = None
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
        for name, types in _TYPES.items():
            if not isinstance(getattr(self, name), types):
                expected = "True or False" if bool in types else "a word"
                raise ConvdiffError(
                    f"--{name.strip('_').replace('_', '-')}: found {getattr(self, name)!r}, "
                    f"expected {expected}"
                )
        if self.as_ is not None and self.as_ not in FRAMEWORKS:
            raise one_of("--as", self.as_, FRAMEWORKS)
        if self.groups is not None:
            # A plain int: products of numpy's small integer types would wrap around.
            object.__setattr__(self, "groups", _parse_groups(self.groups))

    @staticmethod
    def names() -> list[str]:
        """Every option's name, sorted."""
        return sorted(field.name for field in fields(Settings))

    @staticmethod
    def from_mapping(options: Mapping[str, Any]) -> Settings:
        """Settings from keyword arguments or from the keys of a manifest.

        Raises ConvdiffError for a name that is not an option.
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


def _parse_groups(value: object) -> int:
    try:
        if not isinstance(value, str) and (groups := whole_number(value)) > 0:
            return groups
    except OverflowError as error:
        raise ConvdiffError(f"--groups: {error}") from None
    except (TypeError, ValueError):
        pass
    raise ConvdiffError(f"--groups: found {value!r}, expected a whole number of at least 1")


def axis_numbers(option: str, value: object, rank: int, default: int) -> tuple[int, ...]:
    """One whole number per spatial axis from None (the default), `2`, `"2,1"` or `[2, 1]`.

    One value stands for every axis. Raises ConvdiffError, with the name of the option, for anything
    else.
    """
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
        values = tuple(whole_number(part) for part in parts)
    except OverflowError as error:
        raise ConvdiffError(f"{option}: {error}") from None
    except (TypeError, ValueError):
        raise ConvdiffError(
            f"{option}: found {value!r}, expected whole numbers: 2, or one per spatial axis: 2,1"
        ) from None
    if len(values) == 1:
        return values * rank
    if len(values) != rank:
        raise ConvdiffError(
            f"{option}: found {len(values)} values, expected 1 or {rank}, one per spatial axis"
        )
    return values
