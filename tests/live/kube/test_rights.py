"""The manifests in deploy/rbac allow a way each, and nothing that the way does without."""

import copy
from pathlib import Path

import pytest
import yaml

import k8scap
from k8scap.errors import NotPermittedError

RBAC = Path(__file__).resolve().parents[3] / "deploy" / "rbac"
GROUPS = {"developers", "operators"}


def rules_of(objects):
    return [
        (i, j, verb)
        for i, obj in enumerate(objects)
        for j, rule in enumerate(obj.get("rules", ()))
        for verb in rule["verbs"]
    ]


def objects_of(way, namespace, tag):
    """The manifest for the test's namespace, its roles named by `tag` and bound to a group of that name."""
    text = (RBAC / f"{way}.yaml").read_text().replace("namespace: shop", f"namespace: {namespace}")
    for group in GROUPS:
        text = text.replace(f"name: {group}", f"name: {tag}")
    for name in (
        "k8scap-exec",
        "k8scap-ephemeral",
        "k8scap-node-pod",
        "k8scap-targets",
        "k8scap-workloads",
        "k8scap-names",
    ):
        text = text.replace(f"name: {name}\n", f"name: {name}-{tag}\n")
    return list(yaml.safe_load_all(text))


def names_of_pods(cluster):
    """Those that are not on their way out."""
    return [p["metadata"]["name"] for p in cluster.all("pods") if "deletionTimestamp" not in p["metadata"]]


@pytest.fixture
def user_with(cluster, fresh, monkeypatch):
    """Become a user who may what a way's manifest allows, without one verb of it if that is asked."""
    made = []

    def become(*ways, without=None):
        tag = f"{fresh}-{len(made)}"
        made.append(tag)
        for way in ways:
            objects = copy.deepcopy(objects_of(way, fresh, tag))
            if without and way == ways[0]:
                i, j, verb = without
                objects[i]["rules"][j]["verbs"].remove(verb)
            cluster.apply(*objects)
        monkeypatch.setenv("KUBECONFIG", str(cluster.add_user(f"u-{tag}", tag)))

    become.namespace = fresh
    yield become
    for obj in cluster.all("roles", "rbac.authorization.k8s.io"):
        if fresh in obj["metadata"]["name"]:
            where = {"namespace": obj["metadata"]["namespace"], "name": obj["metadata"]["name"]}
            cluster.control("remove", group="rbac.authorization.k8s.io", resource="roles", **where)


@pytest.mark.parametrize("way", ["node-pod", "exec", "ephemeral"])
def test_a_ways_manifest_is_enough_for_it(cluster, fresh, user_with, tmp_path, way):
    cluster.add_pod("web", namespace=fresh)
    user_with(way)

    cap = k8scap.capture("web", namespace=fresh, via=way, seconds=0.3, output=tmp_path)

    assert (cap.manifest.via, cap.manifest.state) == (way, "complete")


def verbs(way):
    objects = objects_of(way, "x", "y")
    named = [
        f"{verb} {objects[i]['rules'][j]['resources'][0]} of {objects[i]['metadata']['name'][:-2]}"
        for i, j, verb in rules_of(objects)
    ]
    return [
        pytest.param(way, rule, id=f"{way}: {name}")
        for rule, name in zip(rules_of(objects), named, strict=True)
    ]


@pytest.mark.parametrize(("way", "without"), [*verbs("exec"), *verbs("ephemeral"), *verbs("node-pod")])
def test_each_verb_is_needed(cluster, user_with, tmp_path, way, without):
    fresh = user_with.namespace
    cluster.add_deployment("web", 1, namespace=fresh)
    user_with(way, "workloads", without=without)
    expired_helper(cluster) if way == "node-pod" else None

    try:
        k8scap.capture("deploy/web", namespace=fresh, via=way, seconds=0.2, output=tmp_path)
        pod = next(p for p in cluster.all("pods") if p["metadata"]["namespace"] == fresh)
        k8scap.capture(pod["metadata"]["name"], namespace=fresh, via=way, seconds=0.2, output=tmp_path)
    except NotPermittedError as error:
        assert "cannot" in error.message  # noqa: PT017 - either it is refused here …
    else:
        left = [
            p["metadata"]["name"] for p in cluster.all("pods") if p["metadata"]["name"].startswith("k8scap-")
        ]
        assert left  # … or what should have been removed is still there


def expired_helper(cluster):
    """What a killed capture of yesterday left behind."""
    cluster.apply({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "k8scap-0000000001", "namespace": "k8scap",
            "labels": {"app.kubernetes.io/managed-by": "k8scap"},
            "annotations": {"k8scap.io/expires": "2026-01-01T00:00:00+00:00"},
        },
        "spec": {"containers": [{"name": "k8scap", "image": "x", "command": ["sleep", "60"]}]},
    })  # fmt: skip
    cluster.await_phase("k8scap", "k8scap-0000000001", "Running")


def test_expired_helpers_of_anybody_are_deleted_and_others_never(cluster):
    expired_helper(cluster)
    cluster.apply({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "k8scap-colleague", "namespace": "k8scap",
            "labels": {"app.kubernetes.io/managed-by": "k8scap"},
            "annotations": {"k8scap.io/expires": "2099-01-01T00:00:00+00:00"},
        },
        "spec": {"containers": [{"name": "k8scap", "image": "x", "command": ["sleep", "60"]}]},
    })  # fmt: skip
    cluster.await_phase("k8scap", "k8scap-colleague", "Running")

    told = k8scap.doctor(clean=True).text()

    assert "deleted k8scap/k8scap-0000000001" in told
    assert "k8scap-colleague" in names_of_pods(cluster)
    assert "k8scap-0000000001" not in names_of_pods(cluster)


def test_pod_security_refuses_a_helper_where_nothing_privileged_may_run(cluster, tmp_path, monkeypatch):
    strict = cluster.add_namespace("strict", **{"pod-security.kubernetes.io/enforce": "restricted"})
    cluster.add_pod("web", namespace=strict)
    for way in ("node-pod", "ephemeral"):
        monkeypatch.setenv("K8SCAP_NAMESPACE", strict)
        with pytest.raises(NotPermittedError) as caught:
            k8scap.capture("web", namespace=strict, via=way, seconds=0.3, output=tmp_path)
        assert 'violates PodSecurity "restricted:latest"' in caught.value.message


def test_under_baseline_an_ephemeral_container_has_what_the_runtime_grants(cluster, tmp_path):
    baseline = cluster.add_namespace("base", **{"pod-security.kubernetes.io/enforce": "baseline"})
    cluster.add_pod("web", namespace=baseline)

    cap = k8scap.capture("web", namespace=baseline, via="ephemeral", seconds=0.3, output=tmp_path)

    assert cap.manifest.state == "complete"
