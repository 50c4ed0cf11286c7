"""Descriptions of media outside of SIP: they hold at once, with no offer and no answer.

MGCP (RFC 3435) has one behind a message's blank line, Megaco's text (RFC 3525, H.248.1) in braces, SAP
(RFC 2974) behind its header, a multipart body (RFC 2046) in one of its parts.
"""

from __future__ import annotations

from k8scap.parser.compiling import part
from k8scap.parser.decode import text
from k8scap.parser.decode.reading import u8
from k8scap.parser.decode.said import notify
from k8scap.parser.decode.text import is_digit, says, word

_DOT, _EXCLAMATION, _DASH, _BRACE, _END_BRACE = 46, 33, 45, 123, 125
_VERSION_6, _ENCRYPTED_OR_COMPRESSED = 0x10, 0x03
_MEGACO = word("megaco")
_LOCAL, _L, _REMOTE, _R = word("local"), word("l"), word("remote"), word("r")
_V_EQUALS, _TYPE, _C, _SDP = word("v="), word("content-type"), word("c"), word("application/sdp")
_SHORTEST = 3


@part
def read_mgcp(data, facts, at, end, rows, here, last):
    """Messages up to a line with a dot, a description behind the first blank line of each."""
    while at < end and here <= last and _begins_mgcp(data, at, end):
        stop = _dot_line(data, at, end)
        line = text.next_line(data, text.line_end(data, at, stop), stop)
        while line < stop and data[line] != text.CR and data[line] != text.LF:
            line = text.next_line(data, text.line_end(data, line, stop), stop)
        body = text.next_line(data, line, stop)
        if body < stop:
            here = notify(data, body, stop, facts, rows, here)
        at = text.next_line(data, min(stop + 1, end), end)
    return here


@part
def _begins_mgcp(data, at, end):
    """A verb of four letters, or a status of three digits, and a blank."""
    if end - at < 5:
        return False
    digits = is_digit(data[at]) and is_digit(data[at + 1]) and is_digit(data[at + 2])
    for i in range(0 if digits else 4):
        if not 97 <= (u8(data, at + i) | 0x20) <= 122:
            return False
    blank = u8(data, at + (3 if digits else 4))
    return blank == text.SPACE or blank == text.TAB


@part
def _dot_line(data, at, end):
    """Where a line begins that is a dot only, `end` where there is none."""
    while at < end:
        stop = text.line_end(data, at, end)
        if stop - at == 1 and data[at] == _DOT:
            return at
        at = text.next_line(data, stop, end)
    return end


@part
def read_megaco(data, facts, at, end, rows, here, last):
    """`Local { … }` and `Remote { … }`, or `L` and `R`."""
    at = _skip_white(data, at, end)
    if at >= end or (data[at] != _EXCLAMATION and not says(data, at, min(at + 6, end), _MEGACO)):
        return here
    begin = at
    while here <= last:
        brace = text.find(data, at, end, _BRACE)
        if brace >= end:
            break
        at = brace + 1
        if _is_side(data, begin, brace):
            body, stop = _skip_white(data, at, end), text.find(data, at, end, _END_BRACE)
            if stop < end and stop - body > _SHORTEST:
                here = notify(data, body, stop, facts, rows, here)
            at = stop
    return here


@part
def _is_side(data, begin, brace):
    """Whether the word before the brace is that of a side's description."""
    stop = brace
    while stop > begin and u8(data, stop - 1) <= text.SPACE:
        stop -= 1
    at = stop
    while at > begin and 97 <= (u8(data, at - 1) | 0x20) <= 122:
        at -= 1
    if says(data, at, stop, _LOCAL) or says(data, at, stop, _L):
        return True
    return says(data, at, stop, _REMOTE) or says(data, at, stop, _R)


@part
def _skip_white(data, at, end):
    while at < end and u8(data, at) <= text.SPACE:
        at += 1
    return at


@part
def read_sap(data, facts, at, end, rows, here):
    """An announcement: its payload's type may be told, ended by a zero, before the description."""
    if end - at < 8 or u8(data, at) & _ENCRYPTED_OR_COMPRESSED:
        return here
    body = at + 4 + (16 if u8(data, at) & _VERSION_6 else 4) + 4 * u8(data, at + 1)
    if body < end and not says(data, body, min(body + 2, end), _V_EQUALS):
        body = text.find(data, body, end, 0) + 1
    return notify(data, body, end, facts, rows, here) if body < end else here


@part
def read_parts(data, facts, at, end, rows, here, last):
    """The parts of a multipart body that are descriptions."""
    at = _next_part(data, at, end)
    while at < end and here <= last:
        is_description = False
        while at < end and data[at] != text.CR and data[at] != text.LF:
            stop = text.line_end(data, at, end)
            colon = text.find(data, at, stop, text.COLON)
            if says(data, at, colon, _TYPE) or says(data, at, colon, _C):
                is_description = is_sdp(data, text.skip_blanks(data, colon + 1, stop), stop)
            at = text.next_line(data, stop, end)
        body = text.next_line(data, at, end)
        at = _next_part(data, body, end)
        if is_description:
            stop = body
            while stop < at and not _is_boundary(data, stop, at):
                stop = text.next_line(data, text.line_end(data, stop, at), at)
            here = notify(data, body, stop, facts, rows, here)
    return here


@part
def _next_part(data, at, end):
    """Behind the next line that begins with two dashes."""
    while at < end and not _is_boundary(data, at, end):
        at = text.next_line(data, text.line_end(data, at, end), end)
    return text.next_line(data, text.line_end(data, at, end), end)


@part
def _is_boundary(data, at, end):
    return at + 2 <= end and data[at] == _DASH and data[at + 1] == _DASH


@part
def is_sdp(data, at, end):
    """`application/sdp`, with parameters or without."""
    stop = text.find(data, at, end, text.SEMICOLON)
    while stop > at and stop < end and (data[stop - 1] == text.SPACE or data[stop - 1] == text.TAB):
        stop -= 1
    return says(data, at, stop, _SDP)
