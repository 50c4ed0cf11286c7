"""A Service's address in front of a server, as a node's NAT has it: replaced on the way there and back.

On the link, in its plan and in its log, connections bear the Service's address, as their clients know them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.lab.packets import readdressed

if TYPE_CHECKING:
    from collections.abc import Mapping

_WITH_PORTS = (6, 17)  # TCP, UDP


class Translation:
    """`services` maps a Service's IPv4 address (4 bytes) to that of its only server; ports stay as they are.

    As conntrack does, it knows a connection from its first packet on.
    """

    def __init__(self, services: Mapping[bytes, bytes]) -> None:
        self._services = dict(services)
        self._servers = set(services.values())
        self._known: dict[bytes, bytes] = {}

    def back(self, data: bytes) -> bytes:
        """A packet of a known connection as its client knows it: what a server sends, from the Service."""
        if data[16:20] in self._services and data[9] in _WITH_PORTS:
            service = data[16:20]
            answer = self._services[service] + data[12:16] + data[22:24] + data[20:22]
            self._known[data[9:10] + answer] = service
        elif data[12:16] in self._servers and data[9] in _WITH_PORTS:
            found = self._known.get(data[9:10] + data[12:24])
            return readdressed(data, source=found) if found else data
        return data

    def there(self, data: bytes) -> bytes:
        """A packet as its receiver gets it: what is sent to a Service, to its server."""
        server = self._services.get(data[16:20])
        return readdressed(data, destination=server) if server else data

    def bare(self, data: bytes) -> bytes:
        """A packet that nobody translated back: from the server's own address."""
        server = self._services.get(data[12:16])
        return readdressed(data, source=server) if server else data
