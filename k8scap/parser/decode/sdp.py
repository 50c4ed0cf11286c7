"""SDP (RFC 8866): the media streams that a description announces, each in a row of its own.

What counts as an address, a port and a protocol is what Wireshark 4.0's dissector makes of the lines `c=`,
`m=` and `a=rtcp:`, four descriptions at most.
"""

from __future__ import annotations

import numpy as np

from k8scap.parser.compiling import part
from k8scap.parser.decode import text
from k8scap.parser.decode.facts import (
    CONTROL_PORT,
    FAMILY,
    FRAME,
    HIGH,
    LOW,
    MEDIA,
    OTHER_MEDIA,
    PORT,
    ROLE,
    RTP,
    SPOKEN,
    SPRT,
    T38,
)
from k8scap.parser.decode.reading import u8
from k8scap.parser.decode.text import equals, says, word
from k8scap.parser.decode.written_addresses import read_ipv4, read_ipv6

MOST_MEDIA = 4
_MOST_PORT = 0xFFFF
_C, _M, _A, _EQUALS = 0x63, 0x6D, 0x61, 0x3D
_IP4, _IP6 = word("IP4"), word("IP6")
_RTCP, _RTCP_MUX = word("rtcp"), word("rtcp-mux")
_AVP, _AVPF, _SAVP, _SAVPF = word("RTP/AVP"), word("RTP/AVPF"), word("RTP/SAVP"), word("RTP/SAVPF")
_DTLS, _DTLS_F = word("UDP/TLS/RTP/SAVP"), word("UDP/TLS/RTP/SAVPF")
_UDPTL, _SPRT = word("udptl"), word("udpsprt")
_UDPTL_UPPER, _SPRT_UPPER = word("UDPTL"), word("UDPSPRT")


@part
def read_description(data, at, end, rows, first, frame):
    """Write rows from `first` on, and use one more as room; gives how many descriptions there are.

    -1 where a blank begins a line's value: the dissector breaks off there, and nothing is announced.
    """
    session = rows[first + MOST_MEDIA]
    session[FAMILY] = 0
    count, beyond = np.int64(0), False
    while at < end:
        stop = text.line_end_unquoted(data, at, end)
        if stop - at < 2:
            break
        kind, begin = u8(data, at), at + 2
        if u8(data, at + 1) == _EQUALS:
            if (kind == _M or kind == _C) and begin < stop and data[begin] == text.SPACE:
                return np.int64(-1)
            if kind == _M:
                beyond = count == MOST_MEDIA
                if not beyond:
                    _begin_media(session, rows[first + count], frame)
                    _read_media(data, begin, stop, rows[first + count])
                    count += 1
            elif kind == _C and not beyond:
                _read_connection(data, begin, stop, rows[first + count - 1] if count else session, count > 0)
            elif kind == _A and count and not beyond:
                _read_attribute(data, begin, stop, rows[first + count - 1])
        at = text.next_line(data, stop, end)
    return count


@part
def _begin_media(session, media, frame):
    """A description has the session's address until it gives its own."""
    media[FRAME], media[ROLE] = frame, MEDIA
    media[SPOKEN], media[PORT], media[CONTROL_PORT] = OTHER_MEDIA, 0, 0
    media[FAMILY], media[HIGH], media[LOW] = session[FAMILY], session[HIGH], session[LOW]


@part
def _read_connection(data, at, end, row, anew):
    """`IN IP4 198.18.0.1/127`; the address has to fill what is left of the line up to a slash."""
    net = text.skip_spaces(data, at, end)
    net_end = text.find(data, net, end, text.SPACE)
    family = text.skip_spaces(data, net_end + 1, end)
    if net >= end or family >= end > net_end:
        return
    if anew:
        row[FAMILY] = 0
    family_end = text.find(data, family, end, text.SPACE)
    if family_end >= end:
        return
    begin = family_end + 1
    stop = text.find(data, begin, end, text.SLASH)
    if equals(data, family, family_end, _IP4):
        number = read_ipv4(data, begin, stop)
        if number >= 0:
            row[FAMILY], row[HIGH], row[LOW] = 4, 0, number
    elif equals(data, family, family_end, _IP6):
        read_ipv6(data, begin, stop, row)


@part
def _read_media(data, at, end, media):
    """`audio 49170/2 RTP/AVP 0 8`."""
    kind = text.skip_spaces(data, at, end)
    port = text.skip_spaces(data, text.find(data, kind, end, text.SPACE) + 1, end)
    if port >= end:
        return
    port_end = text.find(data, port, end, text.SPACE)
    media[PORT] = _port(data, port, text.find(data, port, port_end, text.SLASH))
    spoken = text.skip_spaces(data, port_end + 1, end)
    if spoken < end:
        media[SPOKEN] = _spoken(data, spoken, text.find(data, spoken, end, text.SPACE))


@part
def _port(data, at, end):
    """0 for what is no number, and the largest one for what is too large."""
    return min(max(text.whole_number(data, at, end), np.int64(0)), np.int64(_MOST_PORT))


@part
def _spoken(data, at, end):
    """Which of the protocols that await their packets on the port."""
    if equals(data, at, end, _AVP) or equals(data, at, end, _AVPF):
        return RTP
    if equals(data, at, end, _SAVP) or equals(data, at, end, _SAVPF):
        return RTP
    if equals(data, at, end, _DTLS) or equals(data, at, end, _DTLS_F):
        return RTP
    if equals(data, at, end, _UDPTL) or equals(data, at, end, _UDPTL_UPPER):
        return T38
    if equals(data, at, end, _SPRT) or equals(data, at, end, _SPRT_UPPER):
        return SPRT
    return OTHER_MEDIA


@part
def _read_attribute(data, at, end, media):
    """`rtcp:53020` names the control's port, where nothing else stands behind it (RFC 3605)."""
    colon = text.find(data, at, end, text.COLON)
    value = text.skip_blanks(data, colon + 1, end)
    if value >= end:
        return
    if says(data, at, colon, _RTCP):
        number = text.whole_number(data, value, end)
        media[CONTROL_PORT] = number if 0 <= number <= _MOST_PORT else 0
    elif says(data, at, colon, _RTCP_MUX):
        media[CONTROL_PORT] = media[PORT]
