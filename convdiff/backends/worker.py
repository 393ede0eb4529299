r"""The worker: a process that runs convolution code in one framework and answers to a host.

This file is self-contained, so that any interpreter can run it: syntax of Python 3.7, the standard
library, numpy and one framework, nothing of convdiff.  It is started as

    INTERPRETER -u worker.py ADAPTER JOBS ANSWERS LIFE

ADAPTER is the path of the framework's adapter (adapters/torch_adapter.py documents the interface).
JOBS, ANSWERS and LIFE are the numbers of inherited pipe descriptors.  Standard output and error are
kept by the host as a log and are not part of the protocol, so code may print anything.  Messages
are JSON objects, one per line.

1. The worker imports the framework at once and sends one of these greetings on ANSWERS:

       {"status": "ready", "version": "2.13.0", "python": "3.11.7", "numpy": "2.4.6",
        "seconds": 1.4, "devices": ["cpu"], "path": "cpu/onednn",
        "missing": {"cuda": "torch 2.13.0+cpu was built without CUDA"}}
       {"status": "unavailable", "message": "ModuleNotFoundError: No module named 'torch'",
        "python": "3.11.7"}

   After the second it exits.

2. The host writes jobs on JOBS: any number, and without waiting for the greeting.  They are run in
   order.

       {"id": 1, "name": "torch", "mode": "body", "code": "output = ...", "repeat": 1,
        "path": null, "wrap": null, "out": "/tmp/x/1.npy",
        "arrays": {"input": "/data/x.npy", "kernel": "/data/w.npy", "bias": "/data/b.npy"}}

   "mode" is one of
       "body"         statements that leave the result in the name `output`
       "expression"   an expression, whose value is the result
       "function"     "path.py:function", called with (input, kernel[, bias]); the folder of the
                      file is put on sys.path
   "path" is the execution path that the code selects ("cuda/cudnn"), null for the default, "" where
   it is not known.  "wrap" is null, or an expression, in terms of the adapter's names, for a
   function that every array is passed through.

   Code finds the names input, kernel, bias (None where there is none), np and those of the adapter
   (torch and F, say).  Every run gets its own arrays, writable and mapped copy-on-write: writing to
   them changes neither the file nor a later run.  A job finds no trace of an earlier one: settings
   of the framework, warning filters, standard streams, the working directory, sys.path, and modules
   that were imported from a function's folder are put back.

3. When a job starts, the worker writes the line "\x1e1" (the job's id) to standard error: what
   follows in the log is that job's output.  When it ends, the worker answers

       {"id": 1, "status": "ok", "seconds": 0.01, "stored": "float32",
        "runs": 1, "changed": 0, "apart": 0.0,
        "precision": [["tf32", "torch.backends.cudnn.allow_tf32 = True",
                       "torch.backends.cudnn.allow_tf32 = False"]]}
       {"id": 1, "status": "failed", "message": "RuntimeError: ...",
        "where": ["line 3: y = F.conv2d(x, w)"]}

   Before "ok" it has written the result to "out", a .npy of numbers in native byte order.  Types
   that .npy lacks are widened to float32; "stored" names the original type ("bfloat16").  "seconds"
   is the time of the fastest run.  "changed" counts the later runs whose result differs from the
   first one, and "apart" is the largest difference; the result farthest from the first is then
   written to "out" + ".again.npy".  "precision" lists the settings in force that lower precision:
   the type they lower it to, the setting, and the code that switches it off.

The worker ignores SIGINT, since Ctrl-C is for the host to handle.  It ends with the host, however
that ends: no data is sent on LIFE, but when the host's end closes, the kernel kills the worker's
process group (on Linux), even while a job holds the interpreter lock; on other systems a thread
notices that JOBS has closed.
"""

from __future__ import annotations

import contextlib
import faulthandler
import fcntl
import gc
import importlib
import json
import linecache
import os
import platform
import queue
import re
import select
import signal
import sys
import threading
import time
import traceback
import types
import warnings
from typing import Any, Callable, Iterator

DESCRIPTORS_CLOSED = 97  # exit status where a job has closed the protocol's file descriptors
MESSAGE_WIDTH = 400  # characters of an exception's message that are sent to the host
TRANSIENT_RETRIES = 6  # further tries after a failure that another process has caused
RETRY_PAUSE = 0.5  # seconds before the first of them; each later pause is longer by as much


class UserCodeError(Exception):
    """A fault in the user's code; its message is shown without the name of an exception."""


def main(argv: list[str]) -> None:
    """Run jobs until the host ends."""
    adapter_path, jobs, answers, life = argv[1], int(argv[2]), int(argv[3]), int(argv[4])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for fd in (jobs, answers, life):
        os.set_inheritable(fd, False)
    die_with_host(life)
    faulthandler.enable()
    inbox: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=read_jobs, args=(jobs, inbox), daemon=True).start()
    worker = Worker(adapter_path)
    hello = worker.start()
    send(answers, hello)
    if hello["status"] != "ready":
        os._exit(1)
    log = os.dup(1)
    while True:
        job = json.loads(inbox.get().decode())
        begin_log(log, job["id"])
        with restored_state():
            answer = dict(worker.answer(job), id=job["id"])
        worker.exit_if_forked()
        send(answers, answer)


def die_with_host(life: int) -> None:
    """Have the kernel kill this process group when the host's end of LIFE closes.

    SIGKILL is the one signal that no job can block.
    """
    if hasattr(fcntl, "F_SETSIG") and os.getpgrp() == os.getpid():
        fcntl.fcntl(life, fcntl.F_SETOWN, -os.getpid())
        fcntl.fcntl(life, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)
        poll = select.poll()
        poll.register(life, 0)
        if poll.poll(0):  # the host was gone before this was armed
            os._exit(0)


def read_jobs(fd: int, inbox: queue.Queue[bytes]) -> None:
    """Pass lines to the main thread; the end of the file ends this process, as the host is gone."""
    try:
        with os.fdopen(fd, "rb") as lines:
            for line in lines:
                inbox.put(line)
    except OSError:
        os._exit(DESCRIPTORS_CLOSED)
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(0)


def current_folder() -> str:
    """The working directory, or the root where it has been deleted."""
    try:
        return os.getcwd()
    except OSError:
        return os.sep


def send(fd: int, message: dict[str, Any]) -> None:
    """Write one complete message."""
    data = json.dumps(message).encode() + b"\n"
    try:
        while data:
            data = data[os.write(fd, data) :]
    except OSError:
        os._exit(DESCRIPTORS_CLOSED)


def begin_log(log: int, number: int) -> None:
    """Mark where a job's output begins in the log, and open standard streams that are closed.

    An earlier job may have closed or replaced them.
    """
    for fd, name in ((1, "stdout"), (2, "stderr")):
        with contextlib.suppress(OSError):  # a job may have closed the log as well
            os.dup2(log, fd)
        stream = getattr(sys, "__%s__" % name)
        if stream is None or stream.closed:
            # Not in a `with`: the stream stays open as sys.stdout or sys.stderr.
            stream = open(  # noqa: SIM115
                fd, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False
            )
            setattr(sys, "__%s__" % name, stream)
        setattr(sys, name, stream)
    with contextlib.suppress(OSError):
        os.write(2, ("\n\x1e%d\n" % number).encode())


@contextlib.contextmanager
def restored_state() -> Iterator[None]:
    """Restore what a job may have changed: warning filters, working directory and sys.path.

    Modules that it imported from folders which it put on sys.path are unloaded.
    """
    home, path, modules = current_folder(), list(sys.path), set(sys.modules)
    with warnings.catch_warnings():
        yield
    if current_folder() != home and os.path.isdir(home):
        os.chdir(home)
    added = tuple(
        os.path.join(folder, "")
        for folder in sys.path
        if isinstance(folder, str) and folder and folder not in path
    )
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        file = getattr(sys.modules[name], "__file__", None)
        if added and isinstance(file, str) and file.startswith(added):
            del sys.modules[name]


class Worker:
    """The framework with its adapter; runs jobs."""

    def __init__(self, adapter_path: str) -> None:
        self.adapter: Any = load_file(adapter_path, "convdiff_adapter")
        self.framework: Any = None
        self.numpy: Any = None
        self.restore: Any = None
        self.process = os.getpid()

    def start(self) -> dict[str, Any]:
        """Import the framework; returns the greeting.

        A torch.py in this file's folder or in the working directory must not be imported in its
        place.  This file's folder is removed from sys.path for good.  The working directory can be
        on sys.path only through PYTHONPATH; it is moved to the end once the framework is imported.
        """
        here, current = os.path.dirname(os.path.abspath(__file__)), current_folder()
        on_pythonpath = [
            os.path.normpath(os.path.join(current, entry))
            for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep)
        ]
        deferred = [
            entry
            for entry in sys.path
            if entry == current and entry in on_pythonpath and entry != here
        ]
        sys.path[:] = [
            entry for entry in sys.path if os.path.abspath(entry) != here and entry not in deferred
        ]
        sys.argv[:] = ["convdiff"]
        hello: dict[str, Any] = {
            "status": "ready",
            "python": platform.python_version(),
            "numpy": None,
        }
        begin = time.perf_counter()
        try:
            self.numpy = importlib.import_module("numpy")
            hello["numpy"] = self.numpy.__version__
            with quick_import(getattr(self.adapter, "LEAVE_OUT", ())):
                self.framework = importlib.import_module(self.adapter.IMPORT)
            self.names = dict(self.adapter.names(self.framework), np=self.numpy)
            hello["version"] = str(self.framework.__version__)
            hello["devices"] = self.adapter.devices(self.framework)
            hello["path"] = self.path = self.adapter.path(self.framework)
            hello["missing"] = self.adapter.missing(self.framework)
            self.restore = self.adapter.settings(self.framework)
        except BaseException as error:
            hello.update(status="unavailable", message=error_summary(error))
        hello["seconds"] = time.perf_counter() - begin
        sys.path += deferred
        return hello

    def answer(self, job: dict[str, Any]) -> dict[str, Any]:
        """Run one job; any exception becomes a "failed" answer."""
        user_files = {"<%s>" % job["name"]}
        try:
            run = self.prepare(job, user_files)
            return self.measure(run, job)
        except BaseException as error:
            return {
                "status": "failed",
                "message": error_summary(error),
                "where": user_lines(error, user_files),
            }
        finally:
            # A setting that cannot be put back harms later jobs less than the loss of this worker.
            with contextlib.suppress(Exception):
                self.restore()

    def prepare(self, job: dict[str, Any], user_files: set[str]) -> Callable[[], Any]:
        """A function without arguments that runs the job's code once, on fresh arrays."""
        code, file, mode = job["code"], "<%s>" % job["name"], job["mode"]
        if mode == "function":
            function = load_function(code, user_files)

            def call() -> Any:
                arrays = self.load(job["arrays"], job.get("wrap"))
                return function(
                    *[
                        arrays[name]
                        for name in ("input", "kernel", "bias")
                        if arrays[name] is not None
                    ]
                )

            return call
        linecache.cache[file] = (len(code), None, code.splitlines(True), file)
        compiled = compile(
            code.strip() if mode == "expression" else code,
            file,
            "eval" if mode == "expression" else "exec",
        )

        def execute() -> Any:
            namespace = dict(
                self.names, __name__="__convdiff__", **self.load(job["arrays"], job.get("wrap"))
            )
            if mode == "expression":
                return eval(compiled, namespace)
            exec(compiled, namespace)
            if "output" not in namespace:
                raise UserCodeError("the code does not assign its result to the name `output`")
            return namespace["output"]

        return execute

    def load(self, paths: dict[str, str], wrap: str | None) -> dict[str, Any]:
        """The arrays of a job by name, each passed through `wrap`; "bias" is None where absent."""
        arrays: dict[str, Any] = {"bias": None}
        function = eval(wrap, dict(self.names)) if wrap else None
        for name, path in paths.items():
            array = self.numpy.asarray(self.numpy.load(path, mmap_mode="c"))
            arrays[name] = function(array) if function else array
        return arrays

    def measure(self, run: Callable[[], Any], job: dict[str, Any]) -> dict[str, Any]:
        """Run the code as often as asked, compare the results and save them; returns the answer."""
        first: Any = None
        farthest: Any = None
        seconds: list[float] = []
        changed, apart = 0, 0.0
        for _ in range(job["repeat"]):
            begin = time.perf_counter()
            array, stored = self.to_array(self.run_with_retries(run))
            self.exit_if_forked()
            seconds.append(time.perf_counter() - begin)
            if first is None:
                first, first_stored = array.copy() if job["repeat"] > 1 else array, stored
            elif array.shape != first.shape or array.tobytes() != first.tobytes():
                changed += 1
                distance = self.distance(array, first)
                if farthest is None or distance > apart:
                    apart, farthest = distance, array
        with open(job["out"], "wb") as out:
            self.numpy.save(out, first)
        if farthest is not None:
            with open(job["out"] + ".again.npy", "wb") as out:
                self.numpy.save(out, farthest)
        return {
            "status": "ok",
            "seconds": min(seconds),
            "stored": first_stored,
            "runs": len(seconds),
            "changed": changed,
            "apart": apart,
            "precision": self.precision(self.path if job["path"] is None else job["path"]),
        }

    def precision(self, path: str) -> list[Any]:
        """The settings in force that lower precision, [] where the adapter knows of none."""
        with contextlib.suppress(Exception):
            return list(self.adapter.precision(self.framework, path))
        return []

    def run_with_retries(self, run: Callable[[], Any]) -> Any:
        """Run the code, and again after a failure that another process caused.

        The adapter's `transient` tells such a failure from others.
        """
        transient = getattr(self.adapter, "transient", None)
        for number in range(1, TRANSIENT_RETRIES + 1):
            try:
                return run()
            except Exception as error:
                if not (transient and transient(error)):
                    raise
            time.sleep(RETRY_PAUSE * number)
        return run()

    def exit_if_forked(self) -> None:
        """End this process where it is a child that a job has forked: the parent answers."""
        if os.getpid() != self.process:
            os._exit(0)

    def distance(self, array: Any, other: Any) -> float:
        """The largest difference of two results, without NaN; infinity where the shapes differ."""
        if array.shape != other.shape:
            return float("inf")
        with self.numpy.errstate(all="ignore"):
            wide = "complex128" if "c" in (array.dtype.kind, other.dtype.kind) else "float64"
            differences = self.numpy.abs(array.astype(wide) - other.astype(wide))
        differences = differences[self.numpy.isfinite(differences)]
        return float(differences.max()) if differences.size else 0.0

    def to_array(self, value: Any) -> tuple[Any, str]:
        """The result as a numpy array in native byte order, and the name of its original type.

        Raises UserCodeError where it is not an array of numbers.
        """
        np = self.numpy
        array, stored = self.adapter.to_numpy(self.framework, value), None
        if array is None:
            array = self.from_sequence(value) if isinstance(value, (list, tuple)) else value
        if isinstance(array, tuple):
            array, stored = array
        try:
            array = np.asarray(array)
        except Exception as error:
            raise UserCodeError(
                "the result is a %s that numpy cannot make an array of: %s"
                % (type(value).__name__, error_summary(error))
            ) from error
        # Types of ml_dtypes, which .npy has no names for.
        if array.dtype.name.startswith(("bfloat16", "float8")):
            array, stored = array.astype(np.float32), array.dtype.name
        if array.dtype.kind not in "biufc":
            shown = "" if value is None else ": %.60r" % (value,)
            raise UserCodeError(
                "the result is a %s, expected an array of numbers%s" % (type(value).__name__, shown)
            )
        stored = stored or array.dtype.name
        return np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C"), stored

    def from_sequence(self, value: Any) -> list[Any]:
        """A list or tuple as numpy can take it: tensors in it are converted one by one."""
        leaf = value
        while isinstance(leaf, (list, tuple)) and len(leaf):
            leaf = leaf[0]
        if isinstance(leaf, (list, tuple)) or self.adapter.to_numpy(self.framework, leaf) is None:
            return list(value)
        return [self.to_array(item)[0] for item in value]


@contextlib.contextmanager
def quick_import(leave_out: tuple[str, ...]) -> Iterator[None]:
    """Import faster: without garbage collection, and without the modules named in `leave_out`.

    There is no garbage yet, and looking for it takes a tenth of the time.
    """
    gc.disable()
    # Where sys.modules has None, an import fails as if the module were absent.
    sys.modules.update(dict.fromkeys(leave_out))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in leave_out:
            if sys.modules.get(name) is None:
                sys.modules.pop(name, None)
        gc.freeze()
        gc.enable()


def load_file(path: str, name: str) -> types.ModuleType:
    """The module in a file under the given name; no __pycache__ is written beside it."""
    module = types.ModuleType(name)
    module.__file__ = path
    with open(path, "rb") as source:
        code = compile(source.read(), path, "exec")
    sys.modules[name] = module
    exec(code, module.__dict__)
    return module


def load_function(code: str, user_files: set[str]) -> Callable[..., Any]:
    """The function that "path.py:function" names; adds the file to `user_files`, for tracebacks."""
    path, _, name = code.strip().rpartition(":")
    full = os.path.abspath(os.path.expanduser(path))
    if not os.path.isfile(full):
        raise UserCodeError("%s: no such file (looked for %s)" % (path, full))
    folder = os.path.dirname(full)
    if folder in sys.path:
        sys.path.remove(folder)
    sys.path.insert(0, folder)
    user_files.add(full)
    linecache.checkcache(full)
    module = load_file(full, "convdiff_call_" + re.sub(r"\W", "_", os.path.basename(path)))
    function: Any = getattr(module, name, None)
    if not callable(function):
        known = sorted(
            key
            for key, value in vars(module).items()
            if callable(value) and getattr(value, "__module__", None) == module.__name__
        )
        raise UserCodeError(
            "%s: it has no function %s; it has %s" % (path, name, ", ".join(known) or "none")
        )
    return function  # type: ignore[no-any-return]


def error_summary(error: BaseException) -> str:
    """An exception's type and the first line of its message, without a framework's decorations.

    A first line that ends in a colon is joined with the second.
    """
    if isinstance(error, UserCodeError):
        return str(error)
    kind = type(error).__name__
    if isinstance(error, SyntaxError):
        return "%s: %s" % (kind, error.msg)
    if isinstance(error, SystemExit):
        reason = ": %s" % error.code if isinstance(error.code, str) else ""
        return "SystemExit: the code called sys.exit" + reason
    lines = [
        line.strip() for line in re.sub(r"\{\{.*?\}\}", "", str(error)).splitlines() if line.strip()
    ]
    text = " ".join(lines[:2]) if lines and lines[0].endswith(":") else lines[0] if lines else ""
    text = re.sub(r"\s*\[Op:\w+\].*$", "", text)
    return (kind + ": " + text)[:MESSAGE_WIDTH] if text else kind


def user_lines(error: BaseException, user_files: set[str]) -> list[str]:
    """The lines of the user's code in the traceback, innermost last; at most three."""
    if isinstance(error, SyntaxError):
        name = (
            ""
            if error.filename is None or error.filename.startswith("<")
            else os.path.basename(error.filename) + " "
        )
        return ["%sline %s: %s" % (name, error.lineno, (error.text or "").strip())]
    lines = []
    folders = {os.path.dirname(name) for name in user_files if os.path.isabs(name)}
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename in user_files or os.path.dirname(frame.filename) in folders:
            name = "" if frame.filename.startswith("<") else os.path.basename(frame.filename) + " "
            inside = "" if frame.name.startswith("<") else ", in %s" % frame.name
            lines.append("%sline %s%s: %s" % (name, frame.lineno, inside, frame.line or ""))
    return [line[:MESSAGE_WIDTH] for line in lines[-3:]]


if __name__ == "__main__":
    main(sys.argv)
