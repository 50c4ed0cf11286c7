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
    ("text", "kind", "name"),
    [
        ("web", "pod", "web"), ("web-7d9f.v2", "pod", "web-7d9f.v2"), ("po/web", "pod", "web"),
        ("Deployment/checkout", "deploy", "checkout"), ("deployments.apps/checkout", "deploy", "checkout"),
        ("statefulset/db", "sts", "db"), ("ds/agent", "ds", "agent"), ("rs/a-1", "rs", "a-1"),
        ("jobs/x", "job", "x"), ("cronjob/x", "cj", "x"), ("services/web", "svc", "web"),
        ("no/n1.example.com", "node", "n1.example.com"),
    ],
)  # fmt: skip
def test_kubernetes_targets_as_kubectl_writes_them(text, kind, name):
    assert targets.parse(text) == targets.Target(kind, name)


@pytest.mark.parametrize(
    "name",
    [
        "$(reboot)", "web;reboot", "we b", 'we"b', "we'b", "web\nreboot", "-web", "web-", "--all", "Web",
        "wéb", "web_1", "..", "../../secrets/x", "web/exec", "a" * 254, "a" * 300, f"{'a' * 64}.b", "",
        ".web", "we..b", "web\0",
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["pod/", "deploy/", "node/", "svc/"])
def test_what_is_no_name_in_kubernetes(kind, name):
    with pytest.raises(TargetSyntaxError, match="is not a target") as caught:
        targets.parse(kind + name)

    assert len(caught.value.message) < 500


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
