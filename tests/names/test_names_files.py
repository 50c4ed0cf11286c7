"""Who has which address, by the word of files that users have at hand."""

import json
from datetime import UTC, datetime

import pytest

from k8scap.errors import UnreadableFileError
from k8scap.model import NameEntry
from k8scap.names import Names
from k8scap.names.files import read_names
from k8scap.names.kubernetes import workload


def owned(kind, name, **labels):
    owner = {"apiVersion": "v1", "kind": kind, "name": name, "uid": "1", "controller": True}
    return {"ownerReferences": [owner], "labels": labels}


def pod(name, *ips, metadata=None, **spec):
    status = {"phase": "Running", "podIP": ips[0], "podIPs": [{"ip": ip} for ip in ips]} if ips else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", **(metadata or {})},
        "spec": {"nodeName": "worker-1", **spec},
        "status": {"startTime": "2026-01-01T12:00:00Z", **status},
    }


CHECKOUT = pod(
    "checkout-7d9f-x",
    "10.1.0.7",
    "fd00::7",
    metadata=owned("ReplicaSet", "checkout-7d9f", **{"pod-template-hash": "7d9f"}),
)
PROXY = pod("kube-proxy-1", "192.0.2.1", hostNetwork=True)
SERVICE = {
    "kind": "Service",
    "metadata": {"name": "redis", "namespace": "shop"},
    "spec": {
        "clusterIP": "10.2.0.1",
        "clusterIPs": ["10.2.0.1", "fd00:2::1"],
        "externalIPs": ["203.0.113.9"],
    },
    "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.10"}, {"hostname": "lb.example.com"}]}},
}
HEADLESS = {"kind": "Service", "metadata": {"name": "db", "namespace": "shop"}, "spec": {"clusterIP": "None"}}
NODE = {
    "kind": "Node",
    "metadata": {"name": "worker-1", "labels": {"topology.kubernetes.io/zone": "zone-a"}},
    "status": {
        "addresses": [
            {"type": "InternalIP", "address": "192.0.2.1"},
            {"type": "Hostname", "address": "worker-1"},
        ]
    },
}
SLICE = {
    "kind": "EndpointSlice",
    "metadata": {"name": "db-abc", "namespace": "shop", "labels": {"kubernetes.io/service-name": "db"}},
    "endpoints": [
        {
            "addresses": ["10.1.0.8"],
            "nodeName": "worker-2",
            "zone": "zone-b",
            "targetRef": {"kind": "Pod", "name": "db-0", "namespace": "shop"},
        },
        {"addresses": ["198.51.100.5"]},
    ],
}
CLUSTER = {"apiVersion": "v1", "kind": "List", "items": [CHECKOUT, PROXY, SERVICE, HEADLESS, NODE, SLICE]}


def written(tmp_path, content):
    path = tmp_path / "names"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def names_of(path):
    """Address → name as it is shown, of all addresses in a file."""
    names = Names(read_names(path))
    return {entry.address: names.of(entry.address) for entry in names.entries}


def test_kubectls_json_names_pods_services_and_nodes(tmp_path):
    assert names_of(written(tmp_path, CLUSTER)) == {
        "10.1.0.7": "shop/checkout-7d9f-x",
        "fd00::7": "shop/checkout-7d9f-x",
        "192.0.2.1": "node/worker-1",
        "10.2.0.1": "shop/svc/redis",
        "fd00:2::1": "shop/svc/redis",
        "203.0.113.9": "shop/svc/redis",
        "203.0.113.10": "shop/svc/redis",
        "10.1.0.8": "shop/db-0",
        "198.51.100.5": "shop/db",
    }


def test_a_pod_is_known_with_its_workload_node_and_times(tmp_path):
    entry = next(e for e in read_names(written(tmp_path, CLUSTER)) if e.address == "10.1.0.7")
    assert entry == NameEntry(
        address="10.1.0.7",
        name="checkout-7d9f-x",
        kind="pod",
        namespace="shop",
        start=datetime(2026, 1, 1, 12, tzinfo=UTC),
        workload="deploy/checkout",
        node="worker-1",
        source="kubernetes",
    )


def test_the_address_of_a_pod_that_is_over_is_free_for_the_next(tmp_path):
    ended = pod("migrate-x", "10.1.0.9")
    ended["status"] |= {
        "phase": "Succeeded",
        "containerStatuses": [{"state": {"terminated": {"finishedAt": "2026-01-01T12:10:00Z"}}}],
    }
    after = pod("web-x", "10.1.0.9")
    after["status"]["startTime"] = "2026-01-01T12:30:00Z"
    names = Names(read_names(written(tmp_path, [ended, after])))
    said = [names.of("10.1.0.9", datetime(2026, 1, 1, 12, minute, tzinfo=UTC)) for minute in (0, 9, 25, 59)]
    assert said == ["shop/migrate-x", "shop/migrate-x", "shop/web-x", "shop/web-x"]


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        (owned("ReplicaSet", "web-5c9f", **{"pod-template-hash": "5c9f"}), "deploy/web"),
        (owned("ReplicaSet", "web-5c9f"), "rs/web-5c9f"),
        (owned("StatefulSet", "db"), "sts/db"),
        (owned("DaemonSet", "cni"), "ds/cni"),
        (owned("Job", "migrate"), "job/migrate"),
        (owned("Job", "backup-28945530"), "cj/backup"),
        (owned("Node", "worker-1"), ""),
        (owned("Rollout", "web"), "rollout/web"),
        ({}, ""),
        ({"ownerReferences": "x", "labels": 7}, ""),
        ({"ownerReferences": [{"kind": ["x"], "name": {}}]}, ""),
    ],
)
def test_a_workload_is_written_as_kubectl_writes_it(metadata, said):
    assert workload({"metadata": metadata}) == said


@pytest.mark.parametrize(
    "content",
    [
        CHECKOUT,
        [CHECKOUT],
        {"kind": "PodList", "items": [{k: v for k, v in CHECKOUT.items() if k != "kind"}]},
        json.dumps(NODE) + "\n" + json.dumps(CHECKOUT),
        json.dumps(CHECKOUT).encode("utf-16"),
        b"\xef\xbb\xbf" + json.dumps(CHECKOUT).encode(),
    ],
)
def test_kubectls_json_is_known_in_every_shape(tmp_path, content):
    assert names_of(written(tmp_path, content))["10.1.0.7"] == "shop/checkout-7d9f-x"


def test_a_hosts_file(tmp_path):
    text = (
        "# mine\n127.0.0.1\tlocalhost\n\n10.0.0.7 redis redis.example.com # cache\nFE80::0001%eth0 router\n"
    )
    path = written(tmp_path, text)
    assert names_of(path) == {"127.0.0.1": "localhost", "10.0.0.7": "redis", "FE80::0001%eth0": "router"}
    assert Names(read_names(path)).of("fe80::1") == "router"


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.7,redis,pod,shop,sts/redis,w1,z1,2026-01-01T12:00:00Z,2026-01-01T13:00:00\n",
        (
            "\ufeffAddress,end,NAME,namespace,kind,workload,node,zone,start,colour\n# a comment\n"
            '10.0.0.7,2026-01-01T13:00:00,"redis",shop,pod,sts/redis,w1,z1,2026-01-01T12:00:00Z,red\n'
        ),
    ],
)
def test_a_csv(tmp_path, text):
    assert read_names(written(tmp_path, text)) == (
        NameEntry(
            address="10.0.0.7",
            name="redis",
            kind="pod",
            namespace="shop",
            workload="sts/redis",
            node="w1",
            zone="z1",
            start=datetime(2026, 1, 1, 12, tzinfo=UTC),
            end=datetime(2026, 1, 1, 13, tzinfo=UTC),
            source="csv",
        ),
    )
    assert read_names(written(tmp_path, "10.0.0.7,redis\n"))[0].name == "redis"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("10.0.0.7 a\n10.0.0.8\n", "line 2: '10.0.0.8' is no address with a name"),
        ("10.0.0.7,a\n\nnobody,b\n", "line 3: 'nobody' is no address"),
        ("10.0.0.7,a\n10.0.0.8,\n", "line 2: 10.0.0.8 has no name"),
        ("address,name,start\n10.0.0.7,a,yesterday\n", "line 2: 'yesterday' is no time"),
        ("address,title\n10.0.0.7,a\n", "no column name"),
        ('10.0.0.7,a\n10.0.0.8,"b\n', "line 2"),
        ("apiVersion: v1\nkind: List\n", "names no addresses"),
        ("{", "broken JSON"),
        ('{"kind": "List", "items": []}', "names no addresses"),
        ("[" * 200_000, "broken JSON"),
        ('{"a":' * 200_000, "broken JSON"),
        ('{"n": ' + "9" * 10_000 + "}", "broken JSON"),
        ('{"format": 1, "name": "x", "names": [7]}', "names are broken"),
        ('{"format": 1, "name": "x", "names": [{"address": "10.0.0.7", "start": "x"}]}', "names are broken"),
        (b"\xd4\xc3\xb2\xa1" + bytes(60), "no text"),
    ],
)
def test_what_names_nobody_is_refused_in_a_sentence(tmp_path, content, sentence):
    with pytest.raises(UnreadableFileError, match=sentence) as refused:
        read_names(written(tmp_path, content))
    assert len(refused.value.message) < 400
    assert "\n" not in refused.value.message


@pytest.mark.parametrize("wrong", [None, 7, "x", [], {}, [7], {"x": 7}, True])
@pytest.mark.parametrize(
    "path", [("metadata",), ("spec",), ("status",), ("status", "podIPs"), ("spec", "nodeName")]
)
def test_objects_of_any_shape_do_no_harm(tmp_path, path, wrong):
    broken = json.loads(json.dumps(CHECKOUT))
    inner = broken
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = wrong
    assert names_of(written(tmp_path, {"kind": "List", "items": [broken, wrong, NODE]}))["192.0.2.1"]


@pytest.mark.parametrize("given", ["missing.json", "."])
def test_a_names_file_that_cannot_be_read_is_said(tmp_path, given):
    with pytest.raises(UnreadableFileError):
        read_names(tmp_path / given)
