"""A pod is captured by each way in, and nothing of it is left."""

import json
import subprocess
import time

import pandas as pd
import pytest

import k8scap
from k8scap.errors import NotPermittedError

WAYS = ["local", "node-pod", "exec", "ephemeral"]


def seen_by_tshark(path, display_filter):
    argv = ["tshark", "-n", "-r", str(path), "-Y", display_filter, "-T", "fields", "-e", "tcp.stream"]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    return done.stdout.split()


def helpers(cluster):
    return [p["metadata"]["name"] for p in cluster.all("pods") if p["metadata"]["name"].startswith("k8scap-")]


@pytest.mark.parametrize("via", WAYS)
def test_a_pod_is_captured_by_every_way(cluster, talk, tmp_path, via):
    with k8scap.watch(
        "server", namespace=talk.server.namespace, via=via, filter="tcp port 8080", output=tmp_path, name="x"
    ) as live:
        talk.ask(3)
        time.sleep(0.2)
    cap = live.result()

    (manifest,) = cap.manifests
    assert len(set(seen_by_tshark(tmp_path / "x.pcap", "tcp.flags.syn == 1"))) == 3
    assert (manifest.via, manifest.state, manifest.counters.dropped) == (via, "complete", 0)
    assert manifest.target["name"] == "server"
    assert manifest.target["container_id"] == talk.server.containers["app"]["id"]
    assert helpers(cluster) == []
    assert talk.server.execs == []


def test_both_ends_of_a_call_are_two_points_of_one_capture(cluster, talk, tmp_path):
    with k8scap.watch(
        "client", "server", namespace=talk.server.namespace, via="node-pod", output=tmp_path, name="both"
    ) as live:
        assert len(live.packets) == 0
        talk.ask(2)
        time.sleep(0.2)
    cap = live.result()

    assert cap.points == ("client", "server")
    pd.testing.assert_frame_equal(live.packets, cap.packets, check_index_type="equiv")
    for end in cap.points:
        assert len(set(seen_by_tshark(tmp_path / f"both.{end}.pcap", "tcp.flags.syn == 1"))) == 2
    over_all = json.loads((tmp_path / "both.json").read_text())
    assert [entry["point"] for entry in over_all["recordings"]] == ["client", "server"]
    assert over_all["state"] == "complete"
    assert helpers(cluster) == []


def test_auto_takes_the_node_itself_where_it_is_this_machine(talk, tmp_path):
    cap = k8scap.capture("server", namespace=talk.server.namespace, seconds=0.2, output=tmp_path)

    assert cap.manifest.via == "local"


def test_no_way_says_why_each_is_none(cluster, talk, tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(cluster.add_user("nobody")))
    cluster.apply({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": "see", "namespace": talk.server.namespace},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
    }, {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "see", "namespace": talk.server.namespace},
        "roleRef": {"kind": "Role", "name": "see"}, "subjects": [{"kind": "User", "name": "nobody"}],
    })  # fmt: skip
    for via, why in {
        "node-pod": 'cannot create resource "pods"',
        "exec": 'cannot get resource "pods/exec"',
        "ephemeral": 'cannot patch resource "pods/ephemeralcontainers"',
    }.items():
        with pytest.raises(NotPermittedError) as caught:
            k8scap.capture("server", namespace=talk.server.namespace, via=via, seconds=1, output=tmp_path)
        assert why in caught.value.message
        assert caught.value.next_step
    assert list(tmp_path.glob("*.pcap")) == []
