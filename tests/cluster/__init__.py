"""A small Kubernetes cluster for tests, real where it matters.

The API server is emulated (TLS, objects, watches, RBAC, Pod Security, websocket exec); pods are real
processes in real network namespaces, so that the real client, the real protocol, nsenter and tcpdump are
what is tested.

    with cluster.running() as c:
        pod = c.add_pod("web")
        ... c.kubeconfig ...
        pod.run("ss", "-tln")
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TESTS = Path(__file__).resolve().parents[1]
PREFIX = "kcluster"  # of no other test's names
CRASHING = "tests/crashing"
IMAGE = "k8scap/k8scap-helper:0.1.0"


class PodHandle:
    """A pod of the cluster: where it is, and commands of this machine in its network."""

    def __init__(self, cluster: Cluster, raw: dict[str, Any]) -> None:
        self._cluster = cluster
        self.namespace = raw["metadata"]["namespace"]
        self.name = raw["metadata"]["name"]
        self.uid = raw["metadata"]["uid"]
        self._processes: list[subprocess.Popen] = []
        self._there = cluster.control("sandbox", uid=self.uid)
        self.ip = self._there["ip"]
        self.netns = Path("/run/netns") / self._there["netns"]

    @property
    def raw(self) -> dict[str, Any]:
        return self._cluster.control(
            "get", group="", resource="pods", namespace=self.namespace, name=self.name
        )

    @property
    def containers(self) -> dict[str, dict[str, Any]]:
        """Name → {"id": 64 digits, "pid": its first process on this machine}."""
        return self._cluster.control("sandbox", uid=self.uid)["containers"]

    @property
    def execs(self) -> list[int]:
        """The PIDs of all that was exec'd in its containers and still runs."""
        return self._cluster.control("processes", uid=self.uid)

    def run(self, *argv: str, **options: Any) -> subprocess.CompletedProcess[str]:
        inside = ["nsenter", f"--net={self.netns}", "--", *argv]
        options = {"capture_output": True, "text": True, "timeout": 60, **options}
        return subprocess.run(inside, check=options.pop("check", True), **options)

    def start(self, *argv: str, **options: Any) -> subprocess.Popen[Any]:
        """Ended with the cluster."""
        inside = ["setpriv", "--pdeathsig", "KILL", "--", "nsenter", f"--net={self.netns}", "--", *argv]
        process = subprocess.Popen(inside, **{"stdin": subprocess.DEVNULL, **options})
        self._cluster.started.append(process)
        return process


class Cluster:
    """The handle: what a test does with the cluster; see `running`."""

    def __init__(self, folder: Path, run: str) -> None:
        self.folder = folder
        self.run = run
        self.started: list[subprocess.Popen] = []
        self._admin = secrets.token_hex(16)
        self._make_certificates()
        (folder / "users.json").write_text(json.dumps({self._admin: ["admin", ["system:masters"]]}))
        self._log = (folder / "log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cluster", str(folder), run],
            stdin=subprocess.PIPE, stdout=self._log, stderr=self._log, cwd=TESTS,
            env={**os.environ, "PYTHONPATH": str(TESTS)},
        )  # fmt: skip
        self.port = int(self._await_port())
        self.kubeconfig = self._kubeconfig("admin", self._admin)
        self.add_namespace("shop")

    # ---- objects ----

    def control(self, what: str, **arguments: Any) -> Any:
        """Ask the cluster's process, past its API."""
        context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=60)
        with contextlib.closing(connection):
            connection.request("POST", f"/_control/{what}", body=json.dumps(arguments))
            answer = connection.getresponse()
            text = answer.read().decode()
        assert answer.status == 200, f"{what}: {text}\n{(self.folder / 'log').read_text()[-2000:]}"
        return json.loads(text)

    def apply(self, *objects: dict[str, Any] | str | Path) -> None:
        """Objects, or YAML: text, or a file of it."""
        for obj in objects:
            if isinstance(obj, dict):
                self.control("apply", obj=obj)
            else:
                text = obj.read_text() if isinstance(obj, Path) else obj
                self.apply(*[part for part in yaml.safe_load_all(text) if part])

    def add_namespace(self, name: str, **labels: str) -> str:
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        return name

    def add_node(self, name: str, *, os: str = "linux", zone: str = "zone-a") -> str:
        """Its address."""
        labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": os, "topology.kubernetes.io/zone": zone}
        info = {
            "operatingSystem": os, "architecture": "amd64", "kubeletVersion": "v1.36.2",
            "containerRuntimeVersion": "containerd://1.6.20", "kernelVersion": "6.18.0", "osImage": "Debian",
        }  # fmt: skip
        ready = [{"type": "Ready", "status": "True"}]
        obj = {
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "spec": {},
            "status": {"nodeInfo": info, "conditions": ready},
        }  # fmt: skip
        return self.control("node", name=name, obj=obj)

    def add_pod(
        self,
        name: str,
        *,
        namespace: str = "shop",
        node: str | None = None,
        containers: dict[str, dict[str, Any]] | Sequence[str] = ("app",),
        labels: dict[str, str] | None = None,
        owner: tuple[str, str] | None = None,
        annotations: dict[str, str] | None = None,
        wait: bool = True,
        **spec: Any,
    ) -> PodHandle:
        """A pod; `containers` are names, or names and what their specs have besides."""
        given = containers if isinstance(containers, dict) else {name: {} for name in containers}
        metadata: dict[str, Any] = {
            "name": name,
            "namespace": namespace,
            "labels": labels or {},
            "annotations": annotations or {},
        }
        if owner:
            metadata["ownerReferences"] = [
                {"apiVersion": "apps/v1", "kind": owner[0], "name": owner[1], "controller": True, "uid": "0"}
            ]
        declared = [
            {"name": n, "image": f"{n}:1", "command": ["sleep", "infinity"], **more}
            for n, more in given.items()
        ]
        whole = {
            "containers": declared,
            "restartPolicy": "Always",
            **({"nodeName": node} if node else {}),
            **spec,
        }
        self.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": whole})
        if wait:
            self.await_phase(namespace, name, "Running")
        return PodHandle(self, self._pod(namespace, name)) if wait else None

    def add_deployment(
        self, name: str, replicas: int, *, namespace: str = "shop", **pod: Any
    ) -> list[PodHandle]:
        labels = {"app": name}
        selector = {"matchLabels": labels}
        template = secrets.token_hex(4)
        metadata = {"name": name, "namespace": namespace, "labels": labels}
        spec = {"replicas": replicas, "selector": selector, "template": {}}
        self.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})
        owned = {
            **metadata,
            "name": f"{name}-{template}",
            "labels": {**labels, "pod-template-hash": template},
        }
        self.apply({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": owned, "spec": spec})
        names = [f"{name}-{template}-{secrets.token_hex(3)[:5]}" for _ in range(replicas)]
        for one in names:
            self.add_pod(
                one, namespace=namespace, labels={**labels, "pod-template-hash": template},
                owner=("ReplicaSet", f"{name}-{template}"), wait=False, **pod,
            )  # fmt: skip
        for one in names:
            self.await_phase(namespace, one, "Running")
        return [PodHandle(self, self._pod(namespace, one)) for one in names]

    def add_service(
        self,
        name: str,
        selector: dict[str, str] | None,
        *,
        namespace: str = "shop",
        ip: str = "",
        port: int = 80,
    ) -> None:
        spec = {
            "selector": selector,
            "ports": [{"port": port}],
            "clusterIP": ip,
            "clusterIPs": [ip] if ip else [],
        }
        self.apply({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace},
            "spec": {key: value for key, value in spec.items() if value},
        })  # fmt: skip

    def add_image(
        self, name: str, tools: Sequence[str] | None = None, *, missing: bool = False, busybox: bool = False
    ) -> str:
        """What an image has: all commands of this machine (None), or those named; or it cannot be pulled.

        With `busybox` the commands are its applets, as in Alpine's images, but for tcpdump.
        """
        listed = None if tools is None else list(tools)
        self.control("image", name=name, tools=listed, missing=missing, busybox=busybox)
        return name

    def add_user(self, name: str, *groups: str) -> Path:
        """A user without any right but those that RBAC objects give; the kubeconfig."""
        token = secrets.token_hex(16)
        self.control("user", token=token, name=name, groups=list(groups))
        return self._kubeconfig(name, token)

    def delete_pod(self, pod: PodHandle, *, grace: float = 0.1) -> None:
        self.control("delete_pod", namespace=pod.namespace, name=pod.name, grace=grace)

    def restart_container(self, pod: PodHandle, container: str) -> None:
        self.control("restart", namespace=pod.namespace, name=pod.name, container=container)

    def all(self, resource: str, group: str = "") -> list[dict[str, Any]]:
        return self.control("all", group=group, resource=resource)

    # ---- what goes wrong, and what has happened ----

    def faults(self, **changes: Any) -> None:
        """See `cluster.faults.Faults`; and `gone`: seconds for which the API server is away."""
        self.control("faults", **changes)

    def no_faults(self) -> None:
        self.faults(execs=[], forbidden=[], latency=0, truncate="", only_v4=False, expired=0)
        for image in ("", IMAGE):
            self.add_image(image)

    def stick(self, node: str, *, stuck: bool = True) -> None:
        """A node whose kubelet does nothing any more."""
        self.control("stuck", node=node, stuck=stuck)

    def requests(self) -> list[dict[str, Any]]:
        """Every request: time, method, path, query, user, status."""
        return self.control("log")["requests"]

    def exec_argvs(self) -> list[list[str]]:
        return self.control("log")["execs"]

    def await_phase(self, namespace: str, name: str, phase: str, *, seconds: float = 10) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            pod = self._pod(namespace, name)
            if pod and pod["status"].get("phase") == phase:
                return
            time.sleep(0.01)
        log = (self.folder / "log").read_text()[-2000:]
        raise AssertionError(f"{namespace}/{name} is not {phase}: {self._pod(namespace, name)}\n{log}")

    def close(self) -> None:
        for process in self.started:
            process.kill()
            process.wait()
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self._log.close()
        remove_leftovers(self.run)

    def _pod(self, namespace: str, name: str) -> dict[str, Any] | None:
        return self.control("get", group="", resource="pods", namespace=namespace, name=name)

    def _make_certificates(self) -> None:
        import trustme

        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.folder / "ca.pem")
        authority.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(
            self.folder / "server.pem"
        )

    def _await_port(self) -> str:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.process.poll() is None:
            if (self.folder / "port").exists():
                return (self.folder / "port").read_text()
            time.sleep(0.02)
        raise RuntimeError(f"the cluster did not start: {(self.folder / 'log').read_text()[-3000:]}")

    def _kubeconfig(self, name: str, token: str) -> Path:
        path = self.folder / f"kubeconfig-{name}-{secrets.token_hex(3)}"
        path.write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "tests",
            "clusters": [{"name": "tests", "cluster": {
                "server": f"https://127.0.0.1:{self.port}",
                "certificate-authority": str(self.folder / "ca.pem"),
            }}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [
                {"name": "tests", "context": {"cluster": "tests", "user": name, "namespace": "shop"}},
            ],
        }))  # fmt: skip
        return path


@contextlib.contextmanager
def running(*, nodes: Sequence[str] = ("node-1", "node-2")) -> Iterator[Cluster]:
    """A cluster of its own, and nothing of it afterwards."""
    remove_leftovers()
    folder = Path(tempfile.mkdtemp(prefix="k8scap-cluster-"))
    cluster = Cluster(folder, f"{PREFIX}{os.getpid()}-{secrets.token_hex(2)}")
    try:
        for index, node in enumerate(nodes):
            cluster.add_node(node, zone=f"zone-{'abcdef'[index]}")
        yield cluster
    finally:
        cluster.close()
        shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(run: str = "") -> None:
    """Network namespaces of a run, or of runs whose process has gone; and who is in them."""
    for path in Path("/run/netns").glob(f"{PREFIX}*"):
        owner = path.name.removeprefix(PREFIX).partition("-")[0]
        if path.name.startswith(run) if run else not Path(f"/proc/{owner}").exists():
            listed = subprocess.run(
                ["ip", "netns", "pids", path.name], check=False, capture_output=True, text=True
            )
            for pid in listed.stdout.split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            subprocess.run(["ip", "netns", "delete", path.name], check=False, capture_output=True)
