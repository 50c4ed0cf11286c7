"""On a pod's own node: entered by its name, and found through the runtime where no API answers."""

import json

import pytest

import k8scap
from k8scap.errors import ClusterUnreachableError, TargetNotFoundError


@pytest.fixture
def no_api(tmp_path, monkeypatch):
    """A node without a kubeconfig, whose crictl knows the pod that it is given."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    tools = tmp_path / "bin"
    tools.mkdir()

    def install(*pods):
        listed = [
            {
                "id": container["id"],
                "image": {"image": "app:1"},
                "labels": {
                    "io.kubernetes.pod.name": pod.name,
                    "io.kubernetes.pod.namespace": pod.namespace,
                    "io.kubernetes.pod.uid": pod.uid,
                    "io.kubernetes.container.name": name,
                },
            }
            for pod in pods
            for name, container in pod.containers.items()
        ]
        (tools / "crictl.json").write_text(json.dumps({"containers": listed}))
        (tools / "crictl").write_text(f"#!/bin/sh\ncat {tools}/crictl.json\n")
        (tools / "crictl").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tools}:/usr/sbin:/usr/bin:/sbin:/bin")

    return install


def test_a_pod_is_entered_by_its_name(cluster, fresh, capfd):
    pod = cluster.add_pod("web", namespace=fresh)

    code = k8scap.enter("web", namespace=fresh, command=["ip", "-br", "addr", "show", "eth0"])

    assert code == 0
    assert pod.ip in capfd.readouterr().out


def test_without_an_api_server_the_runtime_is_asked(cluster, fresh, no_api, tmp_path):
    pod = cluster.add_pod("web", namespace=fresh, containers=("istio-proxy", "app"))
    no_api(pod)

    cap = k8scap.capture("web", seconds=0.3, interface="eth0", output=tmp_path / "out")

    assert (cap.manifest.via, cap.manifest.state) == ("local", "complete")
    assert cap.manifest.target["container_id"] == pod.containers["app"]["id"]
    assert any("container runtime" in note for note in cap.manifest.notes)


def test_what_neither_knows_is_told_as_the_apis_absence(cluster, fresh, no_api, tmp_path):
    no_api(cluster.add_pod("web", namespace=fresh))

    for target in ("nope", "deploy/web"):
        with pytest.raises(ClusterUnreachableError, match="no kubeconfig"):
            k8scap.capture(target, seconds=0.3, output=tmp_path / "out")


def test_a_pod_of_another_node_is_not_entered_here(cluster, fresh):
    pod = cluster.add_pod("web", namespace=fresh)
    raw = pod.raw
    for status in raw["status"]["containerStatuses"]:
        status["containerID"] = "containerd://" + "0" * 64
    raw["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000"
    cluster.apply(raw)

    with pytest.raises(TargetNotFoundError, match="This machine is not node-"):
        k8scap.enter("web", namespace=fresh, command=["true"])
