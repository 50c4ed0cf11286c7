"""SOCKS (RFC 1928; version 4 as its authors wrote it): what a segment may say to a proxy, or a proxy to it.

Which of it counts depends on what was said before: `parser.conversations.relays` knows.
"""

from __future__ import annotations

import numpy as np

from k8scap.parser.compiling import part
from k8scap.parser.decode.facts import (
    ABSENT,
    BEHIND,
    BEHIND_PORT,
    EARLY_PORT,
    EMPTY,
    FIRST,
    LATE_PORT,
    RELAYED,
    REPORTED_END,
    ROLE,
    SECOND,
    THIRD,
)
from k8scap.parser.decode.reading import u8, u16

SOCKS_PORT = 1080
_IPV4, _NAME, _IPV6 = 1, 3, 4
_GREETING, _REQUEST = 2, 3


@part
def read_socks(data, facts, at, end, rows, here):
    """Add a RELAYED row; gives its place."""
    row = rows[here + 1]
    for i in range(len(facts)):
        row[i] = facts[i]
    row[ROLE] = RELAYED
    row[FIRST], row[SECOND], row[THIRD] = (
        _byte(data, at, end), _byte(data, at + 1, end), _byte(data, at + 2, end),
    )  # fmt: skip
    row[EARLY_PORT] = u16(data, at + 2) if at + 4 <= end else ABSENT
    row[LATE_PORT] = _requested_port(data, at, end)
    row[BEHIND] = row[BEHIND_PORT] = ABSENT
    if row[SECOND] != ABSENT:
        behind = at + _GREETING + row[SECOND]
        row[BEHIND] = _byte(data, behind + 1, end) if behind < facts[REPORTED_END] else EMPTY
        row[BEHIND_PORT] = _requested_port(data, behind, end)
    return here + 1


@part
def _byte(data, at, end):
    return u8(data, at) if at < end else ABSENT


@part
def _requested_port(data, at, end):
    """Of a request or a reply of version 5: it stands behind the address."""
    kind = _byte(data, at + _REQUEST, end)
    length = np.int64(0)
    if kind == _IPV4:
        length = np.int64(4)
    elif kind == _IPV6:
        length = np.int64(16)
    elif kind == _NAME:
        length = _byte(data, at + _REQUEST + 1, end) + 1
    port = at + _REQUEST + 1 + length
    return u16(data, port) if kind != ABSENT and length >= 0 and port + 2 <= end else ABSENT
