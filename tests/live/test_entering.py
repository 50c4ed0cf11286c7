"""k8scap.enter: what a command sees in the namespaces that were asked for, and how it ends."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from k8scap.errors import (
    NotPermittedError,
    TargetNotFoundError,
    TargetSyntaxError,
    ToolMissingError,
    UsageError,
)
from k8scap.live.entering import enter
from k8scap.runner import LocalRunner

FILES = {"mount": "mnt", "uts": "uts", "ipc": "ipc", "net": "net", "pid": "pid", "cgroup": "cgroup"}


@pytest.fixture
def apart(namespace):
    """The PID of a process that has every namespace for itself, but the user and time namespaces."""
    wrapper = namespace.start(
        *("unshare", "--mount", "--uts", "--ipc", "--pid", "--cgroup", "--fork", "--kill-child"),
        *("sleep", "1000"),
        cwd="/usr",
    )
    return first_child(wrapper.pid)


def first_child(pid):
    children = Path(f"/proc/{pid}/task/{pid}/children")
    deadline = time.monotonic() + 10
    while not (found := children.read_text().split()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    child = int(found[0])
    while Path(f"/proc/{child}/comm").read_text() != "sleep\n":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return child


def links_of(pid):
    return {kind: str(Path(f"/proc/{pid}/ns/{file}").readlink()) for kind, file in FILES.items()}


def printed_links(text):
    return dict(zip(FILES, text.split(), strict=True))


PRINT_LINKS = ("readlink", *(f"/proc/self/ns/{file}" for file in FILES.values()))


@pytest.mark.parametrize("kind", FILES)
def test_each_namespace_alone(apart, capfd, kind):
    assert enter(f"pid/{apart}", namespaces=(kind,), command=PRINT_LINKS) == 0
    seen = printed_links(capfd.readouterr().out)
    theirs, ours = links_of(apart), links_of("self")
    assert seen == {name: theirs[name] if name == kind else ours[name] for name in FILES}


def test_all_of_them_and_those_that_are_ours_already(apart, capfd):
    """A user or time namespace that one is in already cannot be entered again: it is left out."""
    every = (*FILES, "user", "time")
    assert enter(f"pid/{apart}", namespaces=every, command=PRINT_LINKS) == 0
    assert printed_links(capfd.readouterr().out) == links_of(apart)


def test_another_user_namespace(namespace, capfd):
    wrapper = namespace.start(
        "unshare", "--user", "--map-root-user", "--fork", "--kill-child", "sleep", "1000"
    )
    child = first_child(wrapper.pid)
    assert enter(f"pid/{child}", namespaces=("user",), command=["readlink", "/proc/self/ns/user"]) == 0
    assert capfd.readouterr().out.strip() == str(Path(f"/proc/{child}/ns/user").readlink())


def test_a_named_namespace_by_default_its_network_only(namespace, capfd):
    assert enter(f"netns/{namespace.name}", command=PRINT_LINKS) == 0
    seen = printed_links(capfd.readouterr().out)
    assert seen["net"] == f"net:[{namespace.path.stat().st_ino}]"
    assert seen["mount"] == str(Path("/proc/self/ns/mnt").readlink())


def test_the_processes_user_root_and_folder(apart, capfd):
    code = enter(
        f"pid/{apart}",
        namespaces=("net", "mount"),
        command=["sh", "-c", "id -u; id -g; pwd"],
        setuid=65534,
        setgid=65533,
        root=True,
        wd=True,
    )
    assert code == 0
    assert capfd.readouterr().out.split() == ["65534", "65533", "/usr"]


def test_nothing_of_ours_stays_open_in_the_command(apart, capfd):
    enter(f"pid/{apart}", namespaces=tuple(FILES), command=["ls", "/proc/self/fd"], root=True, wd=True)
    assert capfd.readouterr().out.split() == ["0", "1", "2", "3"]  # 3 is the folder that ls reads


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 7"], 7),
        (["sh", "-c", "kill -TERM $$"], 143),
        (["no-such-command"], 127),
    ],
)
def test_the_exit_code_is_the_commands(namespace, command, code):
    assert enter(f"netns/{namespace.name}", command=command) == code


def test_the_words_of_a_command_are_not_read_by_a_shell(namespace, capfd):
    enter(f"netns/{namespace.name}", command=["echo", "$HOME", "; id", "--net"])
    assert capfd.readouterr().out == "$HOME ; id --net\n"


# ---- a shell at a terminal ----


class Terminal:
    """`k8scap.enter` in a process of its own, at a terminal of its own."""

    def __init__(self, target, **options):
        program = f"import sys, k8scap\nsys.exit(k8scap.enter({target!r}, **{options!r}))"
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.environ.update(SHELL="/bin/sh", PS1="ready> ", ENV="", HISTFILE="")
            os.execv(sys.executable, [sys.executable, "-c", program])  # noqa: S606 - in the child of a fork
        self._seen = ""

    def type(self, text):
        os.write(self._fd, text.encode())

    def expect(self, text, seconds=20.0):
        deadline = time.monotonic() + seconds
        while text not in self._seen:
            ready, _, _ = select.select([self._fd], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{text!r} did not come, but {self._seen!r}"
            self._seen += os.read(self._fd, 4096).decode(errors="replace")
        self._seen = self._seen.partition(text)[2]

    def exit_code(self):
        with_status = os.waitpid(self.pid, 0)[1]
        os.close(self._fd)
        return os.waitstatus_to_exitcode(with_status)


def test_a_shell_that_survives_ctrl_c(namespace):
    terminal = Terminal(f"netns/{namespace.name}")
    terminal.expect("ready> ")
    terminal.type("sleep 100\n")
    terminal.expect("sleep 100")
    time.sleep(0.3)
    terminal.type("\x03")
    terminal.expect("ready> ")
    terminal.type("\x03")
    terminal.expect("ready> ")
    terminal.type("readlink /proc/self/ns/net\n")
    terminal.expect(f"net:[{namespace.path.stat().st_ino}]")
    terminal.type("exit 5\n")
    assert terminal.exit_code() == 5


def test_a_command_that_has_its_own_way_with_ctrl_c(namespace):
    """As tcpdump has, which prints its counts: it is waited for, not killed."""
    command = (
        "sh",
        "-c",
        "trap 'sleep 0.6; echo counted; exit 3' INT; echo begun; while :; do sleep 0.1; done",
    )
    terminal = Terminal(f"netns/{namespace.name}", command=command)
    terminal.expect("begun")
    terminal.type("\x03")
    terminal.expect("counted")
    assert terminal.exit_code() == 3


def test_a_shell_ends_with_us(namespace):
    terminal = Terminal(f"netns/{namespace.name}")
    terminal.expect("ready> ")
    terminal.type("echo shell=$$.\n")
    terminal.expect("\nshell=")
    terminal.expect(".")
    inside = [int(pid) for pid in namespace_pids(namespace)]
    assert inside
    os.kill(terminal.pid, signal.SIGKILL)
    assert terminal.exit_code() == -signal.SIGKILL
    deadline = time.monotonic() + 10
    while namespace_pids(namespace):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def namespace_pids(namespace):
    argv = ["ip", "netns", "pids", namespace.name]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()


# ---- which shell ----


class Refraining(LocalRunner):
    """Keeps what it was to run at the terminal."""

    def interact(self, argv, **_):
        self.argv = argv
        return 0


def test_a_container_without_our_shell_gets_its_own(run_container, monkeypatch, capfd):
    monkeypatch.setenv("SHELL", "/bin/zsh-of-the-host")
    name = run_container("shells").name
    assert enter(f"docker/{name}", namespaces=("mount",), command=["cat", "/www/small"], root=True) == 0
    assert capfd.readouterr().out == "here\n"
    runner = Refraining()
    enter(f"docker/{name}", namespaces=("mount",), runner=runner)
    assert runner.argv[-1] == "/bin/sh"


def test_a_container_without_any_shell(run_container, monkeypatch):
    monkeypatch.setenv("SHELL", "/bin/bash")
    container = run_container("bare")
    container.exec_run(["/bin/rm", "/bin/sh", "/bin/bash"])
    with pytest.raises(ToolMissingError, match="no shell in docker/bare") as caught:
        enter(f"docker/{container.name}", namespaces=("net", "mount"))
    assert caught.value.next_step.startswith(f"k8scap enter docker/{container.name}")


# ---- what is refused ----


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"namespaces": ("net", "mnt")}, "mnt is no namespace: there are mount, uts, ipc, net"),
        ({"namespaces": ()}, "No namespace was named"),
        ({"namespaces": ("net", "mount", "pid")}, "has no process to take mount, pid from"),
        ({"root": True, "wd": True}, "has no process to take root, wd from"),
        ({"setuid": -1}, "setuid takes a number from 0 on, not -1"),
    ],
)
def test_what_a_named_namespace_cannot_give(namespace, options, sentence):
    with pytest.raises(UsageError, match=sentence):
        enter(f"netns/{namespace.name}", **options)


def test_targets_that_are_not_there():
    with pytest.raises(TargetNotFoundError):
        enter("netns/k8scap-nobody-made-this", command=["true"])
    with pytest.raises(TargetNotFoundError):
        enter(f"pid/{2**22 - 1}", command=["true"])
    with pytest.raises(TargetSyntaxError):
        enter("pid/-1", command=["true"])


def test_without_root(apart):
    os.seteuid(65534)
    try:
        with pytest.raises(NotPermittedError) as caught:
            enter(f"pid/{apart}", namespaces=("mount",), command=["true"])
    finally:
        os.seteuid(0)
    assert "sudo" in caught.value.next_step


def test_without_nsenter(namespace, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ToolMissingError) as caught:
        enter(f"netns/{namespace.name}", command=["true"])
    monkeypatch.undo()
    assert caught.value.next_step == "apt-get install util-linux"
