"""Items made ahead: an interrupt leaves no thread behind, and nothing keeps a process from its end."""

import itertools
import subprocess
import sys
import threading
import time

import pytest

from k8scap.parser.ahead import ahead

SUSPENDED = """
import itertools, os, sys
from k8scap.parser.ahead import ahead

def numbers():
    yield from itertools.count()

ahead_of_us = ahead(numbers)
print(next(ahead_of_us), next(ahead_of_us))
"""


def numbers():
    yield from itertools.count()


def threads_after(seconds):
    """How many there still are: what ends, ends soon."""
    deadline = time.monotonic() + seconds
    while threading.active_count() > 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    return threading.enumerate()


@pytest.mark.parametrize("is_running", [True, False], ids=["running", "not-yet-running"])
def test_an_interrupt_while_its_thread_starts_leaves_no_thread(monkeypatch, is_running):
    """Ctrl-C may come when the thread was asked for, before `Thread.start()` has seen it run."""
    before = threading.enumerate()
    start = threading.Thread.start
    late = []

    def interrupted_start(thread):
        if is_running:
            start(thread)
        else:
            late.append(thread)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", interrupted_start)
        with pytest.raises(KeyboardInterrupt):
            next(ahead(numbers))
    for thread in late:
        thread.start()
    left = [thread for thread in threads_after(2) if thread not in before]
    assert left == []


def test_closing_it_ends_the_thread():
    before = threading.enumerate()
    items = ahead(numbers)
    assert [next(items) for _ in range(5)] == [0, 1, 2, 3, 4]
    items.close()
    assert threading.enumerate() == before


def test_a_process_ends_while_items_wait_to_be_taken():
    done = subprocess.run(
        [sys.executable, "-c", SUSPENDED], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "0 1\n", "")


def test_a_forked_child_makes_its_own_items_and_ends():
    """The child has none of its parent's threads."""
    code = SUSPENDED + (
        "child = os.fork()\n"
        "if child == 0:\n"
        "    print(next(ahead(numbers)), flush=True)\n"
        "    sys.exit()\n"
        "print(os.waitpid(child, 0)[1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-u", "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "0 1\n0\n0\n"), done.stderr
