"""Whatever goes wrong in a job costs one answer, with the right status, and leaves nothing behind.

The faults are real: small programs that crash, hang, print much or misbehave in a real worker.
"""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convdiff.backends import failures, process
from convdiff.backends import fleet as fleet_module
from convdiff.backends.environments import Environment, find_environment
from convdiff.backends.fleet import Fleet
from tests.backends.support import ARRAYS, PATIENCE, Run, job, pids, wait_for, wait_until_dead

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
    "exits": ("import sys; sys.exit(4)", r"^SystemExit: the code called sys.exit"),
    "interrupt": ("raise KeyboardInterrupt", r"^KeyboardInterrupt \(line 1"),
    "nothing": ("y = input", r"^the code does not assign its result to the name `output`$"),
    "none": ("output = None", r"^the result is a NoneType, expected an array of numbers$"),
    "string": ("output = 'abc'", r"^the result is a str, expected an array of numbers: 'abc'$"),
    "function": ("output = lambda: 1", r"^the result is a function, expected"),
    "ragged": (
        "output = [[1, 2], [3]]",
        r"the result is a list that numpy cannot make an array of",
    ),
    "memory": ("output = np.empty(1 << 50)", r"^\w*MemoryError"),
    "recursion": ("def f(): return f()\noutput = f()", r"^RecursionError"),
    "missing-module": (
        "import gc; assert gc.isenabled()\nimport no_such_module",
        r"^ModuleNotFoundError",
    ),
    "reads-stdin": ("import builtins\noutput = builtins.input()", r"^EOFError"),
}
HARMLESS = {
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
def test_a_crash_costs_one_answer(run: Run, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # However slow the machine is, the process ends by itself and its own exit status is reported.
    monkeypatch.setattr(process, "EXIT_GRACE", PATIENCE)
    code, message = CRASHES[name]
    before, bad, after = run(GOOD, code, GOOD)
    assert (before.status, bad.status, after.status) == ("ok", "crashed", "ok")
    assert bad.message and re.search(message, bad.message) and len(bad.message) < 500
    assert bad.output is None and bad.version == np.__version__
    assert after.output is not None and after.output[0, 0] == 1


def test_closed_pipes_without_an_end_are_a_crash(run: Run) -> None:
    bad, after = run("import os, time\nos.closerange(0, 100)\ntime.sleep(10_000)", GOOD)
    assert (bad.status, after.status) == ("crashed", "ok")
    assert "closed the file descriptors" in str(bad.message)


@pytest.mark.parametrize("name", FAILURES)
def test_an_exception_costs_one_answer(run: Run, name: str) -> None:
    code, message = FAILURES[name]
    bad, after = run(code, GOOD)
    assert (bad.status, after.status) == ("failed", "ok")
    assert bad.message and re.search(message, bad.message) and "\n" not in bad.message


@pytest.mark.parametrize("name", HARMLESS)
def test_what_a_job_leaves_behind_costs_no_answer(run: Run, name: str) -> None:
    for answer in run(HARMLESS[name], GOOD, HARMLESS["warns"], "print(1)\n" + GOOD):
        assert answer.status == "ok", answer.message
        assert answer.output is not None
        np.testing.assert_array_equal(answer.output, ARRAYS["input"].array + 1)


HANGS = {
    "sleeps": "import time\nprint('so far')\ntime.sleep(10_000)",
    "spins": "print('so far')\nwhile True: pass",
    "holds-the-lock": "import ctypes\nprint('so far')\nctypes.PyDLL(None).sleep(10_000)",
    "swallows": "import time\nprint('so far')\nwhile True:\n    try: time.sleep(9)\n    "
    "except BaseException: pass",
    "starts-others": "import subprocess, time\nsubprocess.Popen(['sleep', '10000'])\n"
    "print('so far')\ntime.sleep(10_000)",
}


@pytest.mark.parametrize("name", HANGS)
def test_a_hang_costs_one_answer(name: str) -> None:
    """The deadline is moved into the past once the job is known to hang, so no job is hurried."""
    with Fleet([find_environment("numpy")], timeout=PATIENCE) as fleet:
        fleet.wait()
        first = pids(fleet)
        answers = fleet.run([job(HANGS[name], "bad"), job(GOOD, "good")], ARRAYS)
        log = fleet._open() / "numpy.log"
        wait_for(lambda: fleet._poll() or "so far" in failures.job_output(log), "the job's output")
        fleet._supervisors["numpy"]._deadline = time.monotonic() - 1
        found = {answer.name: answer for answer in answers}
        wait_until_dead(first)
        assert found["bad"].status == "timeout" and found["good"].status == "ok"
        assert found["bad"].message == (
            f"no answer after {PATIENCE:g} s (--timeout); it printed last: so far"
        )


def test_a_job_has_no_more_than_its_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet_module, "MIN_IMPORT_TIMEOUT", PATIENCE)
    with Fleet([find_environment("numpy")], timeout=0.7) as fleet:
        [answer] = fleet.run([job("import time\ntime.sleep(10_000)")], ARRAYS)
    assert answer.status == "timeout"
    assert str(answer.message).startswith("no answer after 0.7 s (--timeout)")


def test_a_job_that_is_submitted_to_a_dead_process_is_run(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first job has ended its process before the second one is submitted."""
    fleet.wait()
    supervisor = fleet._supervisors["numpy"]
    submit = supervisor.submit

    def submit_and_wait(message: dict[str, Any]) -> None:
        submit(message)
        if message["name"] == "bad":
            worker = supervisor.process
            assert worker is not None
            wait_for(worker.has_exited, "the end of the process")

    monkeypatch.setattr(supervisor, "submit", submit_and_wait)
    answers = {
        answer.name: answer.status
        for answer in fleet.run([job("import os; os._exit(1)", "bad"), job(GOOD, "good")], ARRAYS)
    }
    assert answers == {"bad": "crashed", "good": "ok"}


def test_a_process_that_died_while_idle_is_replaced(fleet: Fleet, run: Run) -> None:
    fleet.wait()
    os.kill(pids(fleet)[0], signal.SIGKILL)
    assert run(GOOD)[0].status == "ok"


@pytest.mark.parametrize(("kills", "status"), [(1, "ok"), (2, "unavailable")])
def test_an_import_that_is_killed_is_tried_once_more(
    kills: int, status: str, tmp_path: Path
) -> None:
    """The interpreter is a script that is killed `kills` times, and then runs Python."""
    count = tmp_path / "count"
    python = tmp_path / "python"
    script = (
        f'echo >> {count}; if [ "$(wc -l < {count})" -le {kills} ]; then kill -9 $$; fi; '
        f'exec {find_environment("numpy").python} "$@"'
    )
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    with Fleet([Environment("numpy", "numpy", python, "registered")], timeout=PATIENCE) as fleet:
        answers = list(fleet.run([job(GOOD, "a"), job(GOOD, "b")], ARRAYS))
    assert [answer.status for answer in answers] == [status, status]
    assert status == "ok" or "killed (out of memory?)" in str(answers[0].message)


def test_a_death_costs_the_job_that_is_running(run: Run, tmp_path: Path) -> None:
    """A thread of the first job ends the process while the second one runs."""
    started = tmp_path / "started"
    first = (
        "import os, pathlib, threading, time\n"
        "def end():\n"
        f"    while not pathlib.Path({str(started)!r}).exists(): time.sleep(0.01)\n"
        "    os._exit(5)\n"
        f"threading.Thread(target=end).start()\n{GOOD}"
    )
    second = f"import time\nopen({str(started)!r}, 'w').close()\ntime.sleep(10_000)"
    answers = run(first, second, GOOD)
    assert [answer.status for answer in answers] == ["ok", "crashed", "ok"]


def test_a_death_between_two_jobs_costs_neither(run: Run) -> None:
    """The process ends after the first job's answer and before the second one is started."""
    first = f"import __main__, os\n__main__.begin_log = lambda *_: os._exit(5)\n{GOOD}"
    answers = run(first, GOOD)
    assert [answer.status for answer in answers] == ["ok", "ok"]


def test_text_on_the_protocols_descriptors_is_a_crash(run: Run) -> None:
    junk = (
        "import os\nfor fd in range(3, 30):\n    try: os.write(fd, b'junk\\n')\n    except "
        "OSError: pass\n" + GOOD
    )
    bad, after = run(junk, GOOD)
    assert (bad.status, after.status) == ("crashed", "ok")


def test_a_program_that_is_no_python_is_unavailable() -> None:
    for python, message in (
        (Path("/no/such/python"), "cannot be started: No such file"),
        (Path("/bin/true"), "cannot be imported"),
    ):
        with Fleet([Environment("torch", "torch", python, "registered")]) as fleet:
            [answer] = fleet.run([job(GOOD, "torch", backend="torch")], ARRAYS)
            assert answer.status == "unavailable" and message in str(answer.message)


def test_an_environment_with_a_reason_is_not_started() -> None:
    python = find_environment("numpy").python
    with Fleet([Environment("jax", "jax", python, "none", "jax is not installed")]) as fleet:
        fleet.start()
        assert pids(fleet) == []
        assert fleet.wait() == {"jax": "jax is not installed"}
        [answer] = fleet.run([job(GOOD, "jax", backend="jax")], ARRAYS)
    assert (answer.status, answer.message) == ("unavailable", "jax is not installed")
