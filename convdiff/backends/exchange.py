"""Arrays on their way to workers and back: .npy files that both sides map into memory, so that
nothing is copied through a pipe.

A user's own file is handed over where it serves: a plain .npy with the very type, shape and byte
order of the array.  Anything else (a member of an .npz, bfloat16, big-endian, an array in memory)
is written to the fleet's folder once, for all workers.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convdiff.records import Stored


def serves(stored: Stored) -> bool:
    """Whether the file that the array came from can be handed to a worker as it is."""
    import numpy as np

    if stored.path is None or stored.key is not None or stored.path.suffix != ".npy":
        return False
    try:
        with stored.path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            read = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, _, dtype = read(file)
    except (OSError, ValueError):
        return False
    return bool(
        dtype == stored.array.dtype
        and dtype.isnative
        and dtype.kind in "biuf"
        and shape == stored.array.shape
    )


def hand_over(stored: Stored, beside: Path) -> Path:
    """The absolute path of a .npy with the array: the user's own, or `beside` once it is written."""
    import numpy as np

    if serves(stored) and stored.path is not None:
        return stored.path.absolute()
    array = stored.array
    if array.dtype.name.startswith(("bfloat16", "float8")):  # ml_dtypes; .npy cannot say these
        array = array.astype(np.float32)
    np.save(beside, np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C"))
    return beside


def take_back(out: Path) -> Any:
    """The array that a worker saved, mapped; its file is unlinked, and its pages live as long as
    the array does.

    Raises ValueError or OSError where there is no such array.
    """
    import numpy as np

    array = np.load(out, mmap_mode="r")
    out.unlink()
    return array
