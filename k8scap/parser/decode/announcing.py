"""Payloads that speak of conversations to come, and the rows that say so behind the packet's own.

Some of Wireshark's dissectors open conversations before a packet of theirs was seen, with a part left open
(any other address, any other port): such packets then have that conversation's stream number.
"""

from __future__ import annotations

import numpy as np

from k8scap.parser.compiling import part
from k8scap.parser.decode import protocols as p
from k8scap.parser.decode.facts import (
    AT,
    AWAITED,
    AWAITS,
    CAPTURED_END,
    DST_PORT,
    FLOW,
    HART_SESSION,
    INSIDE,
    ONLY,
    OUTSIDE,
    REPORTED_END,
    ROLE,
    SRC_PORT,
    TCP_FLOW,
    TFTP_REQUEST,
)
from k8scap.parser.decode.notices import read_megaco, read_mgcp, read_sap
from k8scap.parser.decode.reading import u8, u16, within
from k8scap.parser.decode.said import ROWS
from k8scap.parser.decode.sip import read_sip
from k8scap.parser.decode.socks import SOCKS_PORT, read_socks
from k8scap.parser.decode.text import find, says, word

_SIP_PORT = 5060
_TFTP_PORT, _HART_PORT = 69, 5094
_HART_HEADER, _HART_VERSION, _HART_SESSION_INITIATE = 8, 1, 0
_READ, _WRITE = 1, 2
_UPPER_A, _UPPER_Z, _FIRST_PRINTED, _LAST_PRINTED = 65, 90, 32, 126
_NETASCII, _OCTET, _MAIL = word("netascii"), word("octet"), word("mail")
_MOST_MESSAGES = 8
ANNOUNCED = _MOST_MESSAGES * ROWS
"""Rows of one frame at most: TCP may carry several messages in a segment."""


@part
def announces(data, facts):
    """The protocol that a datagram's first bytes may be of, where its ports tell none; 0 for none.

    SIP is known by its first line anywhere, a TFTP request by its mode; a HART-IP session goes on at a port
    of the server's choice.
    """
    if not within(facts, _HART_HEADER):
        return p.NOTHING
    first, second = u8(data, facts[AT]), u8(data, facts[AT] + 1)
    if _UPPER_A <= first <= _UPPER_Z and _UPPER_A <= second <= _UPPER_Z:
        return p.SIP
    if first == 0 and _READ <= second <= _WRITE:
        return p.TFTP
    if first == _HART_VERSION and u8(data, facts[AT] + 2) == _HART_SESSION_INITIATE:
        fits = u16(data, facts[AT] + 6) == facts[REPORTED_END] - facts[AT]
        return p.HART_IP if fits else p.NOTHING
    return p.NOTHING


@part
def announces_on_tcp(source, destination):
    """The protocol of a segment that may announce something, by its ports; 0 for none."""
    if source == SOCKS_PORT or destination == SOCKS_PORT:
        return p.SOCKS
    return p.SIP if source == _SIP_PORT or destination == _SIP_PORT else p.NOTHING


@part
def announce(data, rows, here, code):
    """Add what the payload announces behind row `here`; gives the last row's place."""
    facts = rows[here]
    at, end = facts[AT], min(facts[CAPTURED_END], facts[REPORTED_END])
    if code == p.SIP:
        last = here + ANNOUNCED - 3 * ROWS
        while 0 <= at < end and here <= last:
            here, at = read_sip(data, facts, at, end, rows, here)
            if facts[FLOW] != TCP_FLOW:
                break
    elif code == p.TFTP:
        if facts[SRC_PORT] != _TFTP_PORT and _is_transfer_request(data, at, end):
            here = _await(rows, here, TFTP_REQUEST, 0 if facts[DST_PORT] == _TFTP_PORT else OUTSIDE)
    elif code == p.SOCKS:
        here = read_socks(data, facts, at, end, rows, here)
    elif code == p.MGCP:
        here = read_mgcp(data, facts, at, end, rows, here, here + ANNOUNCED - ROWS)
    elif code == p.MEGACO:
        here = read_megaco(data, facts, at, end, rows, here, here + ANNOUNCED - ROWS)
    elif code == p.SAP:
        here = read_sap(data, facts, at, end, rows, here)
    elif at + 2 < end and u8(data, at + 2) == _HART_SESSION_INITIATE:
        known = facts[SRC_PORT] == _HART_PORT or facts[DST_PORT] == _HART_PORT
        here = _await(rows, here, HART_SESSION, 0 if known else INSIDE)
    return here


@part
def _await(rows, here, who, only):
    """A row for a conversation of the packet's sender with any port of the receiver."""
    facts, awaited = rows[here], rows[here + 1]
    for i in range(len(facts)):
        awaited[i] = facts[i]
    awaited[ROLE], awaited[AWAITS], awaited[ONLY] = AWAITED, who, only
    return here + 1


@part
def _is_transfer_request(data, at, end):
    """RFC 1350, 5: read or write, a name and a mode, both ended by a zero, perhaps options (RFC 2347)."""
    if end - at < 4 or not _READ <= u16(data, at) <= _WRITE:
        return False
    zeros = np.int64(0)
    for i in range(at + 2, end):
        byte = u8(data, i)
        if byte == 0:
            zeros += 1
        elif not _FIRST_PRINTED <= byte <= _LAST_PRINTED:
            return False
    if zeros == 0 or zeros % 2:
        return False
    mode = find(data, at + 2, end, 0) + 1
    stop = find(data, mode, end, 0)
    return (
        says(data, mode, stop, _NETASCII) or says(data, mode, stop, _OCTET) or says(data, mode, stop, _MAIL)
    )
