"""TCP sequence analysis, one pass over the packets, with Wireshark's verdicts: every `tcp.analysis` column.

The definitions are those of Wireshark's user's guide ("TCP Analysis"), with the order and the odd corners
that tshark 4.0 shows. `tables` has our own, where these are known to be wrong.
"""

from __future__ import annotations

import numpy as np

from k8scap.parser.compiling import part
from k8scap.parser.conversations.segments import (
    BASE,
    COUNT,
    IN_ORDER,
    MOST,
    NONE,
    OTHERS,
    acknowledge,
    add_segment,
    before_or_at,
    beyond,
    count_anew,
    oldest,
    outstanding,
)
from k8scap.parser.decode.facts import (
    ABSENT,
    ACK_RAW,
    LAST_WINDOW_SCALE,
    MPTCP,
    SACK_BLOCKS,
    SACKED,
    SEGMENT_LENGTH,
    SEQ_RAW,
    SHOWN,
    TCP_FLAGS,
    TCP_STAGE,
    WHOLE,
    WINDOW_RAW,
)

(
    BASE_KNOWN, NEXT_SEQ, NEXT_SEQ_TIME, EXPECTED, LAST_ACK, LAST_ACK_TIME, DUPLICATES, WINDOW,
    SHIFT, AWAITS_ACK, IN_FLIGHT_KNOWN, LAST_VERDICTS, DELIVERED, BLOCKS, OPERATIONS,
) = range(BASE + 1, BASE + 16)  # fmt: skip
FLOW_SIZE = BASE + 16
"""A direction's row: what its sender has sent, acknowledged and offered, so far.

`NEXT_SEQ` is the highest number expected next, `EXPECTED` the end of what was seen without a hole,
`DUPLICATES` counts its duplicate ACKs (-1 after an ACK of unseen data), `SHIFT` is its window scale."""
UNKNOWN_SHIFT, NO_SHIFT = -1, -2

SYN_TIME, FIRST_ROUND_TRIP, ALL_OPERATIONS = range(3)
CONVERSATION_SIZE = 3

(
    RETRANSMISSION, FAST_RETRANSMISSION, SPURIOUS_RETRANSMISSION, OUT_OF_ORDER, LOST_SEGMENT,
    ACK_LOST_SEGMENT, DUPLICATE_ACK, KEEP_ALIVE, KEEP_ALIVE_ACK, ZERO_WINDOW, ZERO_WINDOW_PROBE,
    ZERO_WINDOW_PROBE_ACK, WINDOW_FULL, WINDOW_UPDATE, REUSED_PORTS,
) = (1 << bit for bit in range(15))  # fmt: skip
"""Verdicts, in the order of the schema's columns. Fast and spurious ones count as retransmissions too."""

ANALYSED, VERDICTS, ACK_RTT, RTO, BYTES_IN_FLIGHT = range(5)
ANSWER_SIZE = 5
"""What is said of one packet: whether anything is, verdicts as bits, times in nanoseconds, bytes."""

FIN, SYN, RST, ACK = 1, 2, 4, 16
_SYN_FIN_RST = SYN | FIN | RST
_U32 = 0xFFFFFFFF
_FAST = 20_000_000
_REORDERED_WITHIN = np.uint64(3_000_000)
_MOST_IN_FLIGHT = 2_000_000_000


@part
def new_flow(flow):
    """A direction of a new conversation."""
    for i in range(FLOW_SIZE):
        flow[i] = 0
    flow[IN_ORDER] = flow[IN_ORDER + 1] = flow[OTHERS] = flow[OTHERS + 1] = NONE
    flow[WINDOW], flow[SHIFT], flow[IN_FLIGHT_KNOWN] = _U32, UNKNOWN_SHIFT, 1


@part
def blank(answer):
    """Nothing said yet."""
    answer[ANALYSED], answer[VERDICTS] = 0, 0
    answer[ACK_RTT], answer[RTO], answer[BYTES_IN_FLIGHT] = ABSENT, ABSENT, ABSENT


@part
def _say(answer, verdict):
    answer[ANALYSED] = 1
    answer[VERDICTS] |= verdict


@part
def reuses_ports(forward, facts):
    """Whether this SYN opens another conversation on the same addresses and ports."""
    opens = facts[TCP_FLAGS] & (SYN | ACK) == SYN
    return opens and forward[BASE_KNOWN] and facts[SEQ_RAW] != forward[BASE]


@part
def is_heard(answer):
    """Whether Wireshark looks into the segment: not again, not out of order, and no keep-alive."""
    again = answer[VERDICTS] & (RETRANSMISSION | FAST_RETRANSMISSION | SPURIOUS_RETRANSMISSION)
    return again != RETRANSMISSION and not answer[VERDICTS] & (OUT_OF_ORDER | KEEP_ALIVE)


@part
def follow_segment(pool, forward, reverse, conversation, facts, time, answer):
    """Take one TCP header into the conversation's state; `answer` is what the reference says of it."""
    flags = facts[TCP_FLAGS]
    _handshake_again(pool, forward, facts, answer)
    forward[BLOCKS] = forward[DELIVERED] = 0
    if facts[SEGMENT_LENGTH] != ABSENT:
        _set_bases(forward, reverse, facts)
        _analyse(pool, forward, reverse, conversation, facts, time, answer)
    if facts[TCP_STAGE] < SHOWN:
        return
    _time_handshake(forward, conversation, flags, time)
    _remember_options(forward, facts)
    if facts[TCP_STAGE] == WHOLE and flags & SYN:
        _settle_shift(forward, reverse, flags)
    conversation[ALL_OPERATIONS] |= facts[MPTCP]


@part
def _handshake_again(pool, forward, facts, answer):
    """A SYN or SYN-ACK where one was seen before: the same one again, or another with another number."""
    kind = facts[TCP_FLAGS] & (SYN | ACK)
    if not forward[BASE_KNOWN]:
        return
    if kind == SYN:
        forward[NEXT_SEQ] = forward[EXPECTED]
        answer[ANALYSED] = 1
    elif kind == SYN | ACK and facts[SEQ_RAW] != forward[BASE]:
        count_anew(pool, forward, facts[SEQ_RAW])
        _say(answer, REUSED_PORTS)


@part
def _set_bases(forward, reverse, facts):
    """Relative numbers start at 0 with the SYN, at 1 where none was seen."""
    flags = facts[TCP_FLAGS]
    if not forward[BASE_KNOWN]:
        forward[BASE] = facts[SEQ_RAW] if flags & SYN else (facts[SEQ_RAW] - 1) & _U32
        forward[BASE_KNOWN] = 1
    if not reverse[BASE_KNOWN] and flags & ACK:
        reverse[BASE] = (facts[ACK_RAW] - 1) & _U32
        reverse[BASE_KNOWN] = 1


@part
def _time_handshake(forward, conversation, flags, time):
    if flags & SYN:
        if not flags & ACK:
            conversation[SYN_TIME] = time
        forward[AWAITS_ACK] = 1
    elif flags & ACK:
        if conversation[SYN_TIME] and not conversation[FIRST_ROUND_TRIP]:
            conversation[FIRST_ROUND_TRIP] = time - conversation[SYN_TIME]
        forward[AWAITS_ACK] = 0


@part
def _remember_options(forward, facts):
    if facts[LAST_WINDOW_SCALE] != ABSENT:
        forward[SHIFT] = facts[LAST_WINDOW_SCALE]
    if facts[SACK_BLOCKS]:
        forward[BLOCKS], forward[DELIVERED] = facts[SACK_BLOCKS], facts[SACKED]


@part
def _settle_shift(forward, reverse, flags):
    """Windows are scaled only where both SYNs say so."""
    if forward[SHIFT] == UNKNOWN_SHIFT:
        forward[SHIFT] = reverse[SHIFT] = NO_SHIFT
    elif flags & ACK and reverse[SHIFT] == NO_SHIFT:
        forward[SHIFT] = NO_SHIFT


@part
def _analyse(pool, forward, reverse, conversation, facts, time, answer):
    seq, ack, flags = facts[SEQ_RAW], facts[ACK_RAW], facts[TCP_FLAGS]
    length, window = facts[SEGMENT_LENGTH], facts[WINDOW_RAW]
    if flags & ACK:
        reverse[IN_FLIGHT_KNOWN] = 1
    _judge_window_and_ack(forward, reverse, conversation, seq, ack, length, window, flags, answer)
    if ack != forward[LAST_ACK]:
        forward[DUPLICATES] = 0
    _judge_acked_unseen(reverse, ack, flags, answer)
    if length > 0 or flags & (SYN | FIN):
        _judge_repetition(pool, forward, reverse, conversation, seq, length, flags, time, answer)
    _remember_segment(pool, forward, seq, length, flags, time, answer)
    forward[WINDOW], forward[LAST_ACK], forward[LAST_ACK_TIME] = window, ack, time
    if conversation[ALL_OPERATIONS]:
        forward[OPERATIONS] = conversation[ALL_OPERATIONS]
    forward[LAST_VERDICTS] = answer[VERDICTS]
    sent = acknowledge(pool, reverse, ack, ABSENT)
    if sent != ABSENT:
        answer[ANALYSED] = 1
        if time != sent:
            answer[ACK_RTT] = time - sent
    if length and forward[COUNT] and forward[IN_FLIGHT_KNOWN]:
        _count_in_flight(pool, forward, reverse, flags, answer)


@part
def _judge_window_and_ack(forward, reverse, conversation, seq, ack, length, window, flags, answer):
    """From the zero-window probe to the duplicate ACK; probes and answers to them end the questions."""
    expected = forward[NEXT_SEQ]
    plain = flags & _SYN_FIN_RST == 0
    if length == 1 and seq == expected and reverse[WINDOW] == 0:
        _say(answer, ZERO_WINDOW_PROBE)
        return
    if window == 0 and plain:
        _say(answer, ZERO_WINDOW)
    if expected and beyond(seq, expected) and not flags & RST:
        _say(answer, LOST_SEGMENT)
        forward[IN_FLIGHT_KNOWN] = 0
    if length <= 1 and seq == (expected - 1) & _U32 and plain:
        _say(answer, KEEP_ALIVE)
    repeats = length == 0 and seq == expected and ack == forward[LAST_ACK] and plain
    if repeats and window and window != forward[WINDOW]:
        _say(answer, WINDOW_UPDATE)
    if length > 0 and plain and _fills_window(reverse, seq + length):
        _say(answer, WINDOW_FULL)
    if not repeats or window != forward[WINDOW]:
        return
    if window and reverse[LAST_VERDICTS] & KEEP_ALIVE:
        _say(answer, KEEP_ALIVE_ACK)
    elif window == 0 and reverse[LAST_VERDICTS] & ZERO_WINDOW_PROBE:
        _say(answer, ZERO_WINDOW_PROBE_ACK)
    elif window and forward[OPERATIONS] == conversation[ALL_OPERATIONS]:
        # Multipath TCP repeats ACKs to carry its options (RFC 8684, 4)
        forward[DUPLICATES] = 1 if forward[DUPLICATES] == -1 else forward[DUPLICATES] + 1
        _say(answer, DUPLICATE_ACK)


@part
def _fills_window(reverse, end):
    """Whether data goes exactly up to the edge of what the other side offered, where its scale is known."""
    if reverse[SHIFT] == UNKNOWN_SHIFT:
        return False
    shift = 0 if reverse[AWAITS_ACK] or reverse[SHIFT] == NO_SHIFT else reverse[SHIFT]
    return end & _U32 == (reverse[LAST_ACK] + (reverse[WINDOW] << shift)) & _U32


@part
def _judge_acked_unseen(reverse, ack, flags, answer):
    """An ACK beyond what the other side was seen to send; said once for each gap."""
    if not (flags & ACK and reverse[EXPECTED] and beyond(ack, reverse[EXPECTED])):
        return
    answer[ANALYSED] = 1
    if beyond(reverse[NEXT_SEQ], reverse[EXPECTED]):
        reverse[EXPECTED] = reverse[NEXT_SEQ]
        _say(answer, ACK_LOST_SEGMENT)
        return
    if reverse[DUPLICATES] == 0:
        _say(answer, ACK_LOST_SEGMENT)
    reverse[DUPLICATES] = -1


@part
def _judge_repetition(pool, forward, reverse, conversation, seq, length, flags, time, answer):
    """What does not advance is spurious, fast, out of order, or simply sent again: the first that fits."""
    expected = forward[NEXT_SEQ]
    if answer[VERDICTS] & KEEP_ALIVE:
        return
    if length > 0 and reverse[LAST_ACK] and before_or_at((seq + length) & _U32, reverse[LAST_ACK]):
        _say(answer, RETRANSMISSION | SPURIOUS_RETRANSMISSION)
        return
    repeats = expected != 0 and beyond(expected, seq)
    if not repeats or (length > 1 and (expected - 1) & _U32 == seq):
        return
    since_ack = time - reverse[LAST_ACK_TIME]
    if (
        (reverse[DUPLICATES] >= 2 or reverse[DUPLICATES] == -1)
        and reverse[LAST_ACK] == seq
        and 0 <= since_ack < _FAST
    ):
        _say(answer, RETRANSMISSION | FAST_RETRANSMISSION)
        return
    limit = _REORDERED_WITHIN
    if conversation[FIRST_ROUND_TRIP]:
        limit = np.uint64(conversation[FIRST_ROUND_TRIP])
    end = (seq + length + (1 if flags & (SYN | FIN) else 0)) & _U32
    if np.uint64(time - forward[NEXT_SEQ_TIME]) < limit and expected != end:
        _say(answer, OUT_OF_ORDER)
        return
    _say(answer, RETRANSMISSION)
    first = oldest(pool, forward)
    since = time - (forward[NEXT_SEQ_TIME] if first == NONE else pool.time[first])
    if since:
        answer[RTO] = since


@part
def _remember_segment(pool, forward, seq, length, flags, time, answer):
    following = (seq + length) & _U32
    if (length or flags & (SYN | FIN)) and forward[COUNT] < MOST:
        if flags & (SYN | FIN):
            following = (following + 1) & _U32
        add_segment(pool, forward, seq, following, time)
    if answer[VERDICTS] & ZERO_WINDOW_PROBE:
        return
    if not forward[NEXT_SEQ] or beyond(following, forward[NEXT_SEQ]):
        forward[NEXT_SEQ], forward[NEXT_SEQ_TIME] = following, time
    if not forward[EXPECTED] or seq == forward[EXPECTED]:
        forward[EXPECTED] = forward[NEXT_SEQ]


@part
def _count_in_flight(pool, forward, reverse, flags, answer):
    """Bytes sent and not acknowledged, less those that SACK blocks say have arrived."""
    answer[ANALYSED] = 1
    amount = outstanding(pool, forward)
    if reverse[BLOCKS]:
        amount = (amount - reverse[DELIVERED]) & _U32
    if 0 < amount < _MOST_IN_FLIGHT:
        amount -= 1 if flags & (SYN | FIN) else 0
        if amount:
            answer[BYTES_IN_FLIGHT] = amount
