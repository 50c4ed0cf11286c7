"""What a source's numbers stand for: addresses, MAC addresses, tunnels, protocols, in words."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from k8scap.parser.decode import protocols as p
from k8scap.parser.decode.facts import ABSENT

if TYPE_CHECKING:
    from k8scap.parser.interning import Table
    from k8scap.parser.state import State

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


def addresses(known: Known) -> list[str]:
    """IPv4 and IPv6 (RFC 5952, as inet_ntop writes it), by number."""
    return [_address(int(family), int(high), int(low)) for family, high, low in known.addresses]


def _address(family: int, high: int, low: int) -> str:
    if family == 4:
        return socket.inet_ntop(socket.AF_INET, (low & 0xFFFFFFFF).to_bytes(4, "big"))
    whole = ((high & (2**64 - 1)) << 64) | (low & (2**64 - 1))
    return socket.inet_ntop(socket.AF_INET6, whole.to_bytes(16, "big"))


def macs(known: Known) -> list[str]:
    """`00:50:56:83:8e:f3`, by number."""
    return [int(number).to_bytes(6, "big").hex(":") for _, _, number in known.macs]


def tunnels(known: Known) -> list[str]:
    """`vxlan:42/gre`, from the outside in, by number."""
    paths: list[str] = []
    for outer, kind, number in known.paths:
        name = p.TUNNEL_KINDS[kind]
        if name in _IDENTIFIED and number != ABSENT:
            name = f"{name}:{number}"
        paths.append(f"{paths[outer]}/{name}" if outer >= 0 else name)
    return paths


def protocols(known: Known) -> list[str]:
    """The packets table's names, in the order in which they turned up."""
    return [p.NAMES[code] for _, _, code in known.protocols]


def _keys(table: Table) -> np.ndarray:
    keys: np.ndarray = table.keys[: int(table.count[0])]
    return keys
