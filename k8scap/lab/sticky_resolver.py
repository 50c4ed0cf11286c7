"""A client that asks all its questions from one socket, as resolvers inside of applications do (c-ares)."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k8scap.lab.resolver import PORT, first_address, identity_and_code, question

if TYPE_CHECKING:
    from collections.abc import Sequence

_GAP_S = 0.03


@dataclass(frozen=True, kw_only=True)
class OneSocketLookups:
    """Lookups one after the other, from one socket that is never closed; each once, for `timeout_s`."""

    names: Sequence[str]
    first_id: int
    timeout_s: float

    def run(self, address: str, log: list[dict[str, Any]]) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect((address, PORT))
            client.settimeout(self.timeout_s)
            for number, name in enumerate(self.names):
                log.append(_ask(client, name, (self.first_id + number) % 65_536))
                time.sleep(_GAP_S)


def _ask(client: socket.socket, name: str, identity: int) -> dict[str, Any]:
    row: dict[str, Any] = {"job": "one-socket", "query": name, "start_ns": time.time_ns(), "answer": None}
    row["client_port"] = client.getsockname()[1]
    try:
        client.send(question(name, identity))
        answer = client.recv(2048)
        while identity_and_code(answer)[0] != identity:  # one that came after its time
            answer = client.recv(2048)
        row["answer"] = first_address(answer)
    except OSError as error:
        row["error"] = f"{type(error).__name__}: {error}"
    return row | {"end_ns": time.time_ns()}
