"""A veth pair: how a pod hangs on its node. Linux: veth(4).

Unlike a TUN device it has offload: what a pod sends is captured before any checksum is computed, and in
pieces of up to 64 KiB, as on most nodes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.errors import NotPermittedError
from k8scap.lab.tun import INTERFACE, MTU, PREFIX, set_up_host
from k8scap.runner import LocalRunner

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NODE_SETTINGS = {
    "net.ipv4.ip_forward": "1",
    "net.ipv4.conf.all.proxy_arp": "1",  # the pod takes the whole network for its own, as Calico's does
    "net.ipv6.conf.default.disable_ipv6": "1",
}
"""Sysctls that a host must have that pods hang on."""


def hang_on(node: int, address: str, *, settings: Mapping[str, str] | None = None) -> None:
    """Make `eth0` in this process's namespace, its other end in that of the process `node`; set both up."""
    other = f"veth{address.rpartition('.')[2]}"
    pair = f"link add {INTERFACE} mtu {MTU} type veth peer name {other} mtu {MTU} netns {node}"
    _ip([], [pair])
    set_up_host(settings)
    _ip(
        [],
        [
            "link set dev lo up",
            f"link set dev {INTERFACE} up",
            f"address add {address}/{PREFIX} dev {INTERFACE}",
        ],
    )
    _ip(
        ["nsenter", f"--net=/proc/{node}/ns/net"],
        [f"link set dev {other} up", f"route add {address}/32 dev {other}"],
    )


def _ip(where: Sequence[str], commands: Sequence[str]) -> None:
    done = LocalRunner().run([*where, "ip", "-batch", "-"], stdin="\n".join(commands).encode())
    if done.returncode != 0:
        raise NotPermittedError(
            f"The lab's veth pair cannot be set up: {done.error_text}", next_step="run the lab as root."
        )
