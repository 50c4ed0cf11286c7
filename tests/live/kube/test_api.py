"""The API as kubectl's own configuration reaches it, and what it answers when something is wrong."""

import json
import sys
import threading
import time

import pytest
import yaml

from k8scap.errors import (
    ClusterUnreachableError,
    K8scapError,
    NotPermittedError,
    TargetNotFoundError,
    UsageError,
)
from k8scap.live.kube.api import Api, path

PODS = path("api", "v1", "namespaces", "shop", "pods")


def test_paths_hold_no_more_segments_than_they_are_given():
    assert path("api", "v1", "namespaces", "../secrets", "pods", "a/b?c#d") == (
        "/api/v1/namespaces/..%2Fsecrets/pods/a%2Fb%3Fc%23d"
    )


def test_lists_come_whole_however_many_pages(cluster, fresh, monkeypatch):
    monkeypatch.setattr("k8scap.live.kube.api._PAGE", 2)
    for n in range(5):
        cluster.apply(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"c{n}", "namespace": fresh}}
        )

    found, version = Api.connect().list(path("api", "v1", "namespaces", fresh, "configmaps"))

    assert sorted(obj["metadata"]["name"] for obj in found) == ["c0", "c1", "c2", "c3", "c4"]
    assert int(version) > 0


def test_several_kubeconfigs_and_a_context(cluster, tmp_path, monkeypatch):
    whole = yaml.safe_load(cluster.kubeconfig.read_text())
    users = {"apiVersion": "v1", "kind": "Config", "users": whole.pop("users")}
    whole["contexts"].append(
        {"name": "other", "context": {**whole["contexts"][0]["context"], "namespace": "team-b"}}
    )
    (tmp_path / "a").write_text(yaml.safe_dump(whole))
    (tmp_path / "b").write_text(yaml.safe_dump(users))
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/a:{tmp_path}/b:{tmp_path}/missing")

    assert Api.connect().namespace == "shop"
    other = Api.connect(context="other")
    assert (other.context, other.namespace) == ("other", "team-b")
    assert other.get("/version")["minor"] == "36"
    with pytest.raises(UsageError, match="no context 'nope', only tests, other"):
        Api.connect(context="nope")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "a: b: c", "\0", "contexts: 7\n", "current-context: x\ncontexts: []\n"]
)
def test_kubeconfigs_that_are_none(tmp_path, monkeypatch, text):
    (tmp_path / "config").write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))

    with pytest.raises(K8scapError) as caught:
        Api.connect()
    assert caught.value.next_step


def plugin_config(cluster, tmp_path, code):
    (tmp_path / "plugin.py").write_text(code)
    told = yaml.safe_load(cluster.kubeconfig.read_text())
    token = told["users"][0]["user"].pop("token")
    told["users"][0]["user"]["exec"] = {
        "apiVersion": "client.authentication.k8s.io/v1", "command": sys.executable,
        "args": [str(tmp_path / "plugin.py"), token], "interactiveMode": "Never",
    }  # fmt: skip
    (tmp_path / "config").write_text(yaml.safe_dump(told))
    return str(tmp_path / "config")


def test_a_credential_plugin(cluster, tmp_path, monkeypatch):
    code = """
import json, sys
print(json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
                  "status": {"token": sys.argv[1]}}))
"""
    monkeypatch.setenv("KUBECONFIG", plugin_config(cluster, tmp_path, code))
    pod = cluster.add_pod(f"web-{tmp_path.name[-4:].strip('_').lower()}x")

    api = Api.connect()
    assert api.get(path("api", "v1", "namespaces", "shop", "pods", pod.name))["metadata"]["uid"] == pod.uid
    from k8scap.live.kube.pod_runner import PodRunner

    done = PodRunner(api, namespace="shop", pod=pod.name, container="app").run(["cat", "/proc/self/comm"])
    assert done.stdout == b"cat\n"


def test_a_credential_plugin_that_fails(cluster, tmp_path, monkeypatch):
    monkeypatch.setenv(
        "KUBECONFIG", plugin_config(cluster, tmp_path, "import sys; sys.exit('please log in')")
    )

    with pytest.raises(NotPermittedError, match="please log in"):
        Api.connect()


def test_answers_that_are_no_success(cluster, tmp_path, monkeypatch):
    api = Api.connect()
    with pytest.raises(TargetNotFoundError, match='pods "nope" not found'):
        api.get(f"{PODS}/nope")
    cluster.faults(truncate="/pods")
    with pytest.raises(ClusterUnreachableError, match="not an API server's answer"):
        api.list(PODS)
    told = yaml.safe_load(cluster.kubeconfig.read_text())
    told["users"][0]["user"]["token"] = "wrong"  # noqa: S105
    (tmp_path / "config").write_text(yaml.safe_dump(told))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    with pytest.raises(NotPermittedError, match="does not accept these credentials"):
        Api.connect().get(f"{PODS}/nope")


def test_a_server_with_another_certificate_is_not_spoken_to(cluster, tmp_path, monkeypatch):
    import trustme

    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    told = yaml.safe_load(cluster.kubeconfig.read_text())
    told["clusters"][0]["cluster"]["certificate-authority"] = str(tmp_path / "ca.pem")
    (tmp_path / "config").write_text(yaml.safe_dump(told))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    started = time.monotonic()

    with pytest.raises(ClusterUnreachableError, match=r"(?i)certificate"):
        Api.connect().get("/version")
    with pytest.raises(ClusterUnreachableError, match=r"(?i)certificate"):
        Api.connect().websocket(f"{PODS}/x/exec", [("command", "true")])
    assert time.monotonic() - started < 5


def test_an_absence_of_some_seconds_is_waited_out(cluster):
    api = Api.connect()
    api.get("/version")
    cluster.faults(gone=3)
    time.sleep(0.3)

    assert api.get("/version")["minor"] == "36"


def test_a_watch_ends_when_it_is_closed(cluster, fresh):
    api = Api.connect()
    where = path("api", "v1", "namespaces", fresh, "configmaps")
    _, version = api.list(where)
    watch = api.watch(where, resource_version=version, seconds=60)
    seen = []
    thread = threading.Thread(target=lambda: seen.extend(watch), daemon=True)
    thread.start()
    cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": fresh}})
    time.sleep(0.3)
    watch.close()
    thread.join(5)

    assert not thread.is_alive()
    assert [(change, obj["metadata"]["name"]) for change, obj in seen] == [("ADDED", "c")]


def test_what_the_server_says_is_one_printable_line():
    from k8scap.live.kube import answers

    raw = json.dumps({"message": "no\n\x1b[31mway\x07 " + "x" * 5000}).encode()
    error = answers.error(403, raw, verb="GET", where=f"{PODS}/web")

    assert error.message.startswith("Not allowed: no [31mway x")
    assert error.message.isprintable()
    assert len(error.message) < 1100
    assert error.next_step == "kubectl auth can-i get pods -n shop"
