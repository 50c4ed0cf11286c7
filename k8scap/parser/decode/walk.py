"""The walk through a frame: from header to header, into tunnels, and into what ICMP errors quote.

Which header counts is `parser.layers`' decision for the other engine, taken here from bytes.
"""

from __future__ import annotations

import numpy as np

from k8scap.parser.compiling import kernel, part
from k8scap.parser.decode import protocols as p
from k8scap.parser.decode.announcing import ANNOUNCED, announce
from k8scap.parser.decode.facts import (
    ABSENT,
    AT,
    CAPTURED_END,
    FRAME,
    MAIN,
    NAMED,
    NETWORK,
    OUTER,
    PENDING,
    PROTOCOL,
    QUOTED,
    QUOTING,
    REPORTED_END,
    ROLE,
    SECOND_TUNNEL_ID,
    SECOND_TUNNEL_KIND,
    TRANSPORT,
    TUNNEL_ID,
    TUNNEL_KIND,
    clear,
    clear_inner,
)
from k8scap.parser.decode.headers import read_header
from k8scap.parser.decode.tagging import is_macsec

MOST_LAYERS, MOST_TUNNELS = 256, 64
"""No frame is followed deeper: after so many headers, or tunnels in one another, it ends."""
ROWS_A_FRAME = MOST_TUNNELS + 2 + ANNOUNCED
_STOP, _GO = False, True
_SMALLEST_PGM = 18
_IS_PARTICULAR = np.isin(np.arange(len(p.NAMES)), [p.IPV6, p.PGM, p.MACSEC])
_IS_LINK, _IS_CARRIED, _IS_TUNNEL, _IS_EXTENSION = p.IS_LINK, p.IS_CARRIED, p.IS_TUNNEL, p.IS_EXTENSION
_ANNOUNCES = np.isin(np.arange(len(p.FILTER_NAMES)), p.ANNOUNCING)


def first_layers() -> np.ndarray:
    """int64, by LINKTYPE: the outermost layer's code, -1 for a link type that is not read here."""
    known = np.full(1 << 16, -1, np.int64)
    for number, code in _LINK_TYPES.items():
        known[number] = code
    return known


_LINK_TYPES = {
    0: p.NULL, 1: p.ETH, 9: p.PPP_HDLC, 12: p.RAW, 14: p.RAW, 50: p.PPP_HDLC, 101: p.RAW, 104: p.CHDLC,
    108: p.LOOP_NULL, 113: p.SLL, 228: p.IP, 229: p.IPV6, 276: p.SLL2,
}  # fmt: skip


@part
def walk_frame(data, start, captured, length, first, frame, rows, count):
    """Write a frame's rows from `rows[count]` on; gives how many rows there are then.

    `rows` has room for `ROWS_A_FRAME` more. No byte outside data[start:start + captured] is read.
    """
    facts = rows[count]
    clear(facts)
    facts[FRAME], facts[ROLE] = frame, MAIN
    facts[AT], facts[CAPTURED_END], facts[REPORTED_END] = (
        start,
        start + captured,
        start + max(length, captured),
    )
    here, code, last = count, first, count + MOST_TUNNELS
    for _ in range(MOST_LAYERS):
        facts = rows[here]
        if _IS_PARTICULAR[code] and _is_refused(data, facts, code):
            break
        if code == p.VXLAN_GPE:
            code = read_header(data, facts, code, here == count)
            if code != p.NSH:
                break
        bare = (
            facts[NETWORK] != 0 and not facts[PENDING] and (code == p.IP or code == p.IPV6 or code == p.ETH)
        )
        if bare and not open_bare_tunnel(facts, code):
            break
        if facts[PENDING] and _goes_inside(facts, code) and here < last:
            here = _enter_tunnel(rows, here)
            facts = rows[here]
        if not _note(facts, code):
            break
        outermost = here == count
        following = read_header(data, facts, code, outermost)
        if (code == p.ICMP or code == p.ICMPV6) and following != p.NOTHING:
            if here >= last:
                break
            here = _quote(rows, here)
        code = following
        if code == p.NOTHING:
            break
    if _ANNOUNCES[code]:
        return announce(data, rows, here, code) + 1
    return here + 1


@part
def _is_refused(data, facts, code):
    """Whether Wireshark's dissector does not take what bears its number.

    That of IPv6 takes no packet of another version; that of IPv4 does.
    """
    if code == p.IPV6:
        return facts[AT] < min(facts[CAPTURED_END], facts[REPORTED_END]) and data[facts[AT]] >> 4 != 6
    if code == p.MACSEC:
        return not is_macsec(data, facts)
    return facts[REPORTED_END] - facts[AT] < _SMALLEST_PGM


@part
def _goes_inside(facts, code):
    """Whether a header behind a tunnel's begins the packet that it carries."""
    return code == p.IP or code == p.IPV6 or _IS_CARRIED[code] and not _opens_tunnel(facts, code)


@part
def _opens_tunnel(facts, code):
    carries = facts[TRANSPORT] == 0 or facts[TRANSPORT] == p.UDP or facts[TRANSPORT] == p.GRE
    return _IS_TUNNEL[code] and facts[NETWORK] != 0 and carries


@part
def _enter_tunnel(rows, here):
    """The packet so far was a tunnel's; a new one begins behind it."""
    outer = rows[here]
    inner = rows[here + 1]
    for i in range(len(outer)):
        inner[i] = outer[i]
    clear_inner(inner)
    if outer[ROLE] == MAIN:
        outer[ROLE] = OUTER
    return here + 1


@part
def _quote(rows, here):
    """What follows is quoted by an error: it gets a row of its own, which fills nothing."""
    error, quoted = rows[here], rows[here + 1]
    for i in range(len(error)):
        quoted[i] = error[i]
    clear_inner(quoted)
    quoted[ROLE], quoted[QUOTING] = QUOTED, 1
    return here + 1


@part
def _note(facts, code):
    """Remember what layer begins; False where it is none that counts."""
    if code == p.IP or code == p.IPV6:
        return _note_network(facts, code)
    if _opens_tunnel(facts, code):
        if facts[TRANSPORT] == 0:
            facts[TRANSPORT], facts[PROTOCOL] = code, code
        _open_tunnel(facts, code)
        return _GO
    if facts[PENDING]:
        return _STOP
    if facts[NETWORK] == 0:
        if not facts[NAMED]:
            facts[PROTOCOL], facts[NAMED] = code, 0 if _IS_LINK[code] else 1
        return _GO
    if _IS_EXTENSION[code]:
        return _GO
    if facts[TRANSPORT] != 0:
        return _STOP
    facts[TRANSPORT] = p.UDP if code == p.UDPLITE else code
    facts[PROTOCOL] = code
    return _GO


@part
def _note_network(facts, code):
    facts[NETWORK], facts[PROTOCOL] = 4 if code == p.IP else 6, code
    return _GO


@part
def _open_tunnel(facts, kind):
    """The newest tunnel stands first: its header's step fills in its number."""
    if facts[PENDING]:
        facts[SECOND_TUNNEL_KIND], facts[SECOND_TUNNEL_ID] = facts[TUNNEL_KIND], facts[TUNNEL_ID]
    facts[TUNNEL_KIND], facts[TUNNEL_ID] = kind, ABSENT
    facts[PENDING] += 1


@part
def open_bare_tunnel(facts, code):
    """A packet directly in a packet: a tunnel without a header; False where a transport came before."""
    if facts[TRANSPORT] != 0:
        return _STOP
    if code == p.ETH:
        _open_tunnel(facts, p.ETHERNET)
    elif facts[NETWORK] == 4:
        _open_tunnel(facts, p.IPIP if code == p.IP else p.SIX_IN_FOUR)
    else:
        _open_tunnel(facts, p.FOUR_IN_SIX if code == p.IP else p.SIX_IN_SIX)
    return _GO


@kernel
def decode(data, start, captured, length, first, begin, end, rows):
    """Frames begin … end into rows; gives (next frame, rows written, rows of frames that announce something).

    `start`, `captured`, `length`: int64 arrays, bytes; `first`: int64, the outermost layer's code a frame.
    Stops early where rows run out.
    """
    count = announcing = 0
    for i in range(begin, end):
        if count + ROWS_A_FRAME > len(rows):
            return i, count, announcing
        before = count
        count = walk_frame(data, start[i], np.int64(captured[i]), length[i], first[i], i, rows, count)
        if rows[count - 1, ROLE] > QUOTED:
            announcing += count - before
    return end, count, announcing
