"""The three segments that open each TCP connection, and how long they took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8scap.tables.assembly import ABSENT
from k8scap.tables.segments import ACK, RST, SYN

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from k8scap.tables.segments import Segments

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Handshakes:
    """One array element a connection: indices of segments (-1: not captured) and nanoseconds (or ABSENT).

    `syn` is the first SYN, `syn_ack` the first SYN-ACK, `ack` the client's first acknowledgment of it.
    `server_half` is SYN → SYN-ACK and `client_half` SYN-ACK → ACK, each from the copy that was answered: the
    waits for repeated ones are no part of them. `round_trip` is both. `connect` is what the client waited:
    from the first SYN to the ACK.
    """

    syn: Ints
    syn_ack: Ints
    ack: Ints
    server_half: Ints
    client_half: Ints
    round_trip: Ints
    connect: Ints


def handshakes(segments: Segments) -> Handshakes:
    """The handshakes of all connections, as seen at the capture point.

    Which copy of a repeated SYN was answered is told by the echoed timestamp (RFC 7323) where there is one,
    else it is the last one before the answer.
    """
    import numpy as np

    index = np.arange(len(segments))
    kind = segments.flags & (SYN | ACK | RST)
    syns = index[segments.from_client & (kind == SYN)]
    answers = index[~segments.from_client & (kind == SYN | ACK)]
    syn, syn_ack = _first(segments, syns), _first(segments, answers)
    ack = _first(segments, index[_completes(segments, syn, syn_ack)])
    answered = _answered(segments, syns, syn_ack)
    completed = _answered(segments, answers, ack)
    server = _between(segments, answered, syn_ack)
    client = _between(segments, completed, ack)
    both = (server != ABSENT) & (client != ABSENT)
    time = segments.time
    connect = time[ack] - time[syn] if len(segments) else syn
    return Handshakes(
        syn,
        syn_ack,
        ack,
        server,
        client,
        np.where(both, server + client, ABSENT),
        np.where((syn >= 0) & (ack >= 0), connect, ABSENT),
    )


def _between(segments: Segments, earlier: Ints, later: Ints) -> Ints:
    """Nanoseconds from one segment to another, ABSENT where either is missing."""
    import numpy as np

    span = segments.time[later] - segments.time[earlier] if len(segments) else later
    return np.where((earlier >= 0) & (later >= 0), span, ABSENT)


def _first(segments: Segments, indices: Ints) -> Ints:
    """Of these segments, the first of each connection, -1 where it has none."""
    import numpy as np

    result = np.full(segments.flows, -1, dtype=np.int64)
    flows, first = np.unique(segments.flow[indices], return_index=True)
    result[flows] = indices[first]
    return result


def _completes(segments: Segments, syn: Ints, syn_ack: Ints) -> Bools:
    """The client's acknowledgments of the SYN-ACK (where that is missing, all after the SYN)."""
    import numpy as np

    if not len(segments):
        return np.zeros(0, dtype=bool)
    flow, index = segments.flow, np.arange(len(segments))
    acknowledges = segments.from_client & (segments.flags & (SYN | ACK | RST) == ACK)
    known = syn_ack[flow] >= 0
    covers = known & (index > syn_ack[flow]) & (segments.ack >= segments.end[syn_ack[flow]])
    unseen = ~known & (syn[flow] >= 0) & (index > syn[flow])
    answer: Bools = acknowledges & (covers | unseen)
    return answer


def _answered(segments: Segments, copies: Ints, answer: Ints) -> Ints:
    """Of the copies (a SYN's, a SYN-ACK's) before each connection's answer, the one that it answers."""
    import numpy as np

    result = np.full(segments.flows, -1, dtype=np.int64)
    if not len(segments):
        return result
    flow = segments.flow[copies]
    copies = copies[copies < answer[flow]]
    flow = segments.flow[copies]
    result[flow] = copies  # ascending: the last one stays
    echoed = segments.tsecr[answer[flow]]
    named = copies[(segments.tsval[copies] == echoed) & (echoed > 0)]
    result[segments.flow[named]] = named
    return result
