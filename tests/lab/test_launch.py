"""Who may run the lab, what it says where it cannot, and that it leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from k8scap import lab
from k8scap.errors import CaptureBrokenError, UsageError

pytestmark = pytest.mark.alone  # some change who may open the TUN device of the whole machine

TUN = Path("/dev/net/tun")
NOBODY = 65_534
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "env")
# Runs a scenario and says which error came, as a program of a user's would see it.
PROGRAM = """
import sys
from k8scap import lab
from k8scap.errors import K8scapError
try:
    capture = lab.run(sys.argv[1], directory=sys.argv[2], name=sys.argv[3])
    print(capture.manifest.counters.complete)
except K8scapError as error:
    print(f"{type(error).__name__}|{error.message}|{error.next_step}")
"""


def python_for_everybody():
    """An interpreter that an ordinary user may run: this one, or the system's of the same version."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    system = shutil.which(version, path="/usr/local/bin:/usr/bin")
    for candidate in filter(None, (os.path.realpath(sys.executable), system)):
        tried = subprocess.run([*AS_NOBODY, candidate, "-c", ""], check=False, capture_output=True)
        if tried.returncode == 0:
            return candidate
    return pytest.fail(f"no {version} here that an ordinary user may run: apt-get install {version}")


def run_program(*argv, prefix=(), python=sys.executable, home):
    path = os.pathsep.join(p for p in sys.path if p)
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": path}
    return subprocess.run(
        [*prefix, python, "-c", PROGRAM, *map(str, argv)],
        env=environment,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextlib.contextmanager
def tun_mode(mode):
    before = TUN.stat().st_mode
    TUN.chmod(mode)
    try:
        yield
    finally:
        TUN.chmod(before)


@pytest.fixture
def nobodys_folder():
    """A folder that belongs to an ordinary user, where they can reach it."""
    folder = Path("/tmp", f"k8scap-lab-test-{os.getpid()}")
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.root
def test_an_ordinary_user_may_run_it(nobodys_folder):
    with tun_mode(0o666):
        done = run_program(
            "packet-loss",
            nobodys_folder,
            "mine",
            prefix=AS_NOBODY,
            python=python_for_everybody(),
            home=nobodys_folder,
        )
    assert (done.stdout, done.stderr) == ("True\n", "")
    files = {path.name: path.stat() for path in nobodys_folder.glob("mine*")}
    assert set(files) == {"mine.pcap", "mine.json", "mine.truth.json"}
    assert {(stat.st_uid, stat.st_mode & 0o777) for stat in files.values()} == {(NOBODY, 0o600)}
    assert json.loads((nobodys_folder / "mine.truth.json").read_text())["whole"] is True


@pytest.mark.root
def test_a_tun_device_for_root_only_is_said_with_the_command(nobodys_folder):
    with tun_mode(0o600):
        done = run_program(
            "clean",
            nobodys_folder,
            "mine",
            prefix=AS_NOBODY,
            python=python_for_everybody(),
            home=nobodys_folder,
        )
    kind, message, next_step = done.stdout.strip().split("|")
    assert (kind, next_step) == ("NotPermittedError", "sudo chmod 666 /dev/net/tun")
    assert "/dev/net/tun" in message
    assert done.stderr == ""


@pytest.mark.root
def test_a_kernel_without_tun_is_said_with_the_command(tmp_path):
    hide = (
        "import os, subprocess, sys; subprocess.run(['mount', '-t', 'tmpfs', 'none', '/dev/net'], check=True)"
    )
    prefix = ("unshare", "-m", "--", sys.executable, "-c", f"{hide}; os.execv(sys.argv[1], sys.argv[1:])")
    done = run_program("clean", tmp_path, "x", prefix=prefix, home=tmp_path)
    assert done.stdout.strip() == "ToolMissingError|/dev/net/tun is not installed here.|modprobe tun"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.root
def test_forbidden_user_namespaces_are_said_with_the_command(tmp_path):
    forbid = "import os, sys; open('/proc/sys/user/max_user_namespaces', 'w').write('0')"
    drop = "['setpriv', '--bounding-set=-all', '--inh-caps=-all', *sys.argv[1:]]"
    prefix = ("unshare", "-U", "--map-root-user", "--", sys.executable, "-c")
    done = run_program(
        "clean", tmp_path, "x", prefix=(*prefix, f"{forbid}; os.execvp('setpriv', {drop})"), home=tmp_path
    )
    kind, message, next_step = done.stdout.strip().split("|")
    assert kind == "NotPermittedError"
    assert "user namespace" in message
    assert "sysctl user.max_user_namespaces" in next_step


@pytest.mark.parametrize(("tool", "package"), [("ip", "iproute2"), ("tcpdump", "tcpdump")])
def test_a_missing_tool_is_named_with_its_package(tmp_path, monkeypatch, tool, package):
    tools, output = tmp_path / "bin", tmp_path / "out"
    tools.mkdir()
    for name in {"ip", "tcpdump", "nsenter", "ss", "tshark", "unshare", "setpriv"} - {tool}:
        (tools / name).symlink_to(shutil.which(name))
    monkeypatch.setenv("PATH", str(tools))
    done = run_program("clean", output, "x", home=tmp_path)
    kind, message, next_step = done.stdout.strip().split("|")
    assert (kind, next_step) == ("ToolMissingError", f"apt-get install {package}")
    assert message == f"{tool} is not installed here."
    assert list(output.iterdir()) == []


def test_an_unknown_scenario_is_refused_with_what_is_near(tmp_path):
    with pytest.raises(UsageError, match="packet-loss") as refusal:
        lab.run("packet-lost", directory=tmp_path)
    assert refusal.value.next_step == "k8scap lab --list"


def test_a_rule_that_makes_no_sense_is_refused_before_anything_starts(tmp_path):
    with pytest.raises(UsageError, match="colour"):
        lab.run("clean", directory=tmp_path, plan=["drop colour=red"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../x", "", "a/b", "-rf", ".hidden"])
def test_a_name_that_is_no_file_name_is_refused(tmp_path, name):
    with pytest.raises(UsageError):
        lab.run("clean", directory=tmp_path, name=name or " ")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="file"):
        lab.run("clean", directory=tmp_path / "file")


def descendants(pid):
    """Every process below `pid`, with its start time, so that a reused PID is not mistaken for it."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            parents[int(stat.parent.name)] = (int(fields[1]), fields[19])
    found, generation = {}, {pid}
    while generation:
        generation = {child for child, (parent, _) in parents.items() if parent in generation}
        found |= {child: parents[child][1] for child in generation}
    return found


def alive(processes):
    left = []
    for pid, started in processes.items():
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            if fields[19] == started and fields[0] != "Z":
                left.append((pid, Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")))
    return left


def wait_for(condition, *, seconds):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


@contextlib.contextmanager
def lab_at_work(folder):
    """A program that runs the lab, in the middle of its traffic."""
    argv = [sys.executable, "-c", PROGRAM, "slow-server", str(folder), "cut"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        try:
            pcap = folder / "cut.pcap"
            assert wait_for(lambda: pcap.exists() and pcap.stat().st_size > 5000, seconds=20)
            yield program
        finally:
            program.kill()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_when_the_caller_is_killed(tmp_path, number):
    with lab_at_work(tmp_path) as program:
        below = descendants(program.pid)
        assert len(below) >= 6  # the lab, three hosts, the link, tcpdump
        program.send_signal(number)
        assert wait_for(lambda: not alive(below), seconds=15), alive(below)
    check_what_was_kept(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_when_the_lab_itself_is_killed(tmp_path, number):
    with lab_at_work(tmp_path) as program:
        below = descendants(program.pid)
        (top,) = (pid for pid in below if parent_of(pid) == program.pid)
        os.kill(top, number)
        said, complaints = program.communicate(timeout=20)
        assert wait_for(lambda: not alive(below), seconds=15), alive(below)
    assert said.startswith(CaptureBrokenError.__name__ + "|The lab broke off")
    assert "Traceback" not in said + complaints
    check_what_was_kept(tmp_path)


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def check_what_was_kept(folder):
    names = {path.name for path in folder.iterdir()}
    assert "cut.pcap" in names
    assert names <= {"cut.pcap", "cut.json", "cut.truth.json"}
    frames = subprocess.run(
        ["tshark", "-n", "-r", str(folder / "cut.pcap"), "-T", "fields", "-e", "frame.number"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(frames.stdout.splitlines()) > 20
