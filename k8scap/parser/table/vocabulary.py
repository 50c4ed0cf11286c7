"""What a source's numbers stand for: addresses, MAC addresses, tunnels, protocols, in words."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from k8scap.parser.decode import protocols as p
from k8scap.parser.decode.facts import ABSENT

if TYPE_CHECKING:
    from k8scap.parser.conversations.interning import Table
    from k8scap.parser.conversations.state import State

_IDENTIFIED = ("vxlan", "geneve", "gtp")
"""Tunnels whose number is part of their name."""


def _none() -> np.ndarray:
    return np.empty((0, 3), np.int64)


@dataclass(frozen=True)
class Known:
    """Keys of all that has been numbered so far, int64[n, 3] each, in the order of their numbers."""

    addresses: np.ndarray = field(default_factory=_none)
    macs: np.ndarray = field(default_factory=_none)
    paths: np.ndarray = field(default_factory=_none)
    protocols: np.ndarray = field(default_factory=_none)


def known(state: State) -> Known:
    """What the state has numbered; it goes on, this stays."""
    return Known(*map(_keys, (state.addresses, state.macs, state.paths, state.protocols)))


def add_addresses(words: list[str], known: Known) -> None:
    """IPv4 and IPv6 (RFC 5952, as inet_ntop writes it), by number: those that `words` lacks are appended."""
    words += [
        _address(int(family), int(high), int(low)) for family, high, low in known.addresses[len(words) :]
    ]


def _address(family: int, high: int, low: int) -> str:
    if family == 4:
        return socket.inet_ntop(socket.AF_INET, (low & 0xFFFFFFFF).to_bytes(4, "big"))
    whole = ((high & (2**64 - 1)) << 64) | (low & (2**64 - 1))
    return socket.inet_ntop(socket.AF_INET6, whole.to_bytes(16, "big"))


def add_macs(words: list[str], known: Known) -> None:
    """`00:50:56:83:8e:f3`, by number."""
    words += [int(number).to_bytes(6, "big").hex(":") for _, _, number in known.macs[len(words) :]]


def add_tunnels(words: list[str], known: Known) -> None:
    """`vxlan:42/gre`, from the outside in, by number."""
    for outer, kind, number in known.paths[len(words) :]:
        name = p.TUNNEL_KINDS[kind]
        if name in _IDENTIFIED and number != ABSENT:
            name = f"{name}:{number}"
        words.append(f"{words[outer]}/{name}" if outer >= 0 else name)


def add_protocols(words: list[str], known: Known) -> None:
    """The packets table's names, in the order in which they turned up."""
    words += [p.NAMES[code] for _, _, code in known.protocols[len(words) :]]


def _keys(table: Table) -> np.ndarray:
    keys: np.ndarray = table.keys[: int(table.count[0])]
    return keys
