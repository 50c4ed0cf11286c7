"""The test cluster, once for all tests of a session; a namespace and a kubeconfig for each test."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cluster as clusters
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def whole_cluster() -> Iterator[clusters.Cluster]:
    with clusters.running() as c:
        c.add_namespace("k8scap", **{"pod-security.kubernetes.io/enforce": "privileged"})
        yield c


@pytest.fixture
def cluster(whole_cluster: clusters.Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[clusters.Cluster]:
    """The cluster, without faults, as its admin."""
    monkeypatch.setenv("KUBECONFIG", str(whole_cluster.kubeconfig))
    for name in ("K8SCAP_IMAGE", "K8SCAP_MIRROR", "K8SCAP_PULL_SECRETS", "K8SCAP_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    yield whole_cluster
    whole_cluster.no_faults()
    left = [
        p["metadata"]["name"] for p in whole_cluster.all("pods") if p["metadata"]["namespace"] == "k8scap"
    ]
    for name in left:
        with contextlib.suppress(AssertionError):  # it is on its way out
            whole_cluster.control("delete_pod", namespace="k8scap", name=name, grace=0)


@pytest.fixture
def fresh(cluster: clusters.Cluster) -> str:
    """A namespace of the test's own."""
    return cluster.add_namespace(f"t-{secrets.token_hex(4)}")


@dataclass
class Talk:
    """Two pods: a web server, and a client that asks it."""

    server: Any
    client: Any
    asked: int = 0

    def ask(self, times: int = 1) -> None:
        for _ in range(times):
            self._ask(check=True)
            self.asked += 1

    def _ask(self, *, check: bool) -> None:
        url = f"http://{self.server.ip}:8080/page"
        self.client.run("busybox", "wget", "-q", "-O", "/dev/null", url, check=check, timeout=3)

    def keep_asking(self, until: threading.Event) -> threading.Thread:
        def work() -> None:
            while not until.is_set():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._ask(check=False)
                until.wait(0.02)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return thread


@pytest.fixture
def talk(cluster: clusters.Cluster, fresh: str, tmp_path: Path) -> Talk:
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "page").write_bytes(b"k8scap" * 1000)
    server = cluster.add_pod("server", namespace=fresh, node="node-1")
    client = cluster.add_pod("client", namespace=fresh, node="node-2")
    server.start("busybox", "httpd", "-f", "-p", "8080", "-h", str(pages))
    server.run("sh", "-c", "until ss -Htln | grep -q :8080; do sleep 0.02; done", timeout=10)
    return Talk(server, client)
