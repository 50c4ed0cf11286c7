"""A sidecar as a mesh has it: connections are redirected to a proxy beside the client, which may dawdle."""

from __future__ import annotations

import socket
import struct
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k8scap.errors import NotPermittedError
from k8scap.runner import LocalRunner

if TYPE_CHECKING:
    from collections.abc import Mapping

PORT = 15_001  # Envoy's for what leaves a pod
_MARK = 1337  # on the proxy's own connections: they are not redirected again
_SO_ORIGINAL_DST = 80  # linux/netfilter_ipv4.h
_PIECE = 65_536


@dataclass(frozen=True, kw_only=True)
class Sidecar:
    """Takes the namespace's connections to `port` over, and passes what they say on, `delay_ms` later.

    Only requests wait. Its log has a row a connection. Needs iptables with NAT (REDIRECT).
    """

    name: str
    port: int
    delay_ms: float

    def start(self, address: str, log: list[dict[str, Any]]) -> None:
        del address
        _redirect(self.port)
        listener = socket.create_server(("127.0.0.1", PORT), backlog=64)
        threading.Thread(target=self._accept, args=(listener, log), daemon=True).start()

    def _accept(self, listener: socket.socket, log: list[dict[str, Any]]) -> None:
        while True:
            near, peer = listener.accept()
            threading.Thread(target=self._join, args=(near, peer, log), daemon=True).start()

    def _join(self, near: socket.socket, peer: tuple[str, int], log: list[dict[str, Any]]) -> None:
        _, port, packed = struct.unpack("!HH4s8x", near.getsockopt(socket.SOL_IP, _SO_ORIGINAL_DST, 16))
        far = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        far.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, _MARK)
        target = (socket.inet_ntoa(packed), port)
        far.connect(target)
        row: dict[str, Any] = {"service": self.name, "client": peer[0], "client_port": peer[1]}
        row |= {"target": target[0], "target_port": port, "proxy_port": far.getsockname()[1], "pieces": 0}
        log.append(row)
        for one in (near, far):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        back = threading.Thread(target=_pass_on, args=(far, near, 0.0, {"pieces": 0}), daemon=True)
        back.start()
        _pass_on(near, far, self.delay_ms / 1000, row)
        back.join()
        near.close()
        far.close()


def _pass_on(source: socket.socket, sink: socket.socket, delay: float, row: dict[str, Any]) -> None:
    while piece := source.recv(_PIECE):
        time.sleep(delay)
        sink.sendall(piece)
        row["pieces"] += 1
    sink.shutdown(socket.SHUT_WR)


def _redirect(port: int) -> None:
    """Raises NotPermittedError where iptables cannot do NAT here, ToolMissingError where there is none."""
    rule = ["-A", "OUTPUT", "-p", "tcp", "--dport", str(port), "-m", "mark", "!", "--mark", str(_MARK)]
    done = LocalRunner().run(
        ["iptables", "-t", "nat", *rule, "-j", "REDIRECT", "--to-ports", str(PORT)], env=_OWN_LOCK
    )
    if done.returncode != 0:
        raise NotPermittedError(
            f"A sidecar's redirection cannot be made here: {done.error_text}",
            next_step="run the lab as root, on a kernel with iptable_nat or nf_tables.",
        )


_OWN_LOCK: Mapping[str, str] = {"XTABLES_LOCKFILE": "/dev/null"}  # the namespace is ours alone
