"""Padding words and numbers to (lo, hi) pairs, one pair per spatial axis.

Sources of the formulas: `same` is TensorFlow's SAME (the odd one at the end), which XLA, Keras and
ONNX's SAME_UPPER share; `same_lower` is ONNX's SAME_LOWER; `half` and `full` are Theano's border
modes; `causal` is Keras'.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Sequence

from convdiff.errors import ConvdiffError, one_of

Pair = tuple[int, int]
# Strides, dilations and paddings that frameworks take lie below it: they count in 32 bits.
LARGEST = 2**31
_DIGITS = re.compile(r"\s*[+-]?0*(\d+)\s*")
WORDS = ("valid", "same", "same_lower", "half", "full", "causal")


def reach(kernel: int, dilation: int) -> int:
    """How many input positions a kernel of this size spans: d(k - 1) + 1."""
    return dilation * (kernel - 1) + 1


def parse_padding(value: object, rank: int) -> str | tuple[Pair, ...]:
    """The option's text, number or nested lists as a word or as `rank` (lo, hi) pairs.

    Accepts a word; `1`; `"1,2"` or `[1, 2]` (both sides alike, per axis); `"0:1,0:1"` or `[[0, 1],
    [0, 1]]`.  One value stands for every axis.  Negative numbers crop.  Raises ConvdiffError for
    anything else.
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
    pairs = [_pair(item, value) for item in items]
    if len(pairs) == 1:
        pairs *= rank
    if len(pairs) != rank:
        raise ConvdiffError(
            f"--padding {_show(value)}: found {len(pairs)} axes, expected 1 or {rank}, one per "
            "spatial axis; "
            "a lo:hi pair is written 0:1"
        )
    return tuple(pairs)


def _pair(item: object, value: object) -> Pair:
    try:
        if isinstance(item, list | tuple):
            lo, hi = item
            return whole(lo), whole(hi)
        return whole(item), whole(item)
    except OverflowError as error:
        raise ConvdiffError(f"--padding: {error}") from None
    except (TypeError, ValueError):
        raise ConvdiffError(
            f"--padding {_show(value)}: expected a word ({', '.join(WORDS)}), whole numbers (1 or "
            "1,2) or lo:hi pairs (0:1,0:1)"
        ) from None


def whole(number: object) -> int:
    """A whole number of any integer type, or the text of one.

    TypeError or ValueError for anything else; OverflowError, with the end of a sentence, for one
    beyond `LARGEST`.
    """
    if isinstance(number, str):
        digits = _DIGITS.fullmatch(number)
        if digits is None:
            raise ValueError
        found = int(digits[0]) if len(digits[1]) < 20 else LARGEST
    elif isinstance(number, bool):
        raise TypeError
    else:
        found = operator.index(number)  # type: ignore[arg-type]
    if abs(found) >= LARGEST:
        raise OverflowError(
            f"found a number that is too large, expected less than {LARGEST}, more than any axis "
            "is long"
        )
    return found


def _show(value: object) -> str:
    return (
        value if isinstance(value, str) and value.isprintable() and value.strip() else repr(value)
    )


def same_total(size: int, span: int, stride: int) -> int:
    """SAME's padding of one axis in all: max((ceil(n/s) - 1) s + span - n, 0)."""
    return max((-(-size // stride) - 1) * stride + span - size, 0)


def split(amount: int, odd_at_end: bool) -> Pair:
    """`amount` over the two sides; the odd one goes to the end or to the start."""
    small = amount // 2
    return (small, amount - small) if odd_at_end else (amount - small, small)


def word_pair(word: str, size: int, span: int, stride: int) -> Pair:
    """The (lo, hi) of a padding word along one axis of `size` positions under a kernel that spans
    `span` of them.

    For a transposed convolution `size` is the output's, since its padding is that of the direct one
    it is the adjoint of.
    """
    if word == "valid":
        return 0, 0
    if word in ("same", "same_lower"):
        return split(same_total(size, span, stride), odd_at_end=word == "same")
    if word == "half":
        return span // 2, span // 2
    if word == "full":
        return span - 1, span - 1
    if word == "causal":
        return span - 1, 0
    raise one_of("--padding", word, WORDS)
