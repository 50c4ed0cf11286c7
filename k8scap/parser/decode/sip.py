"""SIP (RFC 3261): what a message says of its transaction, and the media that its body announces.

A message gives a SAID row, and a MEDIA row for each description in it. Headers are read as far as Wireshark
4.0's dissector tells transactions apart by them.
"""

from __future__ import annotations

import numpy as np

from k8scap.parser.compiling import part
from k8scap.parser.decode import text
from k8scap.parser.decode.facts import (
    BODY,
    CALL,
    CAPTURED_END,
    FLOW,
    LINE,
    METHOD,
    REPORTED_END,
    REQUEST,
    RESPONSE,
    SEQUENCE,
    STATUS,
    TCP_FLOW,
)
from k8scap.parser.decode.notices import is_sdp, read_parts
from k8scap.parser.decode.reading import u8
from k8scap.parser.decode.said import ROWS, begin_message, describe
from k8scap.parser.decode.text import equals, hash_of, hash_text, is_digit, says, word

ACK, CANCEL = hash_of("ACK"), hash_of("CANCEL")
_VERSION = word("SIP/2.0")
_CALL_ID, _CSEQ, _TYPE, _LENGTH = word("call-id"), word("cseq"), word("content-type"), word("content-length")
_ENCODING, _GZIP, _DEFLATE = word("content-encoding"), word("gzip"), word("deflate")
_MULTIPART = word("multipart/")
_I, _C, _L, _E = word("i"), word("c"), word("l"), word("e")
_LONGEST_CALL, _LONGEST_METHOD = 127, 16
_U32 = 0xFFFFFFFF
_NO_MEDIA, _MEDIA, _PARTS = range(3)


@part
def read_sip(data, facts, at, end, rows, here):
    """The message's rows behind `here`; gives the last one's place, and where the message ends (-1: none)."""
    said = rows[here + 1]
    begin_message(facts, said)
    at = _read_start(data, at, end, said)
    if at < 0:
        return here, np.int64(-1)
    body, length = _read_headers(data, at, end, said)
    if body < 0:
        return here, np.int64(-1)
    if length >= 0 and body + length < end:
        end = body + length
    elif said[FLOW] == TCP_FLOW and length >= 0 and body + length > end:
        return here, np.int64(-1)
    kind, said[BODY] = said[BODY] if body < end else _NO_MEDIA, 0
    if kind == _MEDIA:
        return describe(data, body, end, rows, here + 1), end
    if kind == _PARTS:
        return read_parts(data, facts, body, end, rows, here + 1, here + 1 + ROWS), end
    return here + 1, end


@part
def _read_start(data, at, end, said):
    """`INVITE sip:bob@example.com SIP/2.0` or `SIP/2.0 200 OK`; gives where headers begin, -1 for neither."""
    stop = text.line_end(data, at, end)
    if text.find(data, at, stop, 0) < stop:
        return np.int64(-1)
    first = text.find(data, at, stop, text.SPACE)
    second = text.find(data, first + 1, stop, text.SPACE)
    if first == at or second >= stop:
        return np.int64(-1)
    if equals(data, at, first, _VERSION):
        if second - first != 4:
            return np.int64(-1)
        for i in range(first + 1, second):
            if not is_digit(data[i]):
                return np.int64(-1)
        said[LINE], said[STATUS] = RESPONSE, text.leading_number(data, first + 1, second)
        return text.next_line(data, stop, end)
    if second - first < 4 or text.find(data, first + 2, second, text.COLON) >= second:
        return np.int64(-1)
    if not equals(data, second + 1, stop, _VERSION):
        return np.int64(-1)
    said[LINE] = REQUEST
    return text.next_line(data, stop, end)


@part
def _read_headers(data, at, end, said):
    """Gives where the body begins (-1 where headers are not all there), and its length (-1: untold)."""
    length = np.int64(-1)
    packed = False
    while at < end:
        stop = text.line_end(data, at, end)
        if stop == at:
            at = text.next_line(data, stop, end)
            if packed:
                said[BODY] = _NO_MEDIA
            return at, length
        following = text.next_line(data, stop, end)
        while following < end and (data[following] == text.SPACE or data[following] == text.TAB):
            stop = text.line_end(data, following, end)
            following = text.next_line(data, stop, end)
        colon = text.find(data, at, stop, text.COLON)
        value = text.skip_blanks(data, colon + 1, stop)
        if colon < stop:
            if says(data, at, colon, _CALL_ID) or says(data, at, colon, _I):
                said[CALL] = hash_text(data, value, min(stop, value + _LONGEST_CALL))
            elif says(data, at, colon, _CSEQ):
                if not _read_cseq(data, value, stop, said):
                    return np.int64(-1), length
            elif says(data, at, colon, _TYPE) or says(data, at, colon, _C):
                said[BODY] = _kind(data, value, stop)
            elif says(data, at, colon, _LENGTH) or says(data, at, colon, _L):
                length = max(text.whole_number(data, value, stop), np.int64(0))
            elif says(data, at, colon, _ENCODING) or says(data, at, colon, _E):
                packed = says(data, value, min(stop, value + len(_GZIP)), _GZIP) or says(
                    data, value, min(stop, value + len(_DEFLATE)), _DEFLATE
                )
        at = following
    whole = said[FLOW] != TCP_FLOW and said[CAPTURED_END] >= said[REPORTED_END]
    return (end if whole else np.int64(-1)), length


@part
def _read_cseq(data, at, end, said):
    """`314159 INVITE`; False where there is no method, or too long a one: nothing more is read then."""
    said[SEQUENCE] = text.leading_number(data, at, end) & _U32
    while at < end and is_digit(data[at]):
        at += 1
    while at < end and not 97 <= (u8(data, at) | 0x20) <= 122:
        at += 1
    if at == end or end - at > _LONGEST_METHOD:
        return False
    said[METHOD] = hash_text(data, at, min(end, at + _LONGEST_METHOD - 1))
    return True


@part
def _kind(data, at, end):
    """Whether the body is a description, or of parts that may be."""
    if is_sdp(data, at, end):
        return _MEDIA
    return _PARTS if says(data, at, min(end, at + len(_MULTIPART)), _MULTIPART) else _NO_MEDIA
