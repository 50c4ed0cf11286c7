"""A namespace is opened by who it belongs to, and that stays checked."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from outside import POWERLESS, python, wait_until

from k8scap.errors import TargetChangedError, TargetNotFoundError, TargetNotRunningError
from k8scap.live.netns import Namespace, nsenter_argv

# A PID namespace of its own is where a PID can be given out a second time at will.
REUSE = """
import os, pathlib, signal, subprocess, sys, time
from k8scap.errors import TargetChangedError
from k8scap.live.netns import Namespace

first = subprocess.Popen(["unshare", "--net", "sleep", "100"])
time.sleep(0.2)
namespace = Namespace.open(pid=first.pid)
first.kill()
first.wait()
for attempt in range(50):
    pathlib.Path("/proc/sys/kernel/ns_last_pid").write_text(str(first.pid - 1))
    second = subprocess.Popen(["unshare", "--net", "sleep", "100"])
    if second.pid == first.pid:
        break
    second.kill()
    second.wait()
print(second.pid == first.pid)
try:
    namespace.verify()
except TargetChangedError as error:
    print(error.exit_code, error)
second.kill()
"""


@pytest.fixture
def process(namespace):
    return namespace.start("sleep", "1000")


def test_it_is_the_processes_own_namespace(process):
    with Namespace.open(pid=process.pid) as opened:
        link = Path(f"/proc/{process.pid}/ns/net").readlink().name
        inside = subprocess.run(
            nsenter_argv(opened, ["readlink", "/proc/self/ns/net"]),
            pass_fds=(opened.fd,),
            check=True,
            capture_output=True,
            text=True,
        )

    assert (link, link) == (f"net:[{opened.inode}]", inside.stdout.strip())
    assert link != Path("/proc/self/ns/net").readlink().name


def test_a_name_and_a_process_open_the_same_namespace(namespace, process):
    with Namespace.open(pid=process.pid) as by_pid, Namespace.open(path=namespace.path) as by_name:
        assert by_pid.inode == by_name.inode == namespace.path.stat().st_ino


def test_the_start_time_is_the_kernels(process):
    with Namespace.open(pid=process.pid) as opened:
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        age = uptime - opened.start_time / os.sysconf("SC_CLK_TCK")

    assert 0 <= age < 60
    time.sleep(0.2)  # of a process that is younger than a tick, ps says that it ran for a century
    elapsed = subprocess.check_output(["ps", "-o", "etimes=", "-p", str(process.pid)])
    assert abs(int(elapsed) - age) < 2


def test_a_name_with_parentheses_does_not_confuse_the_start_time(namespace, tmp_path):
    odd = tmp_path / "a) R 1 (b"
    odd.symlink_to("/bin/sleep")
    process = namespace.start(str(odd), "1000")
    wait_until(lambda: "a) R 1" in Path(f"/proc/{process.pid}/comm").read_text())

    with Namespace.open(pid=process.pid) as opened:
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        assert 0 <= uptime - opened.start_time / os.sysconf("SC_CLK_TCK") < 60


def test_no_such_process():
    ended = subprocess.Popen(["true"])
    ended.wait()

    with pytest.raises(TargetNotFoundError, match=rf"There is no process {ended.pid}\.") as caught:
        Namespace.open(pid=ended.pid)

    assert caught.value.next_step


def test_a_process_that_has_ended_and_was_not_waited_for():
    zombie = subprocess.Popen(["true"])
    wait_until(lambda: " Z " in Path(f"/proc/{zombie.pid}/stat").read_text())

    with pytest.raises(TargetNotRunningError, match="has ended"):
        Namespace.open(pid=zombie.pid)

    zombie.wait()


def test_a_process_that_ends_after_it_was_opened(process):
    with Namespace.open(pid=process.pid) as opened:
        opened.verify()
        process.kill()
        process.wait()

        with pytest.raises(TargetChangedError, match=rf"Process {process.pid} has ended\."):
            opened.verify()


def test_a_process_that_moves_to_another_namespace():
    mover = python(
        """
        import ctypes, os, sys, time
        print("here", flush=True)
        sys.stdin.readline()
        ctypes.CDLL(None).unshare(0x40000000)
        print("there", flush=True)
        time.sleep(100)
        """,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        mover.stdout.readline()
        with Namespace.open(pid=mover.pid) as opened:
            mover.stdin.write(b"go\n")
            mover.stdin.flush()
            mover.stdout.readline()
            with pytest.raises(TargetChangedError, match="another network namespace"):
                opened.verify()
    finally:
        mover.kill()
        mover.communicate()


def test_a_pid_that_was_given_to_somebody_else():
    own_pids = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    done = subprocess.run(
        [*own_pids, sys.executable, "-c", REUSE], capture_output=True, text=True, timeout=60, check=False
    )

    reused, error = done.stdout.splitlines() or [done.stderr, ""]
    assert reused == "True"
    assert error.startswith("3 Process ")
    assert "its PID was reused" in error


def test_a_name_that_is_deleted_after_it_was_opened(new_namespace):
    doomed = new_namespace()
    with Namespace.open(path=doomed.path) as opened:
        subprocess.run(["ip", "netns", "delete", doomed.name], check=True)
        try:
            with pytest.raises(TargetChangedError, match=f"{doomed.name} was deleted"):
                opened.verify()
        finally:
            subprocess.run(["ip", "netns", "add", doomed.name], check=True)  # for the fixture to delete


def test_a_file_left_over_from_before_a_reboot(tmp_path):
    leftover = tmp_path / "web"
    leftover.touch()

    with pytest.raises(TargetNotFoundError, match="no network namespace"):
        Namespace.open(path=leftover)


def test_another_kind_of_namespace_is_refused():
    with pytest.raises(TargetNotFoundError, match="no network namespace"):
        Namespace.open(path=Path("/proc/self/ns/uts"))


def test_the_descriptor_is_closed_with_it(process):
    with Namespace.open(pid=process.pid) as opened:
        fd = opened.fd
        assert Path(f"/proc/self/fd/{fd}").exists()

    assert not Path(f"/proc/self/fd/{fd}").exists()


def test_a_refused_namespace_leaves_no_descriptor():
    before = len(list(Path("/proc/self/fd").iterdir()))

    with pytest.raises(TargetNotFoundError):
        Namespace.open(path=Path("/proc/self/ns/uts"))

    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("way", ["pid", "path"])
def test_without_the_right_to_enter(namespace, process, way):
    where = {"pid": f"pid={process.pid}", "path": f"path=Path({str(namespace.path)!r})"}[way]
    code = f"""
        from pathlib import Path
        from k8scap.errors import NotPermittedError
        from k8scap.live.netns import Namespace
        try:
            Namespace.open({where})
        except NotPermittedError as error:
            print(error.exit_code, error)
        """
    answer, _ = python(code, run_by=POWERLESS, stdout=subprocess.PIPE, text=True).communicate(timeout=60)

    assert answer.startswith("4 ")
    assert "needs root. Next: sudo k8scap" in answer
