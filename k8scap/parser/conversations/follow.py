"""Facts → numbers of the table: addresses, tunnels and conversations get numbers, TCP its analysis.

State is carried over from block to block; a capture read in blocks of any size gives the same numbers.
"""

from __future__ import annotations

import numpy as np

from k8scap.parser.compiling import kernel, part
from k8scap.parser.conversations import sequence as q
from k8scap.parser.conversations.interning import intern
from k8scap.parser.conversations.openings import number_unnumbered, open_to_any_port
from k8scap.parser.conversations.relays import relayed_port
from k8scap.parser.conversations.segments import BASE
from k8scap.parser.conversations.state import (
    E_DST,
    E_DST_CODE,
    E_DST_MAC,
    E_PAIR,
    E_SIDE,
    E_SRC,
    E_SRC_CODE,
    E_SRC_MAC,
    KEY,
    KEY_SIZE,
    RECENT,
    SUPERSEDED,
    TILE,
)
from k8scap.parser.conversations.transactions import hear
from k8scap.parser.decode import facts as f
from k8scap.parser.decode.socks import SOCKS_PORT
from k8scap.parser.table.places import (
    ACK,
    ACK_RAW,
    ACK_RTT,
    BYTES_IN_FLIGHT,
    DST,
    DST_MAC,
    FOLLOWED,
    FROM,
    INITIAL_RTT,
    OUTER_DST,
    OUTER_SRC,
    PROTOCOL,
    RTO,
    SACK_LEFT,
    SACK_RIGHT,
    SEQ,
    SRC,
    SRC_MAC,
    STREAM,
    TCP_FLAGS,
    TUNNEL_PATH,
    VERDICTS,
    WINDOW,
)

_U32 = 0xFFFFFFFF


@kernel
def follow(rows, count, time, begin, before, numbers, state):
    """Take `count` rows of facts into the state; frame i's numbers go to numbers[:FOLLOWED, i - begin].

    `time`: int64 nanoseconds by frame, modulo 2^64; `before`: how many frames came before `begin`; `numbers`:
    int64[FOLLOWED or more, frames or more].
    """
    path, outer_src, outer_dst = np.int64(-1), f.ABSENT, f.ABSENT
    frame = np.int64(-1)
    for k in range(count):
        facts = rows[k]
        if facts[f.FRAME] != frame:
            frame = facts[f.FRAME]
            path, outer_src, outer_dst = np.int64(-1), f.ABSENT, f.ABSENT
        role = facts[f.ROLE]
        if role == f.MEDIA:
            continue
        entry = state.recent[_recent(state, facts)]
        if role == f.MAIN:
            place = (frame - begin) % TILE
            if place == 0 and frame > begin:
                _lay(state.tile, numbers, frame - begin - TILE, TILE)
            column = state.tile[:, place]
            for i in range(len(FROM)):
                column[i] = facts[FROM[i]]
            for i in range(len(FROM), FOLLOWED):
                column[i] = f.ABSENT
            if facts[f.PROTOCOL] != f.ABSENT:
                column[PROTOCOL] = _protocol(state, facts[f.PROTOCOL])
            column[SRC], column[DST] = entry[E_SRC], entry[E_DST]
            _fill_macs(state, facts, entry, column)
            column[OUTER_SRC], column[OUTER_DST] = outer_src, outer_dst
            if path >= 0:
                column[TUNNEL_PATH] = path
            _follow_flow(state, facts, entry, time[frame], column)
            continue
        if role > f.QUOTED:
            _take_announced(state, rows, k, entry, before + frame - begin + 1)
            continue
        if role == f.OUTER:
            if path < 0:
                outer_src, outer_dst = entry[E_SRC], entry[E_DST]
            if facts[f.PENDING] > 1:
                path = _deeper(state, path, facts[f.SECOND_TUNNEL_KIND], facts[f.SECOND_TUNNEL_ID])
            path = _deeper(state, path, facts[f.TUNNEL_KIND], facts[f.TUNNEL_ID])
        _follow_flow(state, facts, entry, time[frame], state.tile[:0, 0])
    if count:
        rest = (frame - begin) % TILE + 1
        _lay(state.tile, numbers, frame - begin + 1 - rest, rest)


@part
def _lay(tile, numbers, first, count):
    """Copy a tile's columns to where they belong."""
    for i in range(len(tile)):
        there, here = numbers[i, first : first + count], tile[i]
        for j in range(count):
            there[j] = here[j]


@part
def _recent(state, facts):
    """Where it stands what is known of the packet's addresses and ports: as seen recently, or found out."""
    low = facts[f.SRC_LOW] * 31 + facts[f.DST_LOW]
    place = (low ^ (low >> 15) ^ facts[f.SRC_PORT] * 7 ^ facts[f.DST_PORT]) & (RECENT - 1)
    entry = state.recent[place]
    for i in range(KEY_SIZE):
        if entry[i] != facts[KEY[i]]:
            break
    else:
        return place
    for i in range(KEY_SIZE):
        entry[i] = facts[KEY[i]]
    entry[E_SRC] = _address(state, facts, f.SRC_SEEN, f.SRC_HIGH, f.SRC_LOW)
    entry[E_DST] = _address(state, facts, f.DST_SEEN, f.DST_HIGH, f.DST_LOW)
    entry[E_PAIR] = -1
    entry[E_SRC_MAC] = entry[E_DST_MAC] = -1
    if facts[f.FLOW] != f.NO_FLOW:
        entry[E_PAIR], entry[E_SIDE] = _pair(state, facts, entry[E_SRC], entry[E_DST])
    return place


@part
def _address(state, facts, seen, high, low):
    """The number of an address, `ABSENT` where the header was cut off before it."""
    if not facts[seen]:
        return f.ABSENT
    return intern(state.addresses, facts[f.NETWORK], facts[high], facts[low])


@part
def _protocol(state, code):
    if state.protocol_of[code] == 0:
        state.protocol_of[code] = intern(state.protocols, 0, 0, code) + 1
    return state.protocol_of[code] - 1


@part
def _fill_macs(state, facts, entry, column):
    if facts[f.SRC_MAC] != entry[E_SRC_MAC]:
        entry[E_SRC_MAC], entry[E_SRC_CODE] = facts[f.SRC_MAC], _mac(state, facts[f.SRC_MAC])
    if facts[f.DST_MAC] != entry[E_DST_MAC]:
        entry[E_DST_MAC], entry[E_DST_CODE] = facts[f.DST_MAC], _mac(state, facts[f.DST_MAC])
    column[SRC_MAC], column[DST_MAC] = entry[E_SRC_CODE], entry[E_DST_CODE]


@part
def _mac(state, number):
    return f.ABSENT if number == f.ABSENT else intern(state.macs, 0, 0, number)


@part
def _deeper(state, path, kind, number):
    return intern(state.paths, path, kind, number)


@part
def _follow_flow(state, facts, entry, time, column):
    """Number the row's conversation; `column` is empty for rows that fill nothing."""
    if facts[f.FLOW] == f.NO_FLOW:
        return
    pair = entry[E_PAIR]
    if facts[f.FLOW] == f.TCP_FLOW:
        stream = _follow_tcp(state, facts, pair, entry[E_SIDE], time, column)
    else:
        stream = state.stream_of[pair] - 1
        if stream < 0:
            stream = number_unnumbered(state, facts, pair, entry[E_SIDE])
    if len(column):
        column[STREAM] = stream
    if facts[f.SUPERSEDES] and state.standing[pair] != SUPERSEDED:
        state.standing[pair], state.stream_of[pair] = SUPERSEDED, 0


@part
def _take_announced(state, rows, k, entry, frame):
    """What the payload of the packet before says of conversations to come; `frame` counts from 1."""
    if rows[k, f.ROLE] == f.SAID:
        if rows[k, f.FLOW] != f.TCP_FLOW or q.is_heard(state.answer):
            hear(state, rows, k, entry[E_SRC], entry[E_DST], frame)
    elif rows[k, f.ROLE] == f.RELAYED:
        if q.is_heard(state.answer):
            _relay(state, rows[k], entry, frame)
    else:
        open_to_any_port(state, rows[k], entry[E_PAIR], entry[E_SIDE], frame)


@part
def _relay(state, row, entry, frame):
    """What a proxy relays has a stream of its own, from the client's port to the remote one."""
    stream = state.stream_of[entry[E_PAIR]] - 1
    client_sends = row[f.DST_PORT] == SOCKS_PORT
    port = relayed_port(state, row, stream, frame)
    if port >= 0:
        row[f.DST_PORT if client_sends else f.SRC_PORT] = port
        pair, _ = _pair(state, row, entry[E_SRC], entry[E_DST])
        if state.stream_of[pair] == 0:
            _new_stream(state, pair)


@part
def _pair(state, facts, src, dst):
    """The conversation's number, and which of its two sides sent this."""
    if facts[f.END_LOW] != facts[f.DST_LOW] or facts[f.END_HIGH] != facts[f.DST_HIGH]:
        dst = intern(state.addresses, facts[f.NETWORK], facts[f.END_HIGH], facts[f.END_LOW])
    if facts[f.FROM_LOW] != facts[f.SRC_LOW] or facts[f.FROM_HIGH] != facts[f.SRC_HIGH]:
        src = intern(state.addresses, facts[f.NETWORK], facts[f.FROM_HIGH], facts[f.FROM_LOW])
    source, destination = facts[f.SRC_PORT], facts[f.DST_PORT]
    side = np.int64(src > dst or (src == dst and source > destination))
    if side:
        src, dst, source, destination = dst, src, destination, source
    return intern(state.pairs, (src << 8) | facts[f.FLOW], dst, (source << 16) | destination), side


@part
def _follow_tcp(state, facts, pair, side, time, column):
    """The TCP stream's number; fills what TCP's header and its analysis say."""
    stream = state.stream_of[pair] - 1
    answer = state.answer
    q.blank(answer)
    if stream < 0:
        stream = _new_stream(state, pair)
    elif q.reuses_ports(state.flows[2 * stream + side], facts):
        stream = _new_stream(state, pair)
        answer[q.ANALYSED], answer[q.VERDICTS] = 1, q.REUSED_PORTS
    forward, reverse = state.flows[2 * stream + side], state.flows[2 * stream + 1 - side]
    conversation = state.conversations[stream]
    shift = forward[q.SHIFT]
    q.follow_segment(state.pool, forward, reverse, conversation, facts, time, answer)
    if len(column):
        _fill_header(facts, forward, reverse, shift, column)
        if answer[q.ANALYSED] and facts[f.TCP_STAGE] == f.WHOLE:
            _fill_analysis(answer, conversation, column)
    return stream


@part
def _new_stream(state, pair):
    stream = state.counts[0]
    state.counts[0] += 1
    state.stream_of[pair] = stream + 1
    q.new_flow(state.flows[2 * stream])
    q.new_flow(state.flows[2 * stream + 1])
    for i in range(q.CONVERSATION_SIZE):
        state.conversations[stream, i] = 0
    return stream


@part
def _fill_header(facts, forward, reverse, shift, column):
    """Sequence numbers are relative, and windows scaled, only where the segment's length is known."""
    known = facts[f.SEGMENT_LENGTH] != f.ABSENT
    flags = facts[f.TCP_FLAGS]
    column[SEQ] = (facts[f.SEQ_RAW] - forward[BASE]) & _U32 if known else facts[f.SEQ_RAW]
    if facts[f.TCP_STAGE] < f.SHOWN:
        return
    relative = known and flags & q.ACK
    column[ACK] = (facts[f.ACK_RAW] - reverse[BASE]) & _U32 if relative else facts[f.ACK_RAW]
    column[ACK_RAW], column[TCP_FLAGS] = facts[f.ACK_RAW], flags
    scales = known and shift >= 0 and not flags & q.SYN
    column[WINDOW] = facts[f.WINDOW_RAW] << shift if scales else facts[f.WINDOW_RAW]
    if facts[f.SACK_LEFT] != f.ABSENT:
        column[SACK_LEFT] = (facts[f.SACK_LEFT] - reverse[BASE]) & _U32
    if facts[f.SACK_RIGHT] != f.ABSENT:
        column[SACK_RIGHT] = (facts[f.SACK_RIGHT] - reverse[BASE]) & _U32


@part
def _fill_analysis(answer, conversation, column):
    if answer[q.VERDICTS]:
        column[VERDICTS] = answer[q.VERDICTS]
    column[ACK_RTT], column[RTO] = answer[q.ACK_RTT], answer[q.RTO]
    column[BYTES_IN_FLIGHT] = answer[q.BYTES_IN_FLIGHT]
    if conversation[q.FIRST_ROUND_TRIP]:
        column[INITIAL_RTT] = conversation[q.FIRST_ROUND_TRIP]
