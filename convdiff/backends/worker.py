"""The worker: a process that runs convolution code in one framework, for a host that speaks this
protocol with it.

This file stands alone: syntax of Python 3.7, standard library, numpy and one framework, nothing of
convdiff, so that any interpreter can run it.  Launched as

    INTERPRETER -u worker.py ADAPTER JOBS ANSWERS LIFE

ADAPTER is the path of the file that knows the framework (adapters/torch_adapter.py says what such a
file holds).  JOBS, ANSWERS and LIFE are the numbers of inherited pipe descriptors.  Standard output
and error are the host's to keep as a log; nothing on them is part of the protocol, so code may
print what it likes.  Messages are JSON objects, one a line.

1. The worker imports the framework at once and says on ANSWERS

       {"status": "ready", "version": "2.13.0", "python": "3.11.7", "numpy": "2.4.6", "seconds": 1.4, "devices": ["cpu"],
        "path": "cpu/onednn", "missing": {"cuda": "torch 2.13.0+cpu was built without CUDA"}}
       {"status": "unavailable", "message": "ModuleNotFoundError: No module named 'torch'", "python": "3.11.7"}

   and in the second case exits.

2. The host writes jobs on JOBS, also before that, as many as it likes.  They are run one after
another:

       {"id": 1, "name": "torch", "mode": "body", "code": "output = ...", "repeat": 1, "out": "/tmp/x/1.npy",
        "arrays": {"input": "/data/x.npy", "kernel": "/data/w.npy", "bias": "/data/b.npy"}}

   "body"         a text that leaves its result in the name `output`
   "expression"   an expression, its value is the result
   "function"     "path.py:function", called with (input, kernel[, bias]); the file's folder is put on sys.path

   "path" is the path that the code takes ("cuda/cudnn"), null for the one that it takes unasked, "" where nobody knows.  "wrap", if
   there, is an expression among the adapter's names; each array is passed through the function that it gives.

   Texts find the names input, kernel, bias (None without one), np and the adapter's (torch and F, say).  Every run gets
   arrays of its own: writable, mapped copy-on-write, so that writing to them changes no file and no later run.
   A job finds nothing that an earlier one left: settings of the framework, warning filters, standard streams, the working
   directory, sys.path and modules imported from a function's folder are put back.

3. A line "\\x1e1" (the job's id) on standard error marks where its own output begins in the log.
The worker answers

       {"id": 1, "status": "ok", "seconds": 0.01, "stored": "float32", "runs": 1, "changed": 0, "apart": 0.0,
        "precision": [["tf32", "torch.backends.cudnn.allow_tf32 = True", "torch.backends.cudnn.allow_tf32 = False"]]}
       {"id": 1, "status": "failed", "message": "RuntimeError: ...", "where": ["line 3: y = F.conv2d(x, w)"]}

   and has then written the result to `out`, a .npy of numbers in native byte order; types that .npy lacks are widened to
   float32, `stored` is what they were ("bfloat16").  `seconds` is the fastest of the runs.  `changed` is how many of the runs after
   the first answered differently from it, and `apart` by how much at most; the one farthest from it is then written to `out` with
   ".again.npy" behind it.  `precision` are the settings in force that lower precision: what to, the setting, what switches it off.

The worker ignores SIGINT (Ctrl-C is the host's to handle).  It ends when the host does, however
that ends: LIFE carries no data, and its closing kills the worker's process group in the kernel
(Linux), even while a job holds the interpreter lock; elsewhere a thread sees JOBS close.
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

CLOSED = 97  # exit status: a job has closed the descriptors of the protocol
WIDTH = 400  # characters of an exception's message that are passed on


class Complaint(Exception):
    """Something is wrong with the user's code; the text says it all, without an exception's type."""


def main(argv: list[str]) -> None:
    """Serve until the host goes away."""
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
        with as_before():
            answer = dict(worker.answer(job), id=job["id"])
        worker.leave_to_parent()
        send(answers, answer)


def die_with_host(life: int) -> None:
    """Have the kernel kill this process group when the host's end of LIFE closes; a signal that no
    code can block.
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
    """Pass lines on to the main thread, and end the process at the end of the file: the host is
    gone.
    """
    try:
        with os.fdopen(fd, "rb") as lines:
            for line in lines:
                inbox.put(line)
    except OSError:
        os._exit(CLOSED)
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(0)


def current_folder() -> str:
    """Where the user is; the root where that has been deleted."""
    try:
        return os.getcwd()
    except OSError:
        return os.sep


def send(fd: int, message: dict[str, Any]) -> None:
    """Write one message, whole."""
    data = json.dumps(message).encode() + b"\n"
    try:
        while data:
            data = data[os.write(fd, data) :]
    except OSError:
        os._exit(CLOSED)


def begin_log(log: int, number: int) -> None:
    """Begin a job's part of the log, with standard streams that are open whatever the last job did
    to them.
    """
    for fd, name in ((1, "stdout"), (2, "stderr")):
        with contextlib.suppress(OSError):  # a job closed the log too; it goes without
            os.dup2(log, fd)
        stream = getattr(sys, "__%s__" % name)
        if stream is None or stream.closed:
            stream = open(
                fd, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False
            )
            setattr(sys, "__%s__" % name, stream)
        setattr(sys, name, stream)
    with contextlib.suppress(OSError):
        os.write(2, ("\n\x1e%d\n" % number).encode())


@contextlib.contextmanager
def as_before() -> Iterator[None]:
    """Put back what Python code may leave behind: filters, folder, sys.path, and modules from
    folders that it added there.
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


# Tries again after a transient failure.
PATIENCE = 6


class Worker:
    """The framework, its adapter, and how to run a job with them."""

    def __init__(self, adapter_path: str) -> None:
        self.adapter: Any = load_file(adapter_path, "convdiff_adapter")
        self.framework: Any = None
        self.numpy: Any = None
        self.restore: Any = None
        self.process = os.getpid()

    def start(self) -> dict[str, Any]:
        """Import the framework; returns the hello message.

        Neither this file's folder nor the current one may offer a torch.py of its own, so the first
        leaves sys.path for good. The current one can only be there through PYTHONPATH: it goes
        behind everything else once the framework is there.
        """
        own, current = os.path.dirname(os.path.abspath(__file__)), current_folder()
        asked = [
            os.path.normpath(os.path.join(current, entry))
            for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep)
        ]
        aside = [
            entry for entry in sys.path if entry == current and entry in asked and entry != own
        ]
        sys.path[:] = [
            entry for entry in sys.path if os.path.abspath(entry) != own and entry not in aside
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
            hello.update(status="unavailable", message=first_line(error))
        hello["seconds"] = time.perf_counter() - begin
        sys.path += aside
        return hello

    def answer(self, job: dict[str, Any]) -> dict[str, Any]:
        """Run one job; whatever happens in Python becomes an answer."""
        own_files = {"<%s>" % job["name"]}
        try:
            run = self.prepare(job, own_files)
            return self.measure(run, job)
        except BaseException as error:
            return {
                "status": "failed",
                "message": first_line(error),
                "where": where(error, own_files),
            }
        finally:
            with contextlib.suppress(
                Exception
            ):  # costs later jobs less than the loss of this worker would
                self.restore()

    def prepare(self, job: dict[str, Any], own_files: set[str]) -> Callable[[], Any]:
        """A function of no arguments that runs the job's code once, on arrays of its own, and
        returns its result.
        """
        code, file, mode = job["code"], "<%s>" % job["name"], job["mode"]
        if mode == "function":
            function = load_function(code, own_files)

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
            space = dict(
                self.names, __name__="__convdiff__", **self.load(job["arrays"], job.get("wrap"))
            )
            if mode == "expression":
                return eval(compiled, space)
            exec(compiled, space)
            if "output" not in space:
                raise Complaint("the code leaves nothing in the name `output`")
            return space["output"]

        return execute

    def load(self, paths: dict[str, str], wrap: str | None) -> dict[str, Any]:
        """The arrays of a job, by name, each passed through what `wrap` names; an absent bias is
        None.
        """
        arrays: dict[str, Any] = {"bias": None}
        through = eval(wrap, dict(self.names)) if wrap else None
        for name, path in paths.items():
            array = self.numpy.asarray(self.numpy.load(path, mmap_mode="c"))
            arrays[name] = through(array) if through else array
        return arrays

    def measure(self, run: Callable[[], Any], job: dict[str, Any]) -> dict[str, Any]:
        """Run, convert, compare the runs, save the first result and the one farthest from it."""
        first: Any = None
        farthest: Any = None
        seconds: list[float] = []
        changed, apart = 0, 0.0
        for _ in range(job["repeat"]):
            begin = time.perf_counter()
            array, stored = self.to_array(self.patiently(run))
            self.leave_to_parent()
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
        """The settings in force that lower precision, as far as the adapter knows them."""
        with contextlib.suppress(Exception):
            return list(self.adapter.precision(self.framework, path))
        return []

    def patiently(self, run: Callable[[], Any]) -> Any:
        """Run; again a little later where the framework itself stumbled over another process
        (`transient` of the adapter).
        """
        transient = getattr(self.adapter, "transient", None)
        for left in range(PATIENCE, -1, -1):
            try:
                return run()
            except Exception as error:
                if not (left and transient and transient(error)):
                    raise
            time.sleep(0.5)
        raise AssertionError("the last try returns or raises")

    def leave_to_parent(self) -> None:
        """End here where a job forked and this is its child, come back from the job: the parent
        answers.
        """
        if os.getpid() != self.process:
            os._exit(0)

    def distance(self, array: Any, other: Any) -> float:
        """The largest difference, as far as it is a number."""
        if array.shape != other.shape:
            return float("inf")
        with self.numpy.errstate(all="ignore"):
            gaps = self.numpy.abs(array.astype("float64") - other.astype("float64"))
        gaps = gaps[self.numpy.isfinite(gaps)]
        return float(gaps.max()) if gaps.size else 0.0

    def to_array(self, value: Any) -> tuple[Any, str]:
        """A numpy array of numbers in native order, and the name of the type it was; Complaint for
        anything else.
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
            raise Complaint(
                "the result is a %s that numpy makes no array of: %s"
                % (type(value).__name__, first_line(error))
            ) from error
        if array.dtype.name.startswith(("bfloat16", "float8")):  # ml_dtypes; .npy cannot say these
            array, stored = array.astype(np.float32), array.dtype.name
        if array.dtype.kind == "c":
            raise Complaint("the result is complex, expected real numbers: take its .real")
        if array.dtype.kind not in "biuf":
            shown = "" if value is None else ": %.60r" % (value,)
            raise Complaint(
                "the result is a %s, expected an array of numbers%s" % (type(value).__name__, shown)
            )
        stored = stored or array.dtype.name
        return np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C"), stored

    def from_sequence(self, value: Any) -> list[Any]:
        """A list as it is, unless it holds tensors: those are converted one by one."""
        leaf = value
        while isinstance(leaf, (list, tuple)) and len(leaf):
            leaf = leaf[0]
        if isinstance(leaf, (list, tuple)) or self.adapter.to_numpy(self.framework, leaf) is None:
            return list(value)
        return [self.to_array(item)[0] for item in value]


@contextlib.contextmanager
def quick_import(leave_out: tuple[str, ...]) -> Iterator[None]:
    """Import without looking for garbage (there is none, and it takes a tenth of the time) and
    without the modules left out.
    """
    gc.disable()
    sys.modules.update(dict.fromkeys(leave_out))  # type: ignore[arg-type]  # None: its import fails as if it were not there
    try:
        yield
    finally:
        for name in leave_out:
            if sys.modules.get(name) is None:
                sys.modules.pop(name, None)
        gc.freeze()
        gc.enable()


def load_file(path: str, name: str) -> types.ModuleType:
    """A module of that name from a file, compiled here so that no __pycache__ appears beside it."""
    module = types.ModuleType(name)
    module.__file__ = path
    with open(path, "rb") as source:
        code = compile(source.read(), path, "exec")
    sys.modules[name] = module
    exec(code, module.__dict__)
    return module


def load_function(code: str, own_files: set[str]) -> Callable[..., Any]:
    """The function that "path.py:function" names.  The file's name is added to `own_files` for
    tracebacks.
    """
    path, _, name = code.strip().rpartition(":")
    full = os.path.abspath(os.path.expanduser(path))
    if not os.path.isfile(full):
        raise Complaint("%s: no such file (looked for %s)" % (path, full))
    folder = os.path.dirname(full)
    if folder in sys.path:
        sys.path.remove(folder)
    sys.path.insert(0, folder)
    own_files.add(full)
    linecache.checkcache(full)
    module = load_file(full, "convdiff_call_" + re.sub(r"\W", "_", os.path.basename(path)))
    function: Any = getattr(module, name, None)
    if not callable(function):
        known = sorted(
            key
            for key, value in vars(module).items()
            if callable(value) and getattr(value, "__module__", None) == module.__name__
        )
        raise Complaint(
            "%s: it has no function %s; it has %s" % (path, name, ", ".join(known) or "none")
        )
    return function  # type: ignore[no-any-return]


def first_line(error: BaseException) -> str:
    """An exception's type and the line of its message that says most, without a framework's
    decorations.
    """
    if isinstance(error, Complaint):
        return str(error)
    kind = type(error).__name__
    if isinstance(error, SyntaxError):
        return "%s: %s" % (kind, error.msg)
    if isinstance(error, SystemExit):
        said = ": %s" % error.code if isinstance(error.code, str) else ""
        return "SystemExit: the code ended itself (sys.exit)" + said
    lines = [
        line.strip() for line in re.sub(r"\{\{.*?\}\}", "", str(error)).splitlines() if line.strip()
    ]
    text = " ".join(lines[:2]) if lines and lines[0].endswith(":") else lines[0] if lines else ""
    text = re.sub(r"\s*\[Op:\w+\].*$", "", text)
    return (kind + ": " + text)[:WIDTH] if text else kind


def where(error: BaseException, own_files: set[str]) -> list[str]:
    """The user's own lines that led to the exception, innermost last; at most three."""
    if isinstance(error, SyntaxError):
        name = (
            ""
            if error.filename is None or error.filename.startswith("<")
            else os.path.basename(error.filename) + " "
        )
        return ["%sline %s: %s" % (name, error.lineno, (error.text or "").strip())]
    found = []
    folders = {os.path.dirname(name) for name in own_files if os.path.isabs(name)}
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename in own_files or os.path.dirname(frame.filename) in folders:
            name = "" if frame.filename.startswith("<") else os.path.basename(frame.filename) + " "
            inside = "" if frame.name.startswith("<") else ", in %s" % frame.name
            found.append("%sline %s%s: %s" % (name, frame.lineno, inside, frame.line or ""))
    return [line[:WIDTH] for line in found[-3:]]


if __name__ == "__main__":
    main(sys.argv)
