"""SIP's transactions, and the media that offers and answers announce (RFC 3261, 3264), as Wireshark has them.

Its SIP dissector tells by call, addresses, ports and `CSeq` whether a message is a repetition, and which
request a response answers (packet-sip.c of 4.0); offer and answer are one description, four media at most,
set up by the request's frame (packet-sdp.c). Media streams wait for packets from anywhere: RTP at its port,
RTCP at the next one or the one told, T.38 and SPRT at theirs.
"""

from __future__ import annotations

import numpy as np

from k8scap.parser.compiling import part
from k8scap.parser.conversations.interning import intern, number_of
from k8scap.parser.conversations.openings import is_open_to_any, open_to_any
from k8scap.parser.conversations.state import (
    M_BUNDLED,
    M_CONTROL,
    M_FAMILY,
    M_HIGH,
    M_LOW,
    M_PORT,
    M_SET_UP,
    M_SPOKEN,
    MEDIA_SIZE,
    O_ANSWERED,
    O_COUNT,
    O_MEDIA,
    T_FRAME,
    T_METHOD,
    T_SEQUENCE,
    T_STATE,
    T_STATUS,
)
from k8scap.parser.decode import facts as f
from k8scap.parser.decode.sdp import MOST_MEDIA
from k8scap.parser.decode.sip import ACK, CANCEL

_NOTHING_SEEN, _REQUEST_SEEN, _PROVISIONAL_SEEN, _FINAL_SEEN = range(4)
_NEGOTIATED, _BY_ITSELF = 0, 1
"""Descriptions are an offer and its answer, or what one message says, as provisional responses do."""
_FINAL, _REDIRECTION, _FAILURE = 200, 300, 400


@part
def hear(state, rows, k, source, destination, frame):
    """Take a SAID row and its MEDIA rows; `source` and `destination` number its addresses, frames from 1."""
    said = rows[k]
    request = repeated = np.int64(0)
    transacts = said[f.FLOW] == f.UDP_FLOW and not said[f.QUOTING] and said[f.SEQUENCE] != f.ABSENT
    if transacts:
        ports = said[f.SRC_PORT] << 16 | said[f.DST_PORT]
        if said[f.LINE] == f.RESPONSE:
            back = said[f.DST_PORT] << 16 | said[f.SRC_PORT]
            request = _request_of(state, said, destination << 32 | source, back)
        repeated = _repeats(state, said, source << 32 | destination, ports, frame)
    if not said[f.BODY]:
        return
    if said[f.LINE] == f.REQUEST:
        if repeated and number_of(state.offers, repeated, _NEGOTIATED, 0) >= 0:
            return
        negotiates, set_up = repeated == 0, frame
    else:
        final = _FINAL <= said[f.STATUS] < _REDIRECTION or said[f.STATUS] >= _FAILURE
        negotiates = final and request > 0 and repeated == 0
        set_up = request if negotiates else frame
    if negotiates:
        number = intern(state.offers, set_up, _NEGOTIATED, 0)
    else:
        number = intern(state.offers, frame, _BY_ITSELF, k)
    _describe(state, rows, k, number, set_up, frame, said[f.LINE] == f.RESPONSE)


@part
def _request_of(state, said, ends, ports):
    """The frame of the request that this response answers, 0 where it was not seen."""
    number = number_of(state.calls, said[f.CALL], ends, ports)
    if number < 0:
        return np.int64(0)
    seen = state.transactions[number]
    same = seen[T_SEQUENCE] == said[f.SEQUENCE] and seen[T_METHOD] == said[f.METHOD]
    return seen[T_FRAME] if same and seen[T_STATE] == _REQUEST_SEEN else np.int64(0)


@part
def _repeats(state, said, ends, ports, frame):
    """The frame that this one repeats, 0 where it says something new; the transaction goes on."""
    before = state.calls.count[0]
    number = intern(state.calls, said[f.CALL], ends, ports)
    seen = state.transactions[number]
    sequence, method, status = said[f.SEQUENCE], said[f.METHOD], said[f.STATUS]
    compared = np.int64(0) if number == before else seen[T_SEQUENCE]
    if number == before or sequence != seen[T_SEQUENCE]:
        seen[T_SEQUENCE], seen[T_METHOD], seen[T_STATE], seen[T_FRAME] = sequence, method, _NOTHING_SEEN, 0
    again = sequence == compared and method == seen[T_METHOD]
    repeated = np.int64(0)
    if said[f.LINE] == f.REQUEST:
        if again and seen[T_STATE] == _REQUEST_SEEN and method != ACK and method != CANCEL:
            repeated = seen[T_FRAME]
        seen[T_STATE] = _REQUEST_SEEN
    elif status >= _FINAL:
        if again and seen[T_STATE] == _FINAL_SEEN and status == seen[T_STATUS]:
            repeated = seen[T_FRAME]
        seen[T_STATE], seen[T_STATUS] = _FINAL_SEEN, status
    else:
        seen[T_STATE] = _PROVISIONAL_SEEN
        return repeated
    if not repeated:
        seen[T_FRAME] = frame
    return repeated


@part
def _describe(state, rows, k, number, set_up, frame, answers):
    """Add a message's media to the description, and open what it describes now."""
    offer = state.described[number]
    if offer[O_ANSWERED]:
        return
    first = offer[O_COUNT]
    for i in range(rows[k, f.MEDIA_COUNT]):
        if offer[O_COUNT] < MOST_MEDIA:
            _take_media(rows[k + 1 + i], offer[_place(offer[O_COUNT]) : _place(offer[O_COUNT] + 1)])
            offer[O_COUNT] += 1
    _mark_bundled(offer, first)
    if first:
        _close_refused(offer, first)
    _open_media(state, offer, set_up, frame)
    offer[O_ANSWERED] = 1 if answers else 0


@part
def _place(media):
    return O_MEDIA + media * MEDIA_SIZE


@part
def _take_media(row, media):
    media[M_SPOKEN], media[M_FAMILY], media[M_HIGH], media[M_LOW] = (
        row[f.SPOKEN], row[f.FAMILY], row[f.HIGH], row[f.LOW],
    )  # fmt: skip
    media[M_PORT] = row[f.PORT]
    media[M_CONTROL] = row[f.CONTROL_PORT] or (row[f.PORT] + 1) & 0xFFFF
    media[M_BUNDLED] = media[M_SET_UP] = 0


@part
def _mark_bundled(offer, first):
    """The first port that two of the new media share: they are one stream."""
    for i in range(first, offer[O_COUNT]):
        for j in range(i + 1, offer[O_COUNT]):
            if offer[_place(i) + M_PORT] == offer[_place(j) + M_PORT]:
                for m in range(i, offer[O_COUNT]):
                    same = offer[_place(m) + M_PORT] == offer[_place(i) + M_PORT]
                    offer[_place(m) + M_BUNDLED] = 1 if same else 0
                return


@part
def _close_refused(offer, first):
    """An answer with port 0 refuses what was offered at its place (RFC 3264, 6)."""
    for i in range(first, offer[O_COUNT]):
        if offer[_place(i) + M_PORT] == 0:
            offer[_place(i - first) + M_PORT] = 0


@part
def _open_media(state, offer, set_up, frame):
    """RTP and RTCP once, as set up by the request; T.38 and SPRT each time, by this frame."""
    bundled = False
    for i in range(offer[O_COUNT]):
        media = offer[_place(i) : _place(i + 1)]
        family, high, low = media[M_FAMILY], media[M_HIGH], media[M_LOW]
        spoken, port = media[M_SPOKEN], media[M_PORT]
        if family == 0:
            continue
        if spoken == f.RTP and port and not media[M_SET_UP]:
            media[M_SET_UP] = 1
            if not (media[M_BUNDLED] and bundled):
                bundled = bundled or media[M_BUNDLED] != 0
                open_to_any(state, family, high, low, port, set_up)
                control = media[M_CONTROL]
                if control != port and not is_open_to_any(state, family, high, low, control):
                    open_to_any(state, family, high, low, control, set_up)
        elif spoken == f.SPRT or (spoken == f.T38 and port and family == 4):
            open_to_any(state, family, high, low, port, frame)
