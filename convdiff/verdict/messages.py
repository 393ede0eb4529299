"""The sentences of `Row.message` and `Row.where` that the judge writes."""

from __future__ import annotations

from convdiff.diagnose.explain.wording import percent
from convdiff.spec.layout import Array


def fast_algorithm(differing: int, elements: int) -> str:
    """So many of the elements are beyond the bound of a sum, within that of FFT or Winograd."""
    if elements == 1:
        words = "it is"
    else:
        share = percent(differing / elements)
        words = (
            f"1 element ({share}) is" if differing == 1 else f"{differing:,} elements ({share}) are"
        )
    return (
        f"{words} beyond the rounding of a plain sum, but within what a fast algorithm (FFT, "
        "Winograd) may add to a channel as a whole"
    )


# Of outputs that agree.
ZERO_IMAGINARY = "the output is complex, all of its imaginary parts are zero"
SMALL_IMAGINARY = "the output is complex, its imaginary parts are rounding (an inverse FFT?)"
PARTS_AS_AXIS = "its last axis was read as the real and the imaginary parts"
REAL_OUTPUT = "the output is real, and the imaginary parts that were asked are zero"


def not_numbers(output: Array) -> str:
    """The output's type cannot be compared."""
    return f"the output holds {output.dtype}, expected numbers"


def flattened(obtained: tuple[int, ...], unflattened: tuple[int, ...], order: str) -> str:
    """The output was flattened, and was judged as an array of the shape `unflattened`."""
    return f"it was flattened: {_dimensions(obtained)}, read as {order} {_dimensions(unflattened)}"


def other_shape(obtained: tuple[int, ...], asked: tuple[int, ...]) -> str:
    """The output has another shape than asked."""
    return f"its shape is {_dimensions(obtained)} instead of {_dimensions(asked)}"


def other_number_of_axes(shapes: str) -> str:
    """As `other_shape` (given as `shapes`), with too few or too many axes."""
    return f"{shapes}; none of the known mistakes gives another number of axes"


def empty_output(shapes: str) -> str:
    """As `other_shape` (given as `shapes`), without a single element."""
    return f"{shapes}: it holds no elements"


def agreeing_part(shapes: str, part: str) -> str:
    """As `other_shape`: `part` of the asked output ("1 of 2 batch items"), which agrees."""
    return f"{shapes}: {part}, which agree"


def unexplained_shape(shapes: str) -> str:
    """As `other_shape`, without an explanation."""
    return f"{shapes}; no explanation found"


def unexplained(region: str, known: str) -> str:
    """The output differs in a region ("everywhere"), with what is known without an explanation."""
    return f"it differs {region}; {known}"


def joined(*messages: str | None) -> str:
    """The messages that are there, as one."""
    return "; ".join(filter(None, messages))


def _dimensions(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "that of a single number"
