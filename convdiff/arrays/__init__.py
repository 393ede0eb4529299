"""Arrays as users have them, from files or from memory, made plain: native floats and integers,
nothing unpickled.
"""

from convdiff.arrays.contents import compute_dtype, notes
from convdiff.arrays.files import read
from convdiff.arrays.memory import from_memory

__all__ = ["compute_dtype", "from_memory", "notes", "read"]
