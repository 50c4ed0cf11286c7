"""The cache of compiled kernels: a damaged one is mended, a full disk or a read-only folder does no harm."""

import os
import resource
import subprocess
import sys

import pytest

TINY = """
from k8scap.parser.compiling import compiled, kernel, remember_compiled

@kernel
def twice(number):
    return 2 * number

print(twice(21), "from the cache" if twice.stats.cache_hits else "compiled anew")
"""
COMPILED, LOADED = "42 compiled anew\n", "42 from the cache\n"


@pytest.fixture
def machine(tmp_path):
    """A program with a kernel, and the environment of a machine on which nothing was compiled yet."""
    (tmp_path / "tiny.py").write_text(TINY)
    (tmp_path / "cache").mkdir()
    return tmp_path


def run(machine, *before, **options):
    return subprocess.run(
        [*before, sys.executable, "tiny.py"], cwd=machine, env=environment(machine), capture_output=True,
        text=True, check=False, timeout=120, **options,
    )  # fmt: skip


def environment(machine):
    return {**os.environ, "XDG_CACHE_HOME": str(machine / "cache")}


def cached(machine):
    """Files in the cache folder, and how long they are."""
    files = (path for path in (machine / "cache").rglob("*") if path.is_file())
    return {path: path.stat().st_size for path in files}


def outcome(done):
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("damage", ["emptied", "cut off", "zeroed"])
def test_a_damaged_cache_is_compiled_again_and_mended(machine, damage):
    """A machine that loses power may leave files that are empty, half there, or half zeros."""
    assert outcome(run(machine)) == (0, COMPILED, "")
    assert outcome(run(machine)) == (0, LOADED, "")
    whole = cached(machine)
    assert whole
    for path, size in whole.items():
        with path.open("r+b") as file:
            file.truncate(0 if damage == "emptied" else size // 2)
            file.truncate(size if damage == "zeroed" else path.stat().st_size)
    assert outcome(run(machine)) == (0, COMPILED, "")
    assert outcome(run(machine)) == (0, LOADED, "")
    assert cached(machine) == whole


def test_a_full_disk_does_no_harm(machine):
    """The limit on a file's size stands for it: writing more than 4 KiB fails, opening a file does not."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    for _ in range(2):
        assert outcome(run(machine, preexec_fn=limit)) == (0, COMPILED, "")
    assert cached(machine) == {}
    assert outcome(run(machine)) == (0, COMPILED, "")
    assert outcome(run(machine)) == (0, LOADED, "")


def test_a_disk_that_fills_up_while_we_run_does_no_harm(machine):
    """What was found to be a writable folder takes no more when there is something to keep."""
    fills_up = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
    (machine / "tiny.py").write_text(TINY.replace("print(", fills_up + "print("))
    for _ in range(2):
        assert outcome(run(machine)) == (0, COMPILED, "")
    assert cached(machine) == {}


def test_a_ready_cache_in_a_read_only_folder_is_used(machine):
    """As in an image that was built with `k8scap compile`, and runs with a read-only root."""
    (machine / "tiny.py").write_text(TINY + "remember_compiled()\nprint(compiled())\n")
    assert outcome(run(machine)) == (0, COMPILED + "True\n", "")
    before = cached(machine)
    (machine / "ro.py").write_text(
        "import os, subprocess, sys\n"
        "subprocess.run(['mount', '--bind', 'cache', 'cache'], check=True)\n"
        "subprocess.run(['mount', '-o', 'remount,ro,bind', 'cache'], check=True)\n"
        "os.execv(sys.argv[1], sys.argv[1:])\n"
    )
    done = run(machine, "unshare", "--mount", sys.executable, "ro.py")
    assert outcome(done) == (0, LOADED + "True\n", "")
    assert cached(machine) == before


def test_two_processes_may_compile_at_once(machine):
    both = [
        subprocess.Popen(
            [sys.executable, "tiny.py"], cwd=machine, env=environment(machine), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    answers = [process.communicate(timeout=120) for process in both]
    assert all(answer in ((COMPILED, ""), (LOADED, "")) for answer in answers), answers
    assert [process.returncode for process in both] == [0, 0]
    assert outcome(run(machine)) == (0, LOADED, "")
