"""After a capture every table speaks of pods and services, and its manifest of what happened meanwhile."""

import json
import time
from datetime import UTC, datetime

import k8scap


def test_conversations_speak_of_pods(talk, tmp_path):
    namespace = talk.server.namespace
    with k8scap.watch("server", namespace=namespace, via="node-pod", output=tmp_path, name="x") as live:
        talk.ask(2)
        time.sleep(0.2)
    table = live.result().conversations

    tcp = table[table["protocol"] == "TCP"]
    assert set(tcp["src_name"]) == {f"{namespace}/client"}
    assert set(tcp["dst_name"]) == {f"{namespace}/server"}
    assert set(tcp["src_node"]) == {"node-2"}
    assert set(tcp["dst_zone"]) == {"zone-a"}


def test_services_workloads_events_and_what_was_seen_of_the_dataplane(cluster, fresh, tmp_path):
    web = cluster.add_deployment("web", 1, namespace=fresh)[0]
    cluster.add_service("front", {"app": "web"}, namespace=fresh, ip="198.18.200.7")
    cluster.apply({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": f"{web.name}.1", "namespace": fresh},
        "involvedObject": {"kind": "Pod", "name": web.name, "namespace": fresh}, "type": "Warning",
        "reason": "Unhealthy", "message": "Readiness probe failed", "count": 3,
        "lastTimestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    })  # fmt: skip

    cap = k8scap.capture(
        "deploy/web", namespace=fresh, via="node-pod", seconds=0.5, output=tmp_path, name="x"
    )

    names = {entry.address: entry for entry in cap.manifest.names}
    assert (names[web.ip].name, names[web.ip].workload, names[web.ip].node) == (
        web.name,
        "deploy/web",
        web.raw["spec"]["nodeName"],
    )
    assert cap.names.of("198.18.200.7") == f"{fresh}/svc/front"
    assert [(e["reason"], e["count"]) for e in cap.manifest.events] == [("Unhealthy", 3)]
    assert cap.manifest.dataplane


def test_an_address_that_changes_hands_has_two_names(cluster, fresh, tmp_path):
    web = cluster.add_pod("web", namespace=fresh)
    first = cluster.add_pod("first", namespace=fresh)
    with k8scap.watch("web", namespace=fresh, via="node-pod", output=tmp_path, name="x") as live:
        time.sleep(1)
        cluster.delete_pod(first)
        time.sleep(0.5)
        second = cluster.add_pod("second", namespace=fresh)
        taken = second.raw
        taken["status"] |= {"podIP": first.ip, "podIPs": [{"ip": first.ip}]}
        cluster.apply(taken)
        time.sleep(1)
    entries = [e for e in live.result().manifest.names if e.address == first.ip]

    assert [e.name for e in sorted(entries, key=lambda e: e.start or datetime.min.replace(tzinfo=UTC))] == [
        "first",
        "second",
    ]
    ended, begun = (next(e for e in entries if e.name == name) for name in ("first", "second"))
    assert ended.start is None
    assert ended.end <= begun.start or (begun.start - ended.end).total_seconds() < 2
    assert web.ip in {e.address for e in live.manifests[0].names}


def test_what_may_not_be_seen_is_done_without_and_said(cluster, fresh, tmp_path, monkeypatch):
    cluster.add_pod("web", namespace=fresh)
    role = {"name": "exec", "namespace": fresh}
    cluster.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": role,
            "rules": [
                {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
                {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get", "create"]},
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": role,
            "roleRef": {"kind": "Role", "name": "exec"}, "subjects": [{"kind": "User", "name": "narrow"}],
        },
    )  # fmt: skip
    monkeypatch.setenv("KUBECONFIG", str(cluster.add_user("narrow")))

    cap = k8scap.capture("web", namespace=fresh, via="exec", seconds=0.3, output=tmp_path)

    assert cap.manifest.state == "complete"
    for resource in ("pods", "services", "nodes", "endpointslices"):
        assert any(note.startswith(f"The names of {resource} are not known") for note in cap.manifest.notes)


def test_the_manifest_over_all_has_the_names_once(talk, tmp_path):
    k8scap.capture(
        "server",
        "client",
        namespace=talk.server.namespace,
        via="node-pod",
        seconds=0.5,
        output=tmp_path,
        name="x",
    )

    over_all = json.loads((tmp_path / "x.json").read_text())
    one = json.loads((tmp_path / "x.server.json").read_text())
    assert talk.client.ip in {entry["address"] for entry in over_all["names"]}
    assert talk.client.ip not in {entry["address"] for entry in one["names"]}
    assert one["capture"] == "x.json"
    cap = k8scap.load(tmp_path / "x.server.pcap")
    assert cap.names.of(talk.client.ip) == f"{talk.client.namespace}/client"
