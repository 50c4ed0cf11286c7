"""Conversations made by hand that say something: bytes in turns, over TCP, cut into segments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scapy.layers.inet import IP, TCP
from scapy.packet import Raw
from wire import CLIENT, SERVER, Wire

if TYPE_CHECKING:
    from collections.abc import Iterator

MSS = 1448


@dataclass
class Talk:
    """A TCP connection on a wire; times are milliseconds since its start. Handshake at 0, 1 ms apart."""

    wire: Wire
    client_port: int
    server_port: int = 80
    client: str = CLIENT
    server: str = SERVER
    _sent: dict[str, int] = field(default_factory=lambda: {"client": 0, "server": 0})

    def __post_init__(self) -> None:
        self._put(0, "client", "S")
        self._put(1, "server", "SA")
        self._put(1, "client", "A")

    def ask(self, at: float, data: bytes, *, mss: int = MSS) -> int:
        """The client's bytes; gives the number of the frame that ends them."""
        return self._say(at, "client", data, mss)

    def answer(self, at: float, data: bytes, *, mss: int = MSS) -> int:
        """The server's bytes; gives the number of the frame that begins them."""
        first = len(self.wire.frames) + 1
        self._say(at, "server", data, mss)
        return first

    def lose(self, sender: str, size: int) -> None:
        """Bytes that were sent, and not captured."""
        self._sent[sender] += size

    def _say(self, at: float, sender: str, data: bytes, mss: int) -> int:
        for piece in _pieces(data, mss):
            self._put(at, sender, "PA", piece)
            at += 0.01
        return len(self.wire.frames)

    def _put(self, at: float, sender: str, flags: str, data: bytes = b"") -> None:
        other = "server" if sender == "client" else "client"
        ends, ports = (self.client, self.server), (self.client_port, self.server_port)
        if sender == "server":
            ends, ports = ends[::-1], ports[::-1]
        header = TCP(
            sport=ports[0],
            dport=ports[1],
            flags=flags,
            seq=1000 + self._sent[sender],
            ack=1000 + self._sent[other],
        )
        self.wire.put(at, IP(src=ends[0], dst=ends[1]) / header / Raw(data))
        self._sent[sender] += len(data) + ("S" in flags)


def _pieces(data: bytes, mss: int) -> Iterator[bytes]:
    for at in range(0, len(data), mss):
        yield data[at : at + mss]
