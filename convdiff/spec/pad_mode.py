"""What the padding is filled with: numpy.pad's word for all spatial axes, or one for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convdiff.errors import ConvdiffError, one_of

PAD_MODES = ("constant", "edge", "reflect", "symmetric", "wrap")

# One word for all axes, or one per axis where they are not all equal.
PadMode = str | tuple[str, ...]


def parse_pad_mode(value: object, rank: int | None = None) -> PadMode:
    """The value of --pad-mode from None (constant), "wrap", "wrap,constant" or a list of words.

    Without a rank the number of words is not checked.  Raises ConvdiffError for anything else.
    """
    if value is None:
        return "constant"
    parts: Sequence[Any]
    if isinstance(value, str):
        parts = [part.strip() for part in value.split(",")]
    else:
        parts = value if isinstance(value, list | tuple) else [value]
    if not parts or not all(isinstance(part, str) for part in parts):
        raise ConvdiffError(
            f"--pad-mode: found {value!r}, expected a word: wrap, or one per spatial axis: "
            "wrap,constant"
        )
    for part in parts:
        if part not in PAD_MODES:
            raise one_of("--pad-mode", part, PAD_MODES)
    if rank is not None and len(parts) not in (1, rank):
        expected = "1" if rank == 1 else f"1 or {rank}, one per spatial axis"
        raise ConvdiffError(
            f"--pad-mode {','.join(parts)}: found {len(parts)} modes, expected {expected}"
        )
    return joined_pad_modes(tuple(parts))


def joined_pad_modes(modes: tuple[str, ...]) -> PadMode:
    """The modes of the axes as one word where all are equal."""
    return modes[0] if len(set(modes)) == 1 else modes


def pad_modes_of_axes(mode: PadMode, rank: int) -> tuple[str, ...]:
    """The mode of each of the axes."""
    return (mode,) * rank if isinstance(mode, str) else mode


def pad_mode_text(mode: PadMode) -> str:
    """The mode as --pad-mode takes it: `wrap`, or `wrap,constant`."""
    return mode if isinstance(mode, str) else ",".join(mode)


def pad_mode_entry(mode: PadMode) -> str | list[str]:
    """The mode as it stands in an edit and in JSON: a word, or a list of one word per axis."""
    return mode if isinstance(mode, str) else list(mode)
