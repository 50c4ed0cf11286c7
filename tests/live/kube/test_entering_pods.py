"""Pods that are more than one container that runs: which process is entered, and what is said of it."""

import os
import signal
import time
from pathlib import Path

import pytest
from cluster import IMAGE

import k8scap
from k8scap.errors import FilterError, K8scapError, TargetNotFoundError, ToolMissingError
from k8scap.live.kube import helper_pod, way_node_pod

WAYS = ["local", "node-pod"]


def captured(name, namespace, via, folder, **options):
    return k8scap.capture(name, namespace=namespace, via=via, seconds=0.3, output=folder, **options)


@pytest.mark.parametrize("via", WAYS)
def test_a_sidecar_does_not_confuse(cluster, fresh, tmp_path, via):
    pod = cluster.add_pod("web", namespace=fresh, containers=("istio-proxy", "app"))

    cap = captured("web", fresh, via, tmp_path)

    # a mesh's proxy is never entered, and its traffic is captured on lo and eth0
    assert {m.target["container"] for m in cap.manifests} == {"app"}
    assert {m.interface for m in cap.manifests} == {"lo", "eth0"}
    assert {m.target["container_id"] for m in cap.manifests} == {pod.containers["app"]["id"]}


@pytest.mark.parametrize("via", WAYS)
def test_a_pod_in_a_crash_loop_is_entered_through_its_sandbox(cluster, fresh, tmp_path, via):
    cluster.add_pod("web", namespace=fresh, annotations={"tests/crashing": "app"})

    cap = captured("web", fresh, via, tmp_path)

    assert cap.manifest.state == "complete"
    assert any("CrashLoopBackOff" in note and "sandbox" in note for note in cap.manifest.notes)


@pytest.mark.parametrize("via", WAYS)
def test_a_container_that_is_down_is_replaced_by_one_that_runs(cluster, fresh, tmp_path, via):
    cluster.add_pod(
        "web", namespace=fresh, containers=("app", "helper"), annotations={"tests/crashing": "app"}
    )

    cap = captured("web", fresh, via, tmp_path)

    assert cap.manifest.target["container"] == "helper"
    assert any("helper is entered instead" in note for note in cap.manifest.notes)


def test_a_container_by_name(cluster, fresh, tmp_path):
    cluster.add_pod("web", namespace=fresh, containers=("app", "helper"))

    assert (
        captured("web", fresh, "node-pod", tmp_path, container="helper").manifest.target["container"]
        == "helper"
    )
    for name in ("nope", "$(reboot)", "-app", "a;b", "a\nb", "app'"):
        with pytest.raises(TargetNotFoundError, match="only app, helper"):
            captured("web", fresh, "node-pod", tmp_path, container=name)


@pytest.mark.parametrize("via", [*WAYS, "exec", "ephemeral"])
@pytest.mark.parametrize(
    "text", ["port $(reboot)", "tcp; reboot", "-w/tmp/owned", "tcp port 80\nor udp", "'tcp'", "`id`"]
)
def test_a_filter_is_data(cluster, talk, tmp_path, via, text):
    try:
        cap = captured("server", talk.server.namespace, via, tmp_path, filter=text)
    except FilterError as error:
        assert text.strip() in error.filter  # noqa: PT017
    else:
        assert text == "tcp port 80\nor udp"
        assert cap.manifest.filter == text
    assert not any(
        "reboot" in word for argv in cluster.exec_argvs() for word in argv if argv[0] in {"sh", "bash"}
    )


@pytest.mark.parametrize("via", WAYS)
def test_a_pod_in_its_nodes_network_is_narrowed_to_itself(cluster, fresh, tmp_path, via):
    pod = cluster.add_pod(
        "agent", namespace=fresh, hostNetwork=True, containers={"app": {"ports": [{"containerPort": 9100}]}}
    )

    cap = captured("agent", fresh, via, tmp_path)

    assert f"(host {pod.ip}) and (port 9100)" in cap.manifest.effective_filter
    assert ("10250" in cap.manifest.effective_filter) == (via != "local")
    assert any("has its node's network" in note for note in cap.manifest.notes)


def test_a_node_is_a_target(cluster, fresh, tmp_path, monkeypatch):
    agent = cluster.add_pod("agent", namespace=fresh, node="node-1", hostNetwork=True)
    # the machine's own first process is not in the test node's network
    monkeypatch.setattr(way_node_pod, "NODE_PROCESS", agent.containers["app"]["pid"])

    cap = captured("node/node-1", None, "node-pod", tmp_path)

    assert cap.manifest.target["kind"] == "node"
    assert "not (tcp port 10250)" in cap.manifest.effective_filter


def test_an_image_without_tcpdump(cluster, fresh, tmp_path):
    cluster.add_image("bare:1", ["sleep", "cat", "timeout"])
    cluster.add_pod("web", namespace=fresh, containers={"app": {"image": "bare:1"}})

    with pytest.raises(ToolMissingError) as caught:
        captured("web", fresh, "exec", tmp_path)

    assert "tcpdump" in caught.value.message
    assert "--via node-pod" in caught.value.next_step


def test_an_image_with_tcpdump_and_little_else(cluster, fresh, tmp_path):
    cluster.add_image("small:1", ["sleep", "cat", "timeout", "env", "tcpdump", "find", "kill", "grep"])
    cluster.add_pod("web", namespace=fresh, containers={"app": {"image": "small:1"}})

    cap = captured("web", fresh, "exec", tmp_path)

    assert (cap.manifest.state, cap.manifest.interface) == ("complete", "eth0")


APPLETS = ["sleep", "cat", "timeout", "env", "find", "kill", "grep", "ls", "nsenter", "tcpdump"]


@pytest.mark.parametrize("via", ["node-pod", "exec", "ephemeral"])
def test_busyboxs_commands_do_as_well(cluster, talk, tmp_path, via):
    cluster.add_image(IMAGE, APPLETS, busybox=True)
    cluster.add_image("alpine:1", APPLETS, busybox=True)
    namespace = talk.server.namespace
    other = cluster.add_pod("other", namespace=namespace, containers={"app": {"image": "alpine:1"}})
    with k8scap.watch("other", namespace=namespace, via=via, filter="udp port 4000", output=tmp_path) as live:
        talk.client.run(
            "sh", "-c", f"echo hello | busybox nc -u -w 1 {other.ip} 4000", check=False, timeout=10
        )
        time.sleep(0.2)
    manifest = live.result().manifest

    assert (manifest.via, manifest.state) == (via, "complete")
    assert manifest.counters.on_disk >= 1
    assert manifest.evidence["start"]["Udp.InDatagrams"] <= manifest.evidence["end"]["Udp.InDatagrams"]
    # its timeout looks once a second whether there is still something to end
    deadline = time.monotonic() + 5
    while (left := other.execs) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []


def test_a_helper_image_that_cannot_be_pulled(cluster, fresh, tmp_path, monkeypatch):
    cluster.add_pod("web", namespace=fresh)
    monkeypatch.setenv("K8SCAP_MIRROR", "mirror.example.com/tools")
    cluster.add_image("mirror.example.com/tools/k8scap/k8scap-helper:0.1.0", missing=True)
    for via in ("node-pod", "ephemeral"):
        with pytest.raises(ToolMissingError, match="cannot pull") as caught:
            captured("web", fresh, via, tmp_path)
        assert "K8SCAP_IMAGE" in caught.value.next_step


# SETUID is for tcpdumps that are built with libcap-ng, which this machine's is not
@pytest.mark.parametrize("without", ["SYS_ADMIN", "SYS_PTRACE", "NET_RAW", "SETGID"])
def test_the_helper_has_no_right_that_it_does_not_need(cluster, fresh, tmp_path, monkeypatch, without):
    cluster.add_pod("web", namespace=fresh)
    rest = tuple(c for c in helper_pod.CAPABILITIES if c != without)
    monkeypatch.setattr(helper_pod, "CAPABILITIES", rest)

    with pytest.raises(K8scapError):
        captured("web", fresh, "node-pod", tmp_path)


def test_an_ephemeral_container_is_used_again_while_it_runs(cluster, fresh, tmp_path):
    pod = cluster.add_pod("web", namespace=fresh)
    captured("web", fresh, "ephemeral", tmp_path)
    captured("web", fresh, "ephemeral", tmp_path)

    assert len(pod.raw["spec"]["ephemeralContainers"]) == 1


def test_the_pod_goes_at_once_although_an_ephemeral_container_runs(cluster, fresh, tmp_path):
    pod = cluster.add_pod(
        "web", namespace=fresh, containers={"app": {"command": ["tail", "-f", "/dev/null"]}}
    )
    captured("web", fresh, "ephemeral", tmp_path)
    (name,) = [n for n in pod.containers if n.startswith("k8scap-")]
    first = pod.containers[name]["pid"]
    started = time.monotonic()
    os.kill(first, signal.SIGTERM)
    while Path(f"/proc/{first}").exists() and time.monotonic() - started < 5:
        time.sleep(0.01)

    assert time.monotonic() - started < 2
