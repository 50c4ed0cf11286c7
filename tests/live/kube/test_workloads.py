"""Targets → pods: what belongs to whom, what is said where there is nothing, and what it asks of the API."""

import pytest

from k8scap.errors import TargetNotFoundError, UsageError
from k8scap.live.kube import selectors
from k8scap.live.kube.api import Api
from k8scap.live.kube.workloads import find_pods
from k8scap.live.targets import parse


def find(namespace, *texts, **options):
    return find_pods(Api.connect(), [parse(text) for text in texts], namespace=namespace, **options)


def requests_of(cluster, namespace, *texts):
    before = len(cluster.requests())
    find(namespace, *texts)
    return [entry["path"] for entry in cluster.requests()[before:]]


def job_of(cluster, namespace, name, owner):
    owners = [{"apiVersion": "batch/v1", "kind": "CronJob", "name": owner, "uid": "1", "controller": True}]
    cluster.apply({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": name, "namespace": namespace, "ownerReferences": owners}, "spec": {},
    })  # fmt: skip
    cluster.add_pod(f"{name}-x2x4z", namespace=namespace, owner=("Job", name))


def test_a_cronjobs_pods_are_those_of_its_jobs_even_of_one_started_by_hand(cluster, fresh):
    cluster.apply({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "backup", "namespace": fresh},
        "spec": {},
    })  # fmt: skip
    job_of(cluster, fresh, "backup-29737500", "backup")
    job_of(cluster, fresh, "by-hand", "backup")
    job_of(cluster, fresh, "backup-29737501", "other")

    assert {pod.name for pod in find(fresh, "cj/backup")} == {"backup-29737500-x2x4z", "by-hand-x2x4z"}


def test_a_deployment_without_pods_is_known_to_who_takes_it_for_a_pod(cluster, fresh):
    cluster.add_deployment("web", 0, namespace=fresh)

    with pytest.raises(TargetNotFoundError, match=r"no pod web in .*, but there is deploy/web") as caught:
        find(fresh, "web")
    assert caught.value.next_step == f"k8scap capture deploy/web -n {fresh}"


def test_a_workload_that_is_spelt_wrong(cluster, fresh):
    cluster.add_deployment("checkout", 1, namespace=fresh)

    with pytest.raises(TargetNotFoundError, match=f"no deploy/chekout in {fresh}; there is checkout"):
        find(fresh, "deploy/chekout")


@pytest.mark.usefixtures("cluster")
def test_a_node_that_is_spelt_wrong(fresh):
    with pytest.raises(TargetNotFoundError, match="no node/node-9; there is node-"):
        find(fresh, "node/node-9")


def test_a_pod_of_another_namespace(cluster, fresh):
    other = cluster.add_namespace(f"{fresh}-b")
    cluster.add_pod("lonely", namespace=other)

    with pytest.raises(TargetNotFoundError, match=f"no pod lonely in {fresh}, but in {other}") as caught:
        find(fresh, "lonely")
    assert caught.value.next_step == f"k8scap capture pod/lonely -n {other}"


@pytest.mark.usefixtures("cluster")
def test_a_namespace_that_is_not_there():
    with pytest.raises(TargetNotFoundError, match="There is no namespace shopp"):
        find("shopp", "web")


def test_a_service_that_is_a_name_for_another(cluster, fresh):
    cluster.apply({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "out", "namespace": fresh},
        "spec": {"type": "ExternalName", "externalName": "example.org"},
    })  # fmt: skip

    with pytest.raises(TargetNotFoundError, match=r"a name for example\.org"):
        find(fresh, "svc/out")


def test_a_service_without_a_selector_has_the_pods_of_its_slices(cluster, fresh):
    cluster.add_pod("db", namespace=fresh)
    cluster.add_pod("other", namespace=fresh)
    cluster.apply({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "db", "namespace": fresh},
        "spec": {"clusterIP": "10.96.0.9"},
    })  # fmt: skip
    cluster.apply({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "db-1", "namespace": fresh, "labels": {"kubernetes.io/service-name": "db"}},
        "endpoints": [{"addresses": ["10.0.0.1"], "targetRef": {"kind": "Pod", "name": "db"}}],
    })  # fmt: skip

    assert [pod.name for pod in find(fresh, "svc/db")] == ["db"]


def test_pods_that_cannot_be_captured_are_told_of_by_those_that_can(cluster, fresh):
    cluster.add_image("ghost:1", missing=True)
    cluster.add_pod("a", namespace=fresh, labels={"app": "web"})
    cluster.add_pod(
        "b", namespace=fresh, labels={"app": "web"}, containers={"app": {"image": "ghost:1"}}, wait=False
    )

    (pod,) = find(fresh, selector="app=web")

    assert pod.name == "a"
    assert any(f"{fresh}/b" in note for note in pod.notes)


def test_what_finding_costs(cluster, fresh):
    cluster.add_deployment("web", 3, namespace=fresh)

    assert len(requests_of(cluster, fresh, "deploy/web")) == 2


@pytest.mark.parametrize(
    "selector",
    ["app=web", "app==web,tier!=db", "app", "!app", "app in (a,b),!x", "app notin (a, b)", "a.b/c=d", "a="],
)
def test_selectors(selector):
    selectors.check(selector)


@pytest.mark.parametrize(
    "selector",
    ["", "app in", "app in a", "=web", "app=web,", "app=a b", "-x=y", "$(reboot)", "a;b", "a\nb", "a" * 5000,
     "app=web&limit=1", "a,,b", "app in (a", 'app="x"', "wéb=x"],
)  # fmt: skip
def test_what_is_no_selector(selector):
    with pytest.raises(UsageError, match="is not a label selector") as caught:
        selectors.check(selector)
    assert caught.value.next_step


def test_an_owners_selector_as_the_api_takes_it():
    rules = [
        {"key": "tier", "operator": "In", "values": ["a", "b"]},
        {"key": "x", "operator": "NotIn", "values": ["y"]},
        {"key": "e", "operator": "Exists"},
        {"key": "n", "operator": "DoesNotExist"},
    ]
    text = selectors.text({"matchLabels": {"app": "web"}, "matchExpressions": rules})

    assert text == "app=web,tier in (a,b),x notin (y),e,!n"
    selectors.check(text)
