"""Arrays pass between host and worker as .npy files that both map into memory.

Nothing is copied through a pipe.  Where the user's own file is a plain .npy with exactly the type,
shape and byte order of the array, the worker reads that file.  Any other array (a member of an
.npz, bfloat16, big-endian, or given in memory) is written once, to the fleet's folder, for all
workers.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convdiff.records import Stored

# numpy is imported inside the functions, because workers are started before the host needs it.


def has_readable_file(stored: Stored) -> bool:
    """Whether a worker can read the array from the file that it came from."""
    import numpy as np

    if stored.path is None or stored.key is not None or stored.path.suffix != ".npy":
        return False
    try:
        with stored.path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            read_header = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, _, dtype = read_header(file)
    except (OSError, ValueError):
        return False
    return bool(
        dtype == stored.array.dtype
        and dtype.isnative
        and dtype.kind in "biufc"
        and shape == stored.array.shape
    )


def file_for_worker(stored: Stored, copy: Path) -> Path:
    """The absolute path of a .npy with the array: the user's own file, or else `copy`.

    `copy` is written only where the user's file does not serve.
    """
    import numpy as np

    if has_readable_file(stored) and stored.path is not None:
        return stored.path.absolute()
    array = stored.array
    if array.dtype.name.startswith(("bfloat16", "float8")):  # ml_dtypes; .npy has no name for them
        array = array.astype(np.float32)
    np.save(copy, np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C"))
    return copy


def load_result(file: Path) -> Any:
    """The array that a worker saved, mapped; the file is unlinked, its pages stay with the array.

    Raises ValueError or OSError where the file holds no array.
    """
    import numpy as np

    array = np.load(file, mmap_mode="r")
    file.unlink()
    return array
