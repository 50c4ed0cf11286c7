"""Names, Events and the dataplane, as the watch on a cluster learns them."""

import time
from datetime import UTC, datetime

import pytest

from k8scap.live.kube import dataplane
from k8scap.live.kube.api import Api
from k8scap.live.kube.happenings import events_of
from k8scap.live.kube.naming import NamesWatch
from k8scap.live.kube.workloads import find_pods
from k8scap.live.targets import parse


@pytest.fixture
def watching(cluster, fresh):  # noqa: ARG001 - the cluster answers
    watch = NamesWatch(Api.connect(), [fresh])
    watch.start()
    time.sleep(0.5)
    yield watch
    watch.stop()


def service(cluster, namespace, name, ip):
    cluster.add_service(name, {"app": name}, namespace=namespace, ip=ip)


def entries(watch, namespace, kind):
    return [entry for entry in watch.stop() if entry.namespace == namespace and entry.kind == kind]


def settle():
    time.sleep(0.7)


def test_an_address_that_changes_hands_is_told_apart_in_time(cluster, fresh, watching):
    before = datetime.now(UTC)
    service(cluster, fresh, "old", "10.96.7.7")
    settle()
    cluster.control("remove", group="", resource="services", namespace=fresh, name="old")
    settle()
    service(cluster, fresh, "new", "10.96.7.7")
    settle()

    old, new = sorted(entries(watching, fresh, "service"), key=lambda entry: entry.start)

    assert (old.name, new.name) == ("old", "new")
    assert before <= old.start < old.end <= new.start
    assert new.end is None
    assert {old.address, new.address} == {"10.96.7.7"}
    assert old.source == "kubernetes"


def test_a_pod_has_its_workload_node_and_zone(cluster, fresh, watching):
    (pod,) = cluster.add_deployment("web", 1, namespace=fresh)
    settle()

    (entry,) = {e for e in entries(watching, fresh, "pod") if e.end is None}

    assert (entry.address, entry.name, entry.workload) == (pod.ip, pod.name, "deploy/web")
    assert entry.node.startswith("node-")
    assert entry.zone.startswith("zone-")


def test_a_pod_in_its_nodes_network_does_not_rename_the_node(cluster, fresh, watching):
    cluster.add_pod("agent", namespace=fresh, hostNetwork=True)
    settle()

    assert entries(watching, fresh, "pod") == []


def test_a_service_has_all_its_addresses(cluster, fresh, watching):
    cluster.apply({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "front", "namespace": fresh},
        "spec": {"clusterIP": "10.96.8.8", "clusterIPs": ["10.96.8.8", "fd00::88"],
                 "externalIPs": ["198.18.8.8"]},
        "status": {"loadBalancer": {"ingress": [{"ip": "198.18.8.9"}, {"hostname": "lb.example.org"}]}},
    })  # fmt: skip
    service(cluster, fresh, "headless", "None")
    settle()

    found = {entry.address for entry in entries(watching, fresh, "service")}
    assert found == {"10.96.8.8", "fd00::88", "198.18.8.8", "198.18.8.9"}


def test_a_watch_that_is_told_410_begins_again(cluster, fresh):
    cluster.faults(expired=4)
    watch = NamesWatch(Api.connect(), [fresh])
    watch.start()
    time.sleep(0.5)
    service(cluster, fresh, "late", "10.96.7.8")
    time.sleep(2)

    assert [entry.name for entry in entries(watch, fresh, "service")] == ["late"]


def test_an_api_server_that_is_gone_for_a_while(cluster, fresh, watching):
    service(cluster, fresh, "before", "10.96.7.9")
    settle()
    cluster.faults(gone=2.0)
    time.sleep(3)
    service(cluster, fresh, "after", "10.96.7.10")
    time.sleep(4)

    assert {entry.name for entry in entries(watching, fresh, "service")} == {"before", "after"}


def may_see(cluster, monkeypatch, *namespaces):
    """Become a user who may list and watch pods and services of these namespaces, and nothing else."""
    rules = [{"apiGroups": [""], "resources": ["pods", "services"], "verbs": ["list", "watch", "get"]}]
    name = f"u-{namespaces[0]}"
    for namespace in namespaces:
        cluster.apply(
            {
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
                "metadata": {"name": "see", "namespace": namespace}, "rules": rules,
            },
            {
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                "metadata": {"name": "see", "namespace": namespace},
                "subjects": [{"kind": "User", "name": name}], "roleRef": {"kind": "Role", "name": "see"},
            },
        )  # fmt: skip
    monkeypatch.setenv("KUBECONFIG", str(cluster.add_user(name)))


def test_what_rbac_denies_is_done_without_and_said(cluster, fresh, monkeypatch):
    other = cluster.add_namespace(f"{fresh}-b")
    service(cluster, fresh, "mine", "10.96.7.11")
    service(cluster, other, "theirs", "10.96.7.12")
    may_see(cluster, monkeypatch, fresh, other)
    watch = NamesWatch(Api.connect(), [fresh, other])
    watch.start()
    found = watch.stop()  # at once: the snapshot of both is waited for

    assert {entry.name for entry in found} == {"mine", "theirs"}
    assert any(f"services are known of {fresh}, {other} only" in note for note in watch.notes)
    assert any("names of nodes are not known" in note for note in watch.notes)


def test_what_went_in_one_namespace_while_nobody_watched(cluster, fresh, monkeypatch):
    service(cluster, fresh, "going", "10.96.7.13")
    service(cluster, fresh, "staying", "10.96.7.14")
    may_see(cluster, monkeypatch, fresh)
    cluster.faults(expired=2)  # of pods and services: the watches begin a second later, with a list
    watch = NamesWatch(Api.connect(), [fresh])
    watch.start()
    time.sleep(0.6)
    cluster.control("remove", group="", resource="services", namespace=fresh, name="going")
    time.sleep(2)

    ends = {entry.name: entry.end is not None for entry in watch.stop()}
    assert ends == {"going": True, "staying": False}


def event(cluster, namespace, name, kind, about, **more):
    cluster.apply({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": namespace},
        "involvedObject": {"kind": kind, "name": about, "namespace": namespace},
        "reason": name.title(), "type": "Warning", "message": "it happened", "count": 2,
        "lastTimestamp": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"), **more,
    })  # fmt: skip


def test_the_events_of_what_is_captured_and_of_nobody_else(cluster, fresh):
    (pod,) = cluster.add_deployment("web", 1, namespace=fresh)
    event(cluster, fresh, "killing", "Pod", pod.name)
    event(cluster, fresh, "scaled", "Deployment", "web")
    event(cluster, fresh, "created", "ReplicaSet", "web-7d9f8c6b5d")
    event(cluster, fresh, "scheduled", "Pod", "web-7d9f8c6b5d-x2x4z")
    event(cluster, fresh, "foreign", "Pod", "web-admin-7d9f8c6b5d-x2x4z")
    event(cluster, fresh, "foreign2", "Pod", "web-admin-x2x4z")
    event(cluster, fresh, "foreign3", "Service", "web")
    event(cluster, fresh, "ages-ago", "Deployment", "web", lastTimestamp="2020-01-01T00:00:00Z")
    event(cluster, "default", f"pressure-{fresh}", "Node", pod.raw["spec"]["nodeName"], reason="Pressure")
    found, note = events_of(
        Api.connect(),
        find_pods(Api.connect(), [parse("deploy/web")], namespace=fresh),
        since=datetime.now(UTC),
    )

    assert {e["reason"] for e in found} == {"Killing", "Scaled", "Created", "Scheduled", "Pressure"}
    assert note == ""
    assert found[0]["count"] == 2
    assert {"time", "type", "reason", "object", "namespace", "message", "count"} <= found[0].keys()


def test_events_that_may_not_be_seen(cluster, fresh):
    pod = cluster.add_pod("web", namespace=fresh)
    pods = find_pods(Api.connect(), [parse(pod.name)], namespace=fresh)
    cluster.faults(forbidden=[["list", "events"]])

    found, note = events_of(Api.connect(), pods, since=datetime.now(UTC))

    assert found == ()
    assert f"Events of {fresh} are not known" in note


def daemon_set(cluster, name, namespace="kube-system"):
    cluster.apply({
        "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"matchLabels": {"app": name}}},
    })  # fmt: skip


def config(cluster, name, data):
    cluster.apply({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "kube-system"},
        "data": data,
    })  # fmt: skip


def clear(cluster):
    for group, resource in (("apps", "daemonsets"), ("", "configmaps")):
        for raw in cluster.all(resource, group):
            namespace, name = raw["metadata"]["namespace"], raw["metadata"]["name"]
            cluster.control("remove", group=group, resource=resource, namespace=namespace, name=name)


@pytest.fixture
def systems(cluster):
    """The cluster, without the DaemonSets and ConfigMaps of other tests."""
    clear(cluster)
    yield cluster
    clear(cluster)


def test_a_cluster_of_which_nothing_is_seen_is_called_unknown(systems):
    told = dataplane.look(Api.connect(), [])

    assert (told["cni"], told["kube_proxy"]) == ("unknown", "unknown")
    assert "kube_proxy" in told["unknown"]
    assert [d for d in systems.all("daemonsets", "apps") if d["metadata"]["namespace"] == "kube-system"] == []


def test_calico_from_its_operator_and_kube_proxys_mode(systems):
    daemon_set(systems, "calico-node", "calico-system")
    daemon_set(systems, "kube-proxy")
    config(systems, "kube-proxy", {"config.conf": "kind: KubeProxyConfiguration\nmode: nftables\n"})

    told = dataplane.look(Api.connect(), [])

    assert (told["cni"], told["kube_proxy"]) == ("Calico", "nftables")
    assert "unknown" not in told


def test_cilium_in_kube_proxys_place(systems):
    daemon_set(systems, "cilium")
    config(systems, "cilium-config", {"kube-proxy-replacement": "true", "tunnel-protocol": "vxlan"})

    told = dataplane.look(Api.connect(), [])

    assert told["cni"] == "Cilium"
    assert told["kube_proxy"] == "replaced by Cilium"
    assert told["socket_load_balancing"] is True


def test_a_dataplane_that_may_not_be_seen(systems):
    systems.faults(forbidden=[["list", "daemonsets.apps"], ["list", "daemonsets"]])

    assert "cni" in dataplane.look(Api.connect(), [])["unknown"]
