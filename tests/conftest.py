"""What several tests share: a Docker engine, an image and a network for it; network namespaces."""

from __future__ import annotations

import contextlib
import io
import json
import secrets
import shutil
import subprocess
import tarfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dockerd
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import docker
    from docker.models.containers import Container
    from docker.models.networks import Network

BUSYBOX = Path("/bin/busybox")
LABEL = "k8scap-tests"
RUN = secrets.token_hex(3)
"""Part of every name that this run of the tests gives out, so that two runs do not meet."""


# ---- which tests run beside others ----

MACHINE = ("kube", "live", "lab")
"""Folders, the innermost first, whose tests share the kernel, an engine, a cluster; mostly they wait."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which tests compute, which use the machine (one worker for a folder), and which run alone.

    The longest come first: no worker waits for another in the end.
    """
    for item in items:
        where = item.path.relative_to(Path(__file__).parent).parts[:-1]
        group = next((folder for folder in MACHINE if folder in where), "root")
        if "browser" in where or item.get_closest_marker("alone"):
            item.add_marker("alone")
        elif group != "root" or item.get_closest_marker("root") or item.get_closest_marker("docker"):
            item.add_marker("machine")
            item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: item.get_closest_marker("longest") is None)


# ---- network namespaces ----


@dataclass
class NetworkNamespace:
    """A named network namespace with lo up; what it started is ended with it."""

    name: str
    _processes: list[subprocess.Popen[Any]] = field(default_factory=list)

    @property
    def path(self) -> Path:
        return Path("/run/netns") / self.name

    def run(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        inside = ["ip", "netns", "exec", self.name, *argv]
        return subprocess.run(inside, check=check, capture_output=True, text=True, timeout=60)

    def start(self, *argv: str, **options: Any) -> subprocess.Popen[Any]:
        """Start a command in it, and wait until it is there (nsenter becomes it: the PID is its own)."""
        inside = ["nsenter", f"--net={self.path}", "--", *argv]
        process = subprocess.Popen(inside, **{"stdin": subprocess.DEVNULL, **options})
        self._processes.append(process)
        entered = Path(f"/proc/{process.pid}/ns/net")
        while process.poll() is None and entered.stat().st_ino != self.path.stat().st_ino:
            time.sleep(0.002)
        return process

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        subprocess.run(["ip", "netns", "delete", self.name], check=True, capture_output=True)


@pytest.fixture
def new_namespace() -> Iterator[Callable[[], NetworkNamespace]]:
    """Makes network namespaces, as many as asked for, and deletes them in the end."""
    with contextlib.ExitStack() as stack:

        def make() -> NetworkNamespace:
            name = f"k8scap-{RUN}-{secrets.token_hex(2)}"
            subprocess.run(["ip", "netns", "add", name], check=True)
            namespace = NetworkNamespace(name)
            stack.callback(namespace.close)
            namespace.run("ip", "link", "set", "lo", "up")
            return namespace

        yield make


@pytest.fixture
def namespace(new_namespace: Callable[[], NetworkNamespace]) -> NetworkNamespace:
    """A network namespace of the test's own."""
    return new_namespace()


# ---- Docker ----


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[docker.DockerClient]:
    """A client of the engine that answers, or of one started for this run (DOCKER_HOST points to it)."""
    client = dockerd.connect()
    if client is not None:
        yield client
        _remove_what_is_ours(client)
        client.close()
        return
    for tool in ("dockerd", "containerd", "setpriv"):
        if shutil.which(tool) is None:
            pytest.fail(f"No Docker engine answers and {tool} is not installed: apt-get install docker.io")
    engine = dockerd.Dockerd()
    try:
        client = engine.start()
    except RuntimeError as error:
        pytest.fail(str(error))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", engine.host)
        yield client
    _remove_what_is_ours(client)
    client.close()
    engine.stop()


@pytest.fixture(scope="session")
def busybox_image(docker_engine: docker.DockerClient) -> Iterator[str]:
    """An image of nothing but Debian's static busybox, its applets and two pages under /www; no pull."""
    if not BUSYBOX.exists() or b"/ld-linux" in BUSYBOX.read_bytes()[:4096]:
        pytest.fail(f"{BUSYBOX} must be the static busybox: apt-get install busybox-static")
    tag = f"k8scap-busybox:{RUN}"
    repository, _, version = tag.partition(":")
    docker_engine.api.import_image_from_data(_busybox_tar(), repository=repository, tag=version)
    yield tag
    docker_engine.images.remove(tag, force=True)


def _busybox_tar() -> bytes:
    applets = subprocess.run([str(BUSYBOX), "--list"], check=True, capture_output=True, text=True).stdout
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder in ("bin", "tmp", "www"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        tar.add(BUSYBOX, arcname="bin/busybox")
        for applet in set(applets.split()) - {"busybox"}:
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
        for page, content in {"www/small": b"here\n", "www/large": b"0123456789abcdef" * 8192}.items():
            entry = tarfile.TarInfo(page)
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture(scope="session")
def docker_network(docker_engine: docker.DockerClient) -> Iterator[Network]:
    """A bridge network with a subnet of 198.18.0.0/15 that nothing here uses."""
    from docker.types import IPAMConfig, IPAMPool

    bridge = f"k8scap-{RUN}"
    network = docker_engine.networks.create(
        f"k8scap-net-{RUN}",
        driver="bridge",
        ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=_free_subnet())]),
        options={"com.docker.network.bridge.name": bridge},
        labels={LABEL: RUN},
    )
    with _forwarding(bridge):
        yield network
    for container in docker_engine.containers.list(all=True, filters={"label": f"{LABEL}={RUN}"}):
        container.remove(force=True)
    network.remove()


def _free_subnet() -> str:
    routes = subprocess.run(["ip", "-j", "route"], check=True, capture_output=True, text=True).stdout
    taken = {str(route["dst"]) for route in json.loads(routes)}
    free = (f"198.19.{third}.0/24" for third in range(100, 250))
    return secrets.choice([subnet for subnet in free if subnet not in taken])


@contextlib.contextmanager
def _forwarding(bridge: str) -> Iterator[None]:
    """Let the bridge pass where a firewall (or an engine that is gone) left FORWARD at DROP."""
    rule = ["FORWARD", "-i", bridge, "-o", bridge, "-j", "ACCEPT"]
    if shutil.which("iptables") is None or "-P FORWARD DROP" not in _forward_rules():
        yield
        return
    subprocess.run(["iptables", "-I", *rule], check=True)
    try:
        yield
    finally:
        subprocess.run(["iptables", "-D", *rule], check=True)


def _forward_rules() -> str:
    return subprocess.run(["iptables", "-S", "FORWARD"], check=False, capture_output=True, text=True).stdout


@pytest.fixture
def run_container(
    docker_engine: docker.DockerClient, busybox_image: str, docker_network: Network
) -> Iterator[Callable[..., Container]]:
    """Runs containers from busybox in the tests' network; they are removed when the test ends."""
    started: list[Container] = []

    def run(name: str, *command: str, labels: dict[str, str] | None = None, **options: Any) -> Container:
        if "network_mode" not in options:
            options["network"] = docker_network.name
        container = docker_engine.containers.create(
            busybox_image,
            list(command) or ["/bin/sleep", "1000"],
            name=f"{name}-{RUN}",
            labels={LABEL: RUN, **(labels or {})},
            **options,
        )
        started.append(container)
        container.start()
        return _reloaded(container)

    yield run
    for container in started:
        container.remove(force=True)


def _reloaded(container: Container) -> Container:
    """With its addresses and PID, which the engine knows only once it runs."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        container.reload()
        if container.status != "created":
            break
        time.sleep(0.05)
    return container


def _remove_what_is_ours(client: docker.DockerClient) -> None:
    ours = {"label": f"{LABEL}={RUN}"}
    for container in client.containers.list(all=True, filters=ours):
        container.remove(force=True)
    for network in client.networks.list(filters=ours):
        network.remove()
