"""What goes wrong between here and the pod: a clear end, what came is kept, and the manifest says so."""

import subprocess
import threading
import time

import pytest

import k8scap
from k8scap.errors import (
    CaptureBrokenError,
    ClusterUnreachableError,
    ConnectionLostError,
    NotPermittedError,
    TargetNotFoundError,
)


def records_by_tshark(path):
    """tshark's own count; it exits with 0 only where the file is whole."""
    argv = ["tshark", "-n", "-r", str(path), "-T", "fields", "-e", "frame.number"]
    done = subprocess.run(argv, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr
    return len(done.stdout.split())


@pytest.fixture
def busy(talk):
    """The two pods talk all the time."""
    until = threading.Event()
    thread = talk.keep_asking(until)
    yield talk
    until.set()
    thread.join(10)


@pytest.fixture
def watch(busy, tmp_path):
    def start(**options):
        given = {"namespace": busy.server.namespace, "via": "node-pod", "output": tmp_path, "name": "x"}
        return k8scap.watch("server", **{**given, **options})

    return start


def helpers(cluster):
    names = [pod["metadata"]["name"] for pod in cluster.all("pods")]
    return [name for name in names if name.startswith("k8scap-")]


def the_manifest(live, tmp_path):
    """On disk and in memory the same story; and the file is whole, with as many records as are told."""
    (manifest,) = live.manifests
    assert records_by_tshark(tmp_path / "x.pcap") == manifest.counters.on_disk
    return manifest


def test_a_socket_cut_in_the_middle_of_a_frame(cluster, watch, tmp_path):
    cluster.faults(execs=[{"kind": "cut", "command": "-w", "after": 60_000}])
    live = watch(seconds=30)
    started = time.monotonic()

    with pytest.raises(ConnectionLostError, match="broke off") as caught:
        live.result()

    assert time.monotonic() - started < 20
    manifest = the_manifest(live, tmp_path)
    assert (manifest.state, manifest.ended_by) == ("incomplete", "connection-lost")
    assert manifest.counters.on_disk > 0
    assert caught.value.files == (str(tmp_path / "x.pcap"),)


def test_the_status_comes_but_the_socket_stays(cluster, watch, tmp_path):
    cluster.faults(execs=[{"kind": "status-without-close", "command": "-w", "seconds": 60}])
    live = watch(seconds=1)
    started = time.monotonic()

    live.result()

    assert time.monotonic() - started < 10
    assert the_manifest(live, tmp_path).state == "complete"


def test_the_socket_closes_without_a_status(cluster, watch, tmp_path):
    cluster.faults(execs=[{"kind": "close-without-status", "command": "-w"}])
    live = watch(seconds=1)
    live.result()

    # tcpdump had said its last word, and every packet that it counted is here
    manifest = the_manifest(live, tmp_path)
    assert manifest.state == "complete"
    assert manifest.counters.captured == manifest.counters.on_disk
    assert any("broke off" in note for note in manifest.notes)


def test_the_v4_protocol(cluster, watch, tmp_path):
    cluster.faults(only_v4=True)
    live = watch(seconds=1)
    live.result()

    assert the_manifest(live, tmp_path).state == "complete"


@pytest.mark.parametrize("denied", ["get pods", "create pods", "create pods/exec", "get pods/exec"])
def test_a_verb_that_is_denied(cluster, watch, tmp_path, denied):
    verb, resource = denied.split()
    cluster.faults(forbidden=[[verb, resource]])

    with pytest.raises(NotPermittedError) as caught:
        watch(seconds=1)

    assert f'cannot {verb} resource "{resource}"' in caught.value.message
    assert caught.value.exit_code == 4
    assert list(tmp_path.glob("x*")) == []


def test_a_pod_that_is_not_there(cluster, fresh, tmp_path):
    cluster.add_pod("checkout-7d9f", namespace=fresh)

    with pytest.raises(TargetNotFoundError) as caught:
        k8scap.capture("checkout", namespace=fresh, seconds=1, output=tmp_path)

    assert caught.value.message == f"There is no pod checkout in {fresh}; there is checkout-7d9f."


@pytest.mark.parametrize("via", ["node-pod", "exec"])
def test_the_pod_is_deleted_meanwhile(cluster, busy, watch, tmp_path, via):
    live = watch(seconds=60, via=via)
    time.sleep(1.5)
    cluster.delete_pod(busy.server)
    started = time.monotonic()

    live.result()

    assert time.monotonic() - started < 20
    manifest = the_manifest(live, tmp_path)
    assert manifest.ended_by == "target-gone"
    assert any("was deleted" in note for note in manifest.notes)
    assert manifest.counters.on_disk > 0


def test_a_container_that_restarts_does_not_end_a_capture_from_the_node(cluster, busy, watch, tmp_path):
    live = watch(seconds=4)
    time.sleep(1)
    before = busy.server.containers["app"]["id"]
    cluster.restart_container(busy.server, "app")
    live.result()

    assert busy.server.containers["app"]["id"] != before
    manifest = the_manifest(live, tmp_path)
    assert (manifest.state, manifest.ended_by) == ("complete", "seconds")


def test_a_container_that_restarts_ends_a_capture_that_ran_in_it(cluster, busy, watch, tmp_path):
    live = watch(seconds=30, via="exec")
    time.sleep(1.5)
    cluster.restart_container(busy.server, "app")

    with pytest.raises(CaptureBrokenError):
        live.result()

    manifest = the_manifest(live, tmp_path)
    assert manifest.state == "incomplete"
    assert manifest.ended_by == "tcpdump-ended"


def test_a_connection_that_is_slow_loses_nothing_in_silence(cluster, watch, tmp_path):
    cluster.faults(execs=[{"kind": "slow", "command": "-w", "rate": 60_000}])
    live = watch(seconds=2)
    live.result()

    manifest = the_manifest(live, tmp_path)
    assert manifest.state == "incomplete"
    assert any("were not read" in note for note in manifest.notes)


def test_the_api_server_is_away_for_ten_seconds(cluster, watch, tmp_path):
    live = watch(seconds=60)
    time.sleep(1.5)
    cluster.faults(gone=10)

    with pytest.raises(ConnectionLostError):
        live.result()

    manifest = the_manifest(live, tmp_path)
    assert (manifest.state, manifest.ended_by) == ("incomplete", "connection-lost")
    assert helpers(cluster) == []


def test_an_exec_that_is_refused(cluster, watch, tmp_path):
    cluster.faults(execs=[{"kind": "refuse", "code": 500, "command": "-w"}])

    with pytest.raises(ClusterUnreachableError, match="500"):
        watch(seconds=1)

    assert list(tmp_path.glob("x*")) == []


def test_no_api_server_at_all(tmp_path, monkeypatch):
    text = (
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\n"
        "users: [{name: u, user: {token: t}}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n"
    )
    (tmp_path / "kubeconfig").write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))

    with pytest.raises(ClusterUnreachableError, match="does not answer") as caught:
        k8scap.capture("web", seconds=1, output=tmp_path)

    assert caught.value.next_step
    assert [path.name for path in tmp_path.iterdir()] == ["kubeconfig"]
