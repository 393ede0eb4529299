"""Each way in which code can go wrong costs one row, with the right status, and leaves nothing
behind.

The faults are real: tiny programs that crash, hang, chatter and lie in a real worker.
"""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from backends_support import ARRAYS, Run, gone, job

from convdiff.backends.environments import Environment, find
from convdiff.backends.fleet import Fleet

GOOD = "output = input + 1"

CRASHES = {
    "segfault": (
        "import ctypes\nctypes.string_at(0)",
        r"SIGSEGV \(segmentation fault\) at line 2$",
    ),
    "abort": ("import os\nos.abort()", r"SIGABRT \(aborted\) at line 2"),
    "kill": (
        "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
        r"^killed \(out of memory\?\)$",
    ),
    "kill-group": ("import os, signal\nos.killpg(0, signal.SIGKILL)", r"^killed"),
    "terminated": (
        "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)",
        r"^ended by SIGTERM$",
    ),
    "exit-0": ("import os\nos._exit(0)", r"^it ended its process with status 0$"),
    "exit-3": ("import os\nprint('bye')\nos._exit(3)", r"status 3; it printed last: bye$"),
    "closes-all": (
        "import os\nos.closerange(0, 100)\noutput = input",
        r"closed the file descriptors",
    ),
    "closes-and-hangs": (
        "import os, time\nos.closerange(0, 100)\ntime.sleep(100)",
        r"closed the file descriptors",
    ),
}
FAILURES = {
    "raises": (
        "x = 1\nraise ValueError('first\\nsecond')",
        r"^ValueError: first \(line 2: raise ValueError",
    ),
    "raises-colon": (
        "raise RuntimeError('mismatch:\\n  2 and 3\\n more')",
        r"^RuntimeError: mismatch: 2 and 3 \(line 1",
    ),
    "inner": (
        "def f():\n    return 1 / 0\noutput = f()",
        r"^ZeroDivisionError: .* \(line 2, in f: return 1 / 0\)$",
    ),
    "syntax": ("output = (", r"^SyntaxError: .*\(line 1: output = \("),
    "exits": ("import sys; sys.exit(4)", r"^SystemExit: the code ended itself \(sys.exit\)"),
    "interrupt": ("raise KeyboardInterrupt", r"^KeyboardInterrupt \(line 1"),
    "nothing": ("y = input", r"^the code leaves nothing in the name `output`$"),
    "none": ("output = None", r"^the result is a NoneType, expected an array of numbers$"),
    "string": ("output = 'abc'", r"^the result is a str, expected an array of numbers: 'abc'$"),
    "function": ("output = lambda: 1", r"^the result is a function, expected"),
    "ragged": ("output = [[1, 2], [3]]", r"the result is a list that numpy makes no array of"),
    "complex": ("output = input * 1j", r"complex.*take its \.real"),
    "memory": ("output = np.empty(1 << 50)", r"^\w*MemoryError"),
    "recursion": ("def f(): return f()\noutput = f()", r"^RecursionError"),
    "imports-jax-later": (
        "import gc; assert gc.isenabled()\nimport no_such_module",
        r"^ModuleNotFoundError",
    ),
    "reads-stdin": ("import builtins\noutput = builtins.input()", r"^EOFError"),
}
FINE = {
    "chatter": "import sys\nfor i in range(100): print('x' * 20000); print('y' * 20000, "
    "file=sys.stderr)\n" + GOOD,
    "raw-chatter": "import os\nos.write(1, b'{\"id\": 1}\\n\\xff\\x00')\nos.write(2, "
    "b'\\x1e99\\n')\n" + GOOD,
    "handlers": "import signal\nfor n in (2, 15, 29): signal.signal(n, signal.SIG_IGN)\n" + GOOD,
    "closes-streams": "import sys, os\nsys.stdout.close(); sys.stderr.close(); os.close(1); "
    "os.close(2)\n" + GOOD,
    "warns": "import warnings\nwarnings.warn('no')\nwarnings.simplefilter('error')\n" + GOOD,
    "forks": "import os\nif os.fork() == 0: pass\n" + GOOD,
    "threads": "import threading, time\nthreading.Thread(target=time.sleep, args=(99,)).start()\n"
    + GOOD,
    "moves": "import os\nos.chdir('/')\n" + GOOD,
    "own-names": "del input, np\nimport numpy\noutput = numpy.arange(1, 13, "
    "dtype='f4').reshape(3, 4)",
    "rebinds": "np.sum = None\ninput += 1\noutput = input",
}


@pytest.mark.parametrize("name", CRASHES)
def test_a_crash_costs_one_row(run: Run, name: str) -> None:
    code, message = CRASHES[name]
    before, bad, after = run(GOOD, code, GOOD)
    assert (before.status, bad.status, after.status) == ("ok", "crashed", "ok")
    assert bad.message and re.search(message, bad.message) and len(bad.message) < 500
    assert bad.output is None and bad.version == np.__version__
    assert after.output is not None and after.output[0, 0] == 1


@pytest.mark.parametrize("name", FAILURES)
def test_an_exception_costs_one_row(run: Run, name: str) -> None:
    code, message = FAILURES[name]
    bad, after = run(code, GOOD)
    assert (bad.status, after.status) == ("failed", "ok")
    assert bad.message and re.search(message, bad.message) and "\n" not in bad.message


@pytest.mark.parametrize("name", FINE)
def test_bad_manners_cost_nothing(run: Run, name: str) -> None:
    for answer in run(FINE[name], GOOD, FINE["warns"], "print(1)\n" + GOOD):
        assert answer.status == "ok", answer.message
        assert answer.output is not None
        np.testing.assert_array_equal(answer.output, ARRAYS["input"].array + 1)


HANGS = {
    "sleeps": "import time\nprint('so far')\ntime.sleep(100)",
    "spins": "while True: pass",
    "holds-the-lock": "import ctypes\nctypes.PyDLL(None).sleep(100)",
    "swallows": "import time\nwhile True:\n    try: time.sleep(9)\n    except BaseException: pass",
    "starts-others": "import subprocess, time\nsubprocess.Popen(['sleep', '100'])\ntime.sleep(100)",
}


@pytest.mark.parametrize("name", HANGS)
def test_a_hang_costs_its_timeout(name: str) -> None:
    with Fleet([find("numpy")], timeout=0.7) as fleet:
        fleet.start()
        fleet.wait()
        first = fleet.pids
        answers = {
            answer.name: answer
            for answer in fleet.run([job(HANGS[name], "bad"), job(GOOD, "good")], ARRAYS)
        }
        assert gone(first)
        assert answers["bad"].status == "timeout" and answers["good"].status == "ok"
        assert str(answers["bad"].message).startswith("no answer after 0.7 s (--timeout)")
        assert name != "sleeps" or str(answers["bad"].message).endswith("it printed last: so far")


def test_one_that_dies_while_it_is_handed_more(fleet: Fleet) -> None:
    """The jobs behind a crash are not lost, even where the crash comes before they are handed over."""
    station = fleet._stations["numpy"]
    hand_over = station.hand_over
    try:
        station.hand_over = lambda message: (hand_over(message), time.sleep(0.5))[0]  # type: ignore[method-assign]
        answers = {
            answer.name: answer.status
            for answer in fleet.run(
                [job("import os; os._exit(1)", "bad"), job(GOOD, "good")], ARRAYS
            )
        }
    finally:
        del station.hand_over
    assert answers == {"bad": "crashed", "good": "ok"}


def test_one_that_died_while_idle_is_replaced(fleet: Fleet, run: Run) -> None:
    fleet.wait()
    os.kill(fleet.pids[0], signal.SIGKILL)
    assert run(GOOD)[0].status == "ok"


@pytest.mark.parametrize(("kills", "status"), [(1, "ok"), (2, "unavailable")])
def test_one_that_is_killed_while_it_imports_has_one_more_try(
    kills: int, status: str, tmp_path: Path
) -> None:
    """The interpreter is a script that is killed so many times, then gives way to Python's own."""
    count = tmp_path / "count"
    python = tmp_path / "python"
    script = (
        f'echo >> {count}; if [ "$(wc -l < {count})" -le {kills} ]; then kill -9 $$; fi; '
        f'exec {find("numpy").python} "$@"'
    )
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    with Fleet([Environment("numpy", "numpy", python, "registered")]) as fleet:
        answers = list(fleet.run([job(GOOD, "a"), job(GOOD, "b")], ARRAYS))
    assert [answer.status for answer in answers] == [status, status]
    assert status == "ok" or "killed (out of memory?)" in str(answers[0].message)


def test_a_death_between_jobs_is_not_the_next_one_s_fault(run: Run) -> None:
    after = "import os, threading, time\nthreading.Timer(0.3, os._exit, (5,)).start()\n" + GOOD
    answers = run(after, "import time; time.sleep(1)\n" + GOOD, GOOD)
    assert [answer.status for answer in answers] == ["ok", "crashed", "ok"]


def test_hidden_errors_of_our_own_do_not_look_like_answers(run: Run) -> None:
    """Junk on the worker's own descriptors is a crash, not an answer."""
    junk = (
        "import os\nfor fd in range(3, 30):\n    try: os.write(fd, b'junk\\n')\n    except "
        "OSError: pass\n" + GOOD
    )
    bad, after = run(junk, GOOD)
    assert (bad.status, after.status) == ("crashed", "ok")


def test_a_program_that_is_no_python() -> None:
    for python, message in (
        (Path("/no/such/python"), "cannot be started: No such file"),
        (Path("/bin/true"), "cannot be imported"),
    ):
        with Fleet([Environment("torch", "torch", python, "registered")]) as fleet:
            [answer] = fleet.run([job(GOOD, "torch", backend="torch")], ARRAYS)
            assert answer.status == "unavailable" and message in str(answer.message)


def test_an_environment_with_a_reason_is_not_started() -> None:
    with Fleet(
        [Environment("jax", "jax", find("numpy").python, "none", "jax is not installed")]
    ) as fleet:
        fleet.start()
        assert fleet.pids == []
        assert fleet.wait() == {"jax": "jax is not installed"}
        [answer] = fleet.run([job(GOOD, "jax", backend="jax")], ARRAYS)
    assert (answer.status, answer.message) == ("unavailable", "jax is not installed")


def test_interleaved_runs_and_dropped_iterators(fleet: Fleet) -> None:
    slow = "import time; time.sleep(0.2)\n" + GOOD
    outer = fleet.run([job(slow, "a"), job(slow, "b")], ARRAYS)
    first = next(outer)
    inner = list(fleet.run([job(GOOD, "probe")], ARRAYS))
    assert [answer.name for answer in (first, *inner, *outer)] == ["a", "probe", "b"]
    dropped = fleet.run([job(slow, "c"), job("import time; time.sleep(50)", "d")], ARRAYS)
    assert next(dropped).name == "c"
    kept = fleet.run([job(GOOD, "e")], ARRAYS)
    dropped.close()  # type: ignore[attr-defined]
    assert [answer.status for answer in kept] == ["ok"]
