"""Padding words and numbers as (lo, hi) pairs, one pair per spatial axis.

Sources of the formulas: `same` is TensorFlow's SAME (an odd total puts the extra one at the end),
which XLA, Keras and ONNX's SAME_UPPER share; `same_lower` is ONNX's SAME_LOWER; `half` and `full`
are Theano's border modes; `causal` is Keras's.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Sequence

from convdiff.errors import ConvdiffError, one_of

Pair = tuple[int, int]
# Frameworks hold strides, dilations and paddings in signed 32-bit integers.
INT32_LIMIT = 2**31
_DIGITS = re.compile(r"\s*[+-]?0*(\d+)\s*")
WORDS = ("valid", "same", "same_lower", "half", "full", "causal")


def kernel_span(kernel: int, dilation: int) -> int:
    """The effective size of a dilated kernel, in input positions: d(k - 1) + 1."""
    return dilation * (kernel - 1) + 1


def parse_padding(value: object, rank: int) -> str | tuple[Pair, ...]:
    """The value of --padding as a padding word or as `rank` (lo, hi) pairs.

    Accepts a word; `1`; `"1,2"` or `[1, 2]` (one number per axis, for both its sides); `"0:1,0:1"`
    or `[[0, 1], [0, 1]]`. One value stands for every axis. Negative numbers crop. Raises
    ConvdiffError for anything else.
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, str):
        text = value.strip().lower()
        if text in WORDS:
            return text
        if text[:1].isalpha():
            raise one_of("--padding", value, WORDS)
        items: list[object] = [part.split(":") if ":" in part else part for part in text.split(",")]
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        items = list(value)
    else:
        items = [value]
    pairs = [_parse_pair(item, value) for item in items]
    if len(pairs) == 1:
        pairs *= rank
    if len(pairs) != rank:
        raise ConvdiffError(
            f"--padding {_quoted(value)}: found {len(pairs)} axes, expected 1 or {rank}, one per "
            "spatial axis; a lo:hi pair is written 0:1"
        )
    return tuple(pairs)


def _parse_pair(item: object, value: object) -> Pair:
    """One axis of `value`, which an error quotes in full."""
    try:
        if isinstance(item, list | tuple):
            lo, hi = item
            return whole_number(lo), whole_number(hi)
        return whole_number(item), whole_number(item)
    except OverflowError as error:
        raise ConvdiffError(f"--padding: {error}") from None
    except (TypeError, ValueError):
        raise ConvdiffError(
            f"--padding {_quoted(value)}: expected a word ({', '.join(WORDS)}), whole numbers "
            "(1 or 1,2) or lo:hi pairs (0:1,0:1)"
        ) from None


def whole_number(value: object) -> int:
    """`value` as an int: a number of any integer type, or the text of one.

    Raises TypeError or ValueError for anything else, and OverflowError for a number that does not
    fit 32 bits; that error's text completes a message that begins with the option.
    """
    if isinstance(value, str):
        digits = _DIGITS.fullmatch(value)
        if digits is None:
            raise ValueError
        # Python refuses to convert thousands of digits: a number this long is too large anyway.
        number = int(digits[0]) if len(digits[1]) < 20 else INT32_LIMIT
    elif isinstance(value, bool):
        raise TypeError
    else:
        number = operator.index(value)  # type: ignore[arg-type]
    if abs(number) >= INT32_LIMIT:
        raise OverflowError(
            f"found a number that is too large, expected less than {INT32_LIMIT} (2^31)"
        )
    return number


def _quoted(value: object) -> str:
    """`value` as the user typed it if it prints on one line, else its repr."""
    return (
        value if isinstance(value, str) and value.isprintable() and value.strip() else repr(value)
    )


def same_total(size: int, span: int, stride: int) -> int:
    """SAME's total padding of one axis, both sides: max((ceil(n/s) - 1) s + span - n, 0)."""
    return max((-(-size // stride) - 1) * stride + span - size, 0)


def split_padding(amount: int, odd_at_end: bool) -> Pair:
    """`amount` halved into (lo, hi); if it is odd, the larger half is at the end or the start."""
    small = amount // 2
    return (small, amount - small) if odd_at_end else (amount - small, small)


def word_pair(word: str, size: int, span: int, stride: int) -> Pair:
    """The (lo, hi) that a padding word means along one axis.

    `size` is the length of the input along it, `span` the effective size of the kernel. For a
    transposed convolution `size` is the length of the output: a transposed convolution has the
    padding of the direct convolution whose adjoint it is.
    """
    if word == "valid":
        return 0, 0
    if word in ("same", "same_lower"):
        return split_padding(same_total(size, span, stride), odd_at_end=word == "same")
    if word == "half":
        return span // 2, span // 2
    if word == "full":
        return span - 1, span - 1
    if word == "causal":
        return span - 1, 0
    raise one_of("--padding", word, WORDS)
