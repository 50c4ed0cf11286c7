"""Several pods in one capture: workloads, services, selectors; pods that come and pods that go."""

import json
import time

import pytest

import k8scap
from k8scap.errors import TargetNotFoundError, TargetNotRunningError, UsageError
from k8scap.live.kube.api import Api
from k8scap.live.kube.workloads import find_pods
from k8scap.live.targets import parse


def found(namespace, *texts, **options):
    return [
        pod.name
        for pod in find_pods(Api.connect(), [parse(t) for t in texts], namespace=namespace, **options)
    ]


def names(pods):
    return sorted(pod.name for pod in pods)


def test_a_workloads_pods_are_those_that_it_owns(cluster, fresh):
    web = cluster.add_deployment("web", 2, namespace=fresh)
    cluster.add_pod("stray", namespace=fresh, labels={"app": "web"})  # its labels alone

    assert sorted(found(fresh, "deploy/web")) == names(web)
    assert sorted(found(fresh, "rs/" + web[0].raw["metadata"]["ownerReferences"][0]["name"])) == names(web)
    assert len(found(fresh, selector="app in (web, db)")) == 3


def test_a_services_pods_are_those_that_it_selects(cluster, fresh):
    web = cluster.add_deployment("web", 2, namespace=fresh)
    cluster.add_service("front", {"app": "web"}, namespace=fresh)

    assert sorted(found(fresh, "svc/front")) == names(web)
    assert len(found(fresh, "svc/front", "deploy/web", web[0].name)) == 2  # each once


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet", "Job"])
def test_other_workloads(cluster, fresh, kind):
    group = "batch/v1" if kind == "Job" else "apps/v1"
    labels = {"app": "x"}
    cluster.apply({
        "apiVersion": group, "kind": kind, "metadata": {"name": "x", "namespace": fresh},
        "spec": {"selector": {"matchLabels": labels}},
    })  # fmt: skip
    cluster.add_pod("x-0", namespace=fresh, labels=labels, owner=(kind, "x"))
    cluster.add_pod("y-0", namespace=fresh, labels=labels, owner=(kind, "y"))

    assert found(fresh, f"{kind.lower()}/x") == ["x-0"]


def test_more_than_ten_pods_need_a_word(cluster, fresh):
    cluster.add_deployment("web", 11, namespace=fresh)

    with pytest.raises(UsageError, match="11 pods") as caught:
        found(fresh, "deploy/web")
    assert "--all" in caught.value.next_step
    assert len(found(fresh, "deploy/web", all_pods=True)) == 11


def test_what_is_not_there_is_told_with_what_is(cluster, fresh):
    cluster.add_deployment("checkout", 1, namespace=fresh)

    with pytest.raises(TargetNotFoundError) as caught:
        found(fresh, "checkout")
    assert "but there is deploy/checkout" in caught.value.message
    assert caught.value.next_step == f"k8scap capture deploy/checkout -n {fresh}"
    with pytest.raises(TargetNotFoundError, match=f"There is no deploy/nope in {fresh}"):
        found(fresh, "deploy/nope")
    with pytest.raises(UsageError, match="is not a label selector"):
        found(fresh, selector="app=$(reboot);")


def test_pods_that_have_no_processes(cluster, fresh):
    cluster.add_image("ghost:1", missing=True)
    cluster.add_pod("ghost", namespace=fresh, wait=False)
    cluster.add_pod(
        "done", namespace=fresh, containers={"app": {"command": ["true"]}}, restartPolicy="Never", wait=False
    )
    cluster.await_phase(fresh, "done", "Succeeded")
    cluster.add_pod("pull", namespace=fresh, containers={"app": {"image": "ghost:1"}}, wait=False)
    cluster.add_pod("win", namespace=fresh, os={"name": "windows"})
    time.sleep(0.3)

    for name, why in {"done": "has ended", "pull": "ErrImagePull", "win": "Windows"}.items():
        with pytest.raises(TargetNotRunningError, match=why) as caught:
            found(fresh, name)
        assert caught.value.next_step


def test_a_pod_on_a_windows_node(cluster, fresh):
    cluster.add_node("win-1", os="windows")
    cluster.add_pod("iis", namespace=fresh, node="win-1")

    with pytest.raises(TargetNotRunningError, match="win-1, a Windows node"):
        found(fresh, "iis")


def test_one_pod_that_vanishes_ends_its_own_recording_only(cluster, fresh, tmp_path):
    web = cluster.add_deployment("web", 3, namespace=fresh)
    live = k8scap.watch(
        "deploy/web", namespace=fresh, via="node-pod", seconds=5, output=tmp_path, name="many"
    )
    time.sleep(1)
    cluster.delete_pod(web[0])
    cap = live.result()

    ended = {manifest.point: manifest.ended_by for manifest in cap.manifests}
    assert ended == {web[0].name: "target-gone", web[1].name: "seconds", web[2].name: "seconds"}
    told = {
        entry["point"]: entry["ended_by"]
        for entry in json.loads((tmp_path / "many.json").read_text())["recordings"]
    }
    assert told == ended


def test_a_pod_that_appears_is_captured_too_with_follow(cluster, fresh, tmp_path):
    first = cluster.add_deployment("web", 1, namespace=fresh)[0]
    owner = first.raw["metadata"]["ownerReferences"][0]["name"]
    live = k8scap.watch(
        "deploy/web", namespace=fresh, via="node-pod", seconds=6, output=tmp_path, name="all", follow=True
    )
    labels = first.raw["metadata"]["labels"]
    second = cluster.add_pod(
        "web-late", namespace=fresh, labels=labels, owner=("ReplicaSet", owner), node="node-2"
    )
    time.sleep(2.5)
    cluster.add_pod("client", namespace=fresh).run("busybox", "nc", second.ip, "9", check=False, timeout=5)
    cap = live.result()

    assert set(cap.points) == {first.name, "web-late"}
    late = next(manifest for manifest in cap.manifests if manifest.point == "web-late")
    assert late.state == "complete"
    assert late.counters.on_disk > 0
    assert any("appeared while the capture ran" in note for note in late.notes)


def test_without_follow_it_is_not(cluster, fresh, tmp_path):
    first = cluster.add_deployment("web", 1, namespace=fresh)[0]
    owner = first.raw["metadata"]["ownerReferences"][0]["name"]
    live = k8scap.watch("deploy/web", namespace=fresh, via="node-pod", seconds=1, output=tmp_path, name="all")
    cluster.add_pod(
        "web-late", namespace=fresh, labels=first.raw["metadata"]["labels"], owner=("ReplicaSet", owner)
    )

    assert live.result().points == ("all",)
