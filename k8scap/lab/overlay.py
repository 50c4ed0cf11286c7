"""A VXLAN tunnel between two nodes, through which their pods reach one another. Linux: ip-link(8), RFC 7348.

The outer datagram has no checksum, as RFC 7348 recommends: what is damaged inside reaches the pod.
"""

from __future__ import annotations

from dataclasses import dataclass

from k8scap.errors import NotPermittedError
from k8scap.runner import LocalRunner

PORT = 4789
_DEVICE = "vxlan.lab"
_MAC = "02:00:00:00:%02x:%02x"


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """One end: this node's address on the link, the other's, and that of the pod which hangs there."""

    vni: int
    local: str
    remote: str
    remote_pod: str

    def set_up(self) -> None:
        """Make the device in this process's namespace, and lead the pod's address there, without ARP."""
        peer = _mac(self.remote)
        ends = f"local {self.local} remote {self.remote} dstport {PORT} nolearning noudpcsum"
        commands = (
            f"link add {_DEVICE} address {_mac(self.local)} type vxlan id {self.vni} {ends}",
            f"link set dev {_DEVICE} up",
            f"route add {self.remote_pod}/32 dev {_DEVICE}",
            f"neighbour add {self.remote_pod} lladdr {peer} dev {_DEVICE} nud permanent",
        )
        done = LocalRunner().run(["ip", "-batch", "-"], stdin="\n".join(commands).encode())
        if done.returncode != 0:
            raise NotPermittedError(
                f"The lab's VXLAN tunnel cannot be set up: {done.error_text}",
                next_step="run the lab as root, on a kernel with vxlan.",
            )


def _mac(address: str) -> str:
    return _MAC % tuple(int(part) for part in address.split(".")[2:])
