"""Backends: frameworks that compute a convolution, each in a process of its own.

A backend is a framework together with an interpreter that can import it.  convdiff's own process,
the *host*, never imports a framework: the framework may be absent, may crash, and may need another
version of Python or numpy.  A *worker* process imports it instead, and runs code for the host: the
scripts that `convdiff.dialects` writes, and the user's own calls (`--call`).

From a request to the answers:

1. `table` has a row for every backend: what to import, how to install it and, for the backend of
   another package (`convdiff.plugins`), where its adapter is.
2. `environments` finds the interpreter for each: one named in the project's configuration, one that
   the user registered (`registry`), one that convdiff built (`install`), or the running one.
3. `fleet` starts the workers of these environments, as many at once as `capacity` allows, accepts
   jobs, and yields an `Answer` for each as it arrives.
4. `supervisor` (one per environment) queues the jobs, keeps the deadline, and replaces a worker
   that died.  `process` (one per running worker) owns the operating system's process and its pipes;
   `environment_variables` lists the variables that are set in it.
5. `array_files` passes arrays in both directions as .npy files, in the private folder that
   `fleet_folder` creates and deletes.
6. `worker` runs in the other process, with the framework's adapter (`adapters/NAME_adapter.py`).
7. `failures` turns exceptions, crashes and timeouts into one-line messages.  `termination` makes
   SIGTERM end the host in good order.

Protocol.  Host and worker exchange JSON objects, one per line, over two pipes; a third pipe only
tells the worker that the host has ended.  The worker imports its framework at once and sends a
greeting: its versions, devices and default path, or why the import failed.  The host sends jobs
without waiting, and the worker answers them in order.  So the first unanswered job is the one that
is running: when the process dies or the deadline passes, that job failed, and those behind it go
to a new process.  Standard output and error are a log, not part of the protocol; they are quoted in
the message of a crash.  `worker` documents every message and field.

Invariants:

- Every job gets exactly one answer.  An exception, a crash or a hang costs that job and no other.
- A job that was started is never run a second time.
- No worker and no file outlives the host, however the host ends; what SIGKILL leaves in the
  temporary folder is deleted by the next fleet.
- A job cannot disturb the next: settings, warning filters, working directory and sys.path are put
  back, and each run gets its own copy of the arrays.
- Nothing here changes a result: threads, oneDNN, TF32 and the choice of device stay as the user has
  them, except where an execution path is defined by such a setting.
- `worker` and the adapters need Python 3.7 or newer, numpy and one framework; they import nothing
  of convdiff.
- Importing these modules imports neither numpy nor rich, so that workers start before the host has
  finished its own imports.

A new backend is a row in `table`, an adapter, a dialect, and its rows in
`convdiff.execution_paths`.
"""

from convdiff.backends.table import BACKENDS, NAMES, Backend, all_backends, find_backend

__all__ = ["BACKENDS", "NAMES", "Backend", "all_backends", "find_backend"]
