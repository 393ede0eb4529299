"""Arrays from files and from memory, as native numpy arrays.

Every array that a user names (`file.npy`, `file.npz:key`) or passes in Python becomes a `Stored`:
an array of a native float or integer type, with the name of the type that it was stored in.

- `files` reads a path: it tells formats apart by their first bytes, maps a .npy read-only, and
  words every failure.  `npy` reads and checks the header of a .npy, `npz` the members of an
  archive; `other_formats` recognizes what is neither.
- `memory` takes numpy arrays and the tensors of frameworks, none of which is imported here.
- `element_types` decides which element types are accepted, and converts the others (bool,
  big-endian, bfloat16).
- `promotion` chooses the type to compute a convolution in; `nonfinite` counts NaN and infinity.
- `truncated_files` ends the command line where a mapped file shrinks.

Invariants:

- A file's contents are not trusted: nothing is unpickled, and no allocation exceeds what the file
  can hold.
- Whatever is wrong with a file is a ConvdiffError of one line: what was found, what was expected,
  and what to do.
- Only the header of a .npy is read here, unless its elements must be converted: elements are read
  from the mapped file when they are used.
"""

from convdiff.arrays.files import read
from convdiff.arrays.memory import from_memory
from convdiff.arrays.nonfinite import nonfinite_notes
from convdiff.arrays.promotion import compute_dtype

__all__ = ["compute_dtype", "from_memory", "nonfinite_notes", "read"]
