"""A packet's facts: one row of 64-bit numbers, filled from the outside in, header by header.

Kernels pass rows around, since Numba has no cheap objects; the constants name the places in one. What is
unknown is `ABSENT`. A frame gives one row that fills the table (`MAIN`), and rows before it for what a
tunnel's outer packet was (`OUTER`), for further tunnels opened at once (`TUNNEL`), and for transport headers
that an ICMP error quotes (`QUOTED`): those take stream numbers, and fill nothing. Behind them stand rows for
what the packet's payload says of conversations to come: a message (`SAID`) with the media streams that it
announces (`MEDIA`), a conversation that waits for packets (`AWAITED`), or what a proxy is told (`RELAYED`).
"""

from __future__ import annotations

import numpy as np

from k8scap.parser.compiling import part

ABSENT = np.iinfo(np.int64).min


AT, CAPTURED_END, REPORTED_END, NEXT_STEP, NEXT_HEADER = range(5)
FRAME, ROLE = 5, 6
SRC_MAC, DST_MAC, VLAN, TAGGED, DIRECTION, IFINDEX = range(7, 13)
"""Of the frame itself: they stay when a tunnel is entered."""
PROTOCOL, NAMED, NETWORK, FRAGMENTED, PENDING = range(13, 18)
TUNNEL_KIND, TUNNEL_ID, SECOND_TUNNEL_KIND, SECOND_TUNNEL_ID = range(18, 22)
SRC_HIGH, SRC_LOW, DST_HIGH, DST_LOW, END_HIGH, END_LOW = range(22, 28)
"""Addresses in two halves of 64 bits; `END_*` is the final destination of a source route, `FROM_*` a mobile
sender's home."""
TTL, IP_ID, IP_DF, FRAGMENT_OFFSET, ECN, IP_CHECKSUM_OK, TRANSPORT_CHECKSUM_OK = range(28, 35)
FLOW, SRC_PORT, DST_PORT, PAYLOAD_LENGTH = range(35, 39)
ICMP_TYPE, ICMP_CODE, ICMP_MTU = range(39, 42)
TCP_STAGE, TCP_FLAGS, SEQ_RAW, ACK_RAW, WINDOW_RAW, SEGMENT_LENGTH = range(42, 48)
MSS, WINDOW_SCALE, TSVAL, TSECR, SACK_LEFT, SACK_RIGHT, SACKED, SACK_BLOCKS, MPTCP = range(48, 57)
QUOTING, TRANSPORT, SRC_SEEN, DST_SEEN, LAST_WINDOW_SCALE, DEPTH, FLAGS, FROM_HIGH, FROM_LOW, SUPERSEDES = (
    range(57, 67)
)
SIZE = 68

MAIN, OUTER, TUNNEL, QUOTED, SAID, MEDIA, AWAITED, RELAYED = range(8)
NO_FLOW, TCP_FLOW, UDP_FLOW = range(3)
NUMBERED, SHOWN, WHOLE = 1, 2, 3
"""How far a TCP header could be read: to its window (enough for a stream number), with a length that can be
(acknowledgment, flags and window count), to the end of its options (its analysis is told)."""

LINE, STATUS, CALL, SEQUENCE, METHOD, BODY, MEDIA_COUNT = range(42, 49)
"""Of a SAID row, in the places of what TCP's header has: `REQUEST`, `RESPONSE` (with its status) or `NOTICE`,
hashes of the call's identifier and of the method, `CSeq`'s number (`ABSENT` without one), whether media are
described, and how many MEDIA rows follow."""
REQUEST, RESPONSE, NOTICE = 1, 2, 3
SPOKEN, FAMILY, HIGH, LOW, PORT, CONTROL_PORT = range(42, 48)
"""Of a MEDIA row: the protocol, the address (family 0 without one), the ports of media and of control."""
RTP, T38, SPRT, OTHER_MEDIA = range(4)
AWAITS, ONLY = 42, 43
"""Of an AWAITED row: who waits, and whether only in a conversation that was waited for before, or outside."""
INSIDE, OUTSIDE = 1, 2
TFTP_REQUEST, HART_SESSION = 1, 2
FIRST, SECOND, THIRD, EARLY_PORT, LATE_PORT, BEHIND, BEHIND_PORT = range(42, 49)
"""Of a RELAYED row: the payload's first bytes, the ports where SOCKS 4 and 5 have them, and the command and
port of a request that stands behind the greeting (`EMPTY` where nothing does); `ABSENT` where bytes are cut
off."""
EMPTY = -1

_INNER_FIRST = PROTOCOL

_BLANK = np.full(SIZE, ABSENT, np.int64)
_BLANK[[NAMED, NETWORK, FRAGMENTED, PENDING, FLOW, TCP_STAGE, SACKED, SACK_BLOCKS, MPTCP, TRANSPORT]] = 0
_BLANK[[TAGGED, QUOTING, SRC_SEEN, DST_SEEN, DEPTH, FLAGS, SUPERSEDES]] = 0


@part
def clear(facts):
    """Forget everything: a new frame."""
    for i in range(SIZE):
        facts[i] = _BLANK[i]


@part
def clear_inner(facts):
    """Forget the packet, keep the frame: a tunnel's inner packet begins."""
    for i in range(_INNER_FIRST, QUOTING):
        facts[i] = _BLANK[i]
    for i in range(QUOTING + 1, SIZE):
        facts[i] = _BLANK[i]
