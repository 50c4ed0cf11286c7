"""Which side of its connections a capture stands on, and which frames its own side sent.

Three witnesses, the strongest first. The handshake: what lies beyond the capture point answers a path
later, what is near answers at once. The hop counts: a packet that has just left its host bears a full 64,
128 or 255 (RFC 1700, and every system since). Checksums that were left to the card: only who sends shows
them unfinished.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from k8scap.tables.segments import Segments

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

UNKNOWN, CLIENT, SERVER, MIDDLE = 0, 1, 2, 3
SIDES = ("", "client", "server", "middle")

NEARER = 5.0
"""One half of the handshake must be so many times the other to tell the near side."""
FAR_NS = 200_000
"""Nanoseconds: a half shorter than this may be the machine's own, and tells nothing."""
FULL_HOPS = (64, 128, 255)
AGREED = 0.9
"""Share of the connections that tell a side, which must tell the same one."""


def standpoint(segments: Segments, packets: pd.DataFrame) -> Ints:
    """For each connection, where it was captured: UNKNOWN, CLIENT, SERVER or MIDDLE (int64).

    CLIENT: on the host of who began it. `packets` is the table that `segments` was made of.
    """
    import numpy as np

    toward_server, toward_client = _halves(segments)
    longer = np.maximum(toward_server, toward_client)
    known = (toward_server >= 0) & (toward_client >= 0) & (longer >= FAR_NS)
    answer = np.where(known, MIDDLE, UNKNOWN)
    answer = np.where(known & (toward_server >= NEARER * toward_client), CLIENT, answer)
    answer = np.where(known & (toward_client >= NEARER * toward_server), SERVER, answer)
    for ask in (_by_hops, _by_checksums):
        if not ((answer == UNKNOWN) | (answer == MIDDLE)).any():
            break
        witness = ask(segments, packets)
        # a full hop count or an unfinished checksum proves nearness; a half that a queue stretched does not
        vague = (answer == UNKNOWN) | ((answer == MIDDLE) & ((witness == CLIENT) | (witness == SERVER)))
        answer = np.where(vague, witness, answer)
    return answer.astype(np.int64)


def agreed(sides: Ints) -> str:
    """The one side that nearly all connections tell which tell any; empty where they differ, or none does."""
    import numpy as np

    counts = np.bincount(sides, minlength=len(SIDES))
    counts[UNKNOWN] = 0
    best = int(counts.argmax())
    return SIDES[best] if counts[best] and counts[best] >= AGREED * counts.sum() else ""


def sent_here(segments: Segments, packets: pd.DataFrame, sides: Ints) -> Ints:
    """For each segment 1 (its sender is on the capture's own side), 0 (it came from outside), -1 (unknown).

    The link type's own word (the column `direction`) where there is one, else the connection's side.
    """
    import numpy as np

    side = sides[segments.flow] if len(segments) else np.zeros(0, dtype=np.int64)
    by_side = np.select(
        [side == CLIENT, side == SERVER],
        [segments.from_client.astype(np.int64), (~segments.from_client).astype(np.int64)],
        default=-1,
    )
    if "direction" not in packets:
        return by_side
    words = packets["direction"].astype("category")
    codes = np.asarray(words.cat.codes)[segments.row]
    told = np.array([{"out": 1, "in": 0}.get(str(word), -1) for word in words.cat.categories] + [-1])
    return np.where(told[codes] >= 0, told[codes], by_side)


def _halves(segments: Segments) -> tuple[Ints, Ints]:
    """Nanoseconds from the SYN to its answer, and from that to the client's acknowledgment; -1 unknown."""
    import numpy as np

    if not len(segments):
        none = np.zeros(0, dtype=np.int64)
        return none, none
    found = segments.handshakes
    time = segments.time
    once = np.bincount(segments.flow[segments.has(_SYN)], minlength=segments.flows) == 2
    there = once & (found.syn >= 0) & (found.syn_ack >= 0)
    first = np.where(there, time[found.syn_ack] - time[found.syn], -1)
    second = np.where(there & (found.ack >= 0), time[found.ack] - time[found.syn_ack], -1)
    return first, second


_SYN = 0x02


def _by_hops(segments: Segments, packets: pd.DataFrame) -> Ints:
    """The side whose packets bear a full hop count, where the other's do not; MIDDLE where neither does."""
    import numpy as np

    from k8scap.tables.assembly import integers

    if "ttl" not in packets or not len(segments):
        return np.zeros(segments.flows, dtype=np.int64)
    hops = integers(packets["ttl"], absent=-1)[segments.row]
    full = np.isin(hops, FULL_HOPS)
    client, server = (
        _share(segments, mask & (hops >= 0), full) for mask in (segments.from_client, ~segments.from_client)
    )
    return np.select(
        [(client == 1) & (server == 0), (client == 0) & (server == 1), (client == 0) & (server == 0)],
        [CLIENT, SERVER, MIDDLE],
        default=UNKNOWN,
    )


def _by_checksums(segments: Segments, packets: pd.DataFrame) -> Ints:
    """The side all of whose checksums are unfinished, where all of the other's are right."""
    import numpy as np

    if "transport_checksum_ok" not in packets or not len(segments):
        return np.zeros(segments.flows, dtype=np.int64)
    right = packets["transport_checksum_ok"].to_numpy(dtype=np.int8, na_value=-1)[segments.row]
    client, server = (
        _share(segments, mask & (right >= 0), right == 0)
        for mask in (segments.from_client, ~segments.from_client)
    )
    return np.select(
        [(client == 1) & (server == 0), (client == 0) & (server == 1)], [CLIENT, SERVER], default=UNKNOWN
    )


def _share(segments: Segments, among: Bools, those: Bools) -> npt.NDArray[np.float64]:
    """By connection: the share of `those` among some of its segments, -1 where there are none of them."""
    import numpy as np

    total = np.bincount(segments.flow[among], minlength=segments.flows)
    some = np.bincount(segments.flow[among & those], minlength=segments.flows)
    return np.where(total > 0, some / np.maximum(total, 1), -1.0)
