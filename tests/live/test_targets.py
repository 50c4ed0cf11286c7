"""What may be written as a target, and what it stands for."""

import os
import socket
from pathlib import Path

import pytest

from k8scap.errors import TargetNotFoundError, TargetSyntaxError
from k8scap.live import targets
from k8scap.runner import LocalRunner

ID = "9371cf599d9c82137822dd5e2c8f26940db36f224bae3a1c3628306df1b39476"


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("pid/4711", "pid", "4711"),
        ("netns/cni-8c5a-11", "netns", "cni-8c5a-11"),
        ("docker/shop_web.1", "docker", "shop_web.1"),
        (f"container/{ID}", "container", ID),
        (f"container/containerd://{ID}", "container", ID),
        ("container/9371cf599d9c", "container", "9371cf599d9c"),
        (" docker/web\n", "docker", "web"),
    ],
)
def test_targets(text, kind, name):
    target = targets.parse(text)

    assert (target.kind, target.name, str(target)) == (kind, name, f"{kind}/{name}")


@pytest.mark.parametrize(
    "text",
    [
        "", "/", "pid/", "pid/0", "pid/-1", "pid/web", "pid/1/2", "pid/٣", "PID/1", "vm/web",
        "netns/..", "netns/../../etc/passwd", "netns/-n", "netns/a b", "docker/", "docker/--help",
        "docker/a/b", "docker/web;reboot", "container/xyz", "container/12", f"container/{ID}0", "a b",
    ],
)  # fmt: skip
def test_what_is_no_target(text):
    with pytest.raises(TargetSyntaxError, match="is not a target") as caught:
        targets.parse(text)

    assert caught.value.exit_code == 2
    assert caught.value.next_step


@pytest.mark.parametrize(
    "text",
    ["web", "pod/web", "po/web", "deploy/checkout", "sts/db", "ds/agent", "job/x", "svc/web", "node/n1"],
)
def test_kubernetes_is_not_there_yet_and_what_is_gets_said(text):
    with pytest.raises(TargetNotFoundError, match="Kubernetes") as caught:
        targets.parse(text)

    assert caught.value.exit_code == 3
    assert all(way in caught.value.message for way in ("pid/N", "netns/NAME", "docker/NAME", "container/ID"))


def test_a_bare_name_is_told_of_docker():
    with pytest.raises(TargetNotFoundError) as caught:
        targets.parse("web")

    assert caught.value.next_step == "k8scap capture docker/web"


def test_a_pid_stands_for_its_process():
    found = targets.resolve(targets.parse(f"pid/{os.getpid()}"), runner=LocalRunner())

    assert (found.pid, found.path) == (os.getpid(), None)
    assert found.target["text"] == f"pid/{os.getpid()}"
    assert found.target["node"] == socket.gethostname()


def test_a_netns_stands_for_its_path(namespace):
    found = targets.resolve(targets.parse(f"netns/{namespace.name}"), runner=LocalRunner())

    assert (found.pid, found.path) == (None, Path("/run/netns") / namespace.name)


def test_an_unknown_netns():
    with pytest.raises(TargetNotFoundError, match="There is no network namespace nobody-made-this") as caught:
        targets.resolve(targets.parse("netns/nobody-made-this"), runner=LocalRunner())

    assert caught.value.next_step == "ip netns list"
