"""What a target's namespaces are, and what its network looks like from inside."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from k8scap.errors import ToolMissingError
from k8scap.live import targets
from k8scap.live.netns import Namespace, nsenter_argv, require_tools

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from k8scap.live.doors import Scope
    from k8scap.live.targets import Found
    from k8scap.runner import Runner

FILES = ("net", "mnt", "pid", "uts", "ipc", "user", "cgroup", "time")


@dataclass(frozen=True)
class NamespaceLink:
    """One of the target's namespaces: its inode, and whether it is another one than ours."""

    name: str
    inode: int
    differs: bool


@dataclass(frozen=True)
class NetworkInterface:
    """One of the target's interfaces, as `ip addr` tells of it.

    `addresses` bear their prefix length; `peer_index` is the ifindex of the other end (a veth's, or the
    device below a macvlan) in its own namespace, and `peer` its name where that is ours.
    """

    name: str
    index: int
    kind: str
    state: str
    mtu: int
    mac: str
    addresses: tuple[str, ...]
    peer_index: int | None = None
    peer: str = ""


@dataclass(frozen=True)
class Route:
    """A default route: `gateway` is empty where the interface itself is the way."""

    gateway: str
    interface: str


@dataclass(frozen=True, kw_only=True)
class Description:
    """A target seen from its namespaces: see `text` for people and `to_dict` for programs."""

    target: str
    pid: int | None
    process: str
    container_id: str
    container: str
    image: str
    namespaces: tuple[NamespaceLink, ...]
    interfaces: tuple[NetworkInterface, ...]
    default_routes: tuple[Route, ...]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    def text(self) -> str:
        """What one would read off `ip addr`, `ip route` and `ls -l /proc/PID/ns`."""
        return "\n".join([*self._head(), "", *self._namespace_lines(), "", *self._interface_lines()])

    def _head(self) -> Iterator[str]:
        yield self.target
        if self.container_id:
            image = f", image {self.image}" if self.image else ""
            yield f"  container  {self.container} ({self.container_id[:12]}){image}"
        if self.pid is not None:
            yield f"  process    {self.pid} ({self.process})"
        for note in self.notes:
            yield f"  note       {note}"

    def _namespace_lines(self) -> Iterator[str]:
        yield "namespaces"
        for link in self.namespaces:
            yield f"  {link.name:<8}{link.inode:<12}{'its own' if link.differs else 'the same as ours'}"

    def _interface_lines(self) -> Iterator[str]:
        yield "interfaces"
        width = max((len(interface.name) for interface in self.interfaces), default=0)
        for interface in self.interfaces:
            yield f"  {interface.name:<{width}}  {_one_line(interface)}"
            for address in interface.addresses:
                yield f"  {'':<{width}}    {address}"
        for route in self.default_routes:
            yield f"default route  {f'via {route.gateway} ' if route.gateway else ''}dev {route.interface}"
        if not self.default_routes:
            yield "default route  none"


def describe(target_text: str, *, scope: Scope | None = None, runner: Runner | None = None) -> Description:
    """Look at a target: its namespaces, interfaces, addresses and default routes.

    Raises TargetError and its kinds, NotPermittedError, ToolMissingError.
    """
    if runner is None:
        from k8scap.runner import LocalRunner

        runner = LocalRunner()
    target = targets.parse(target_text)
    require_tools(runner, "nsenter", "ip")
    found = targets.resolve(target, runner=runner, scope=scope)
    with Namespace.open(pid=found.pid, path=found.path) as namespace:
        described = _described(str(target), found, namespace, runner)
        namespace.verify()
    return described


def _described(text: str, found: Found, namespace: Namespace, runner: Runner) -> Description:
    about = found.target
    return Description(
        target=text,
        pid=found.pid,
        process="" if found.pid is None else _process_name(found.pid),
        container_id=about.get("container_id", ""),
        container=about.get("container_name", ""),
        image=about.get("image", ""),
        namespaces=tuple(_links(namespace)),
        interfaces=tuple(_interfaces(namespace, runner)),
        default_routes=tuple(_default_routes(namespace, runner)),
        notes=found.notes,
    )


def _process_name(pid: int) -> str:
    """As the process calls itself: it may call itself anything, so nothing that a terminal would obey."""
    try:
        name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
    return "".join(letter if letter.isprintable() else "?" for letter in name)


def _links(namespace: Namespace) -> Iterator[NamespaceLink]:
    if namespace.pid is None:
        yield NamespaceLink("net", namespace.inode, not namespace.is_own)
        return
    for name in FILES:
        theirs, ours = (_inode(Path(f"/proc/{who}/ns/{name}")) for who in (namespace.pid, "self"))
        if theirs is not None:
            yield NamespaceLink(name, theirs, theirs != ours)


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None


# ---- the network, by iproute2 ----


def _interfaces(namespace: Namespace, runner: Runner) -> Iterator[NetworkInterface]:
    entries = _ip(["-d", "addr", "show"], runner, namespace)
    linked = any("link_index" in entry for entry in entries)
    ours = {entry["ifindex"]: entry for entry in _ip(["link", "show"], runner)} if linked else {}
    for entry in entries:
        peer = entry.get("link_index")
        other_end = ours.get(peer, {})
        yield NetworkInterface(
            name=entry["ifname"],
            index=entry["ifindex"],
            kind=entry.get("linkinfo", {}).get("info_kind", entry.get("link_type", "")),
            state=_state(entry),
            mtu=entry["mtu"],
            mac=entry.get("address", ""),
            addresses=tuple(
                f"{a['local']}/{a['prefixlen']}" for a in entry.get("addr_info", ()) if "local" in a
            ),
            peer_index=peer,
            peer=other_end["ifname"] if other_end.get("link_index") == entry["ifindex"] else "",
        )


def _state(entry: dict[str, Any]) -> str:
    """Loopback and TUN devices have no carrier to tell of: the kernel says UNKNOWN while they are up."""
    if entry["operstate"] != "UNKNOWN":
        return str(entry["operstate"])
    return "UP" if "UP" in entry.get("flags", ()) else "DOWN"


def _one_line(interface: NetworkInterface) -> str:
    words = [interface.state, interface.kind, f"mtu {interface.mtu}", interface.mac]
    if interface.peer_index is not None:
        words.append(
            f"other end: {interface.peer or 'ifindex'}{'' if interface.peer else f' {interface.peer_index}'}"
        )
    return "  ".join(word for word in words if word)


def _default_routes(namespace: Namespace, runner: Runner) -> Iterator[Route]:
    for family in ("-4", "-6"):
        for route in _ip([family, "route", "show", "default"], runner, namespace):
            if "dev" in route:
                yield Route(route.get("gateway", ""), route["dev"])


def _ip(words: Sequence[str], runner: Runner, namespace: Namespace | None = None) -> list[dict[str, Any]]:
    argv = ["ip", "-j", *words]
    inside = argv if namespace is None else nsenter_argv(namespace, argv)
    done = runner.run(inside, pass_fds=() if namespace is None else (namespace.fd,))
    try:
        answer = json.loads(done.stdout or b"[]") if done.returncode == 0 else None
    except ValueError:
        answer = None
    if not isinstance(answer, list):
        raise ToolMissingError(
            "ip",
            message=f"{' '.join(argv)} failed: {done.error_text or 'it gave no JSON'}.",
            next_step="ip -V (an iproute2 with -j is needed, from 4.13)",
        )
    return [entry for entry in answer if entry]
