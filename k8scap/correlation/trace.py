"""What one point saw, as arrays: of each packet what survives NAT, and the conversation it belongs to.

Addresses and ports may be rewritten between two points, and so may IP identifications, TTL and checksums.
What stays is what the ends agreed upon: raw sequence and acknowledgment numbers, timestamps, flags and
length in TCP (RFC 9293, RFC 7323), the payload in UDP.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

from k8scap.tables.segments import LOWEST, RST

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Ints = npt.NDArray[np.int64]
    Words = npt.NDArray[np.uint64]
    Bools = npt.NDArray[np.bool_]

TCP, UDP, ICMP = 6, 17, 1
PROTOCOLS = {TCP: "TCP", UDP: "UDP", ICMP: "ICMP"}
NEEDED = ("icmp_type", "icmp_code", "ttl")
"""Columns of the packets table, beside those of `tables.segments`."""
AGAIN_WITHIN = (1_000_000_000, 10_000_000, 100_000)
"""Nanoseconds within which an equal packet is the same once more: with the same timestamp and identification,
with the same identification only (some senders keep it when they send again, RFC 1122, 3.2.1.5), and where
identifications tell nothing (IPv6, zero): then two acknowledgments in a row may be equal, too."""
_MULTIPLIER = 0x9E3779B97F4A7C15  # 2^64 divided by the golden ratio, which spreads neighbouring numbers


@dataclass(frozen=True, eq=False)
class Trace:
    """The TCP, UDP and ICMP packets of one point, those of a conversation together, in capture order.

    `row` is the position in the packets table; `conversation` counts from 0 over all protocols; `forward`
    tells who sent it: true for the side that began, as this point saw it. `content` is a hash of what
    survives NAT. `stream` is Wireshark's, ABSENT in ICMP. `seq`, `end` and `ack` are TCP's, unwrapped (LOWEST
    where there is none); `ttl`, `ip_id`, `tsval` -1 where absent. `sender` and `receiver` are codes of
    addresses that all points share, ports -1 where there is none. Times are nanoseconds since 1970, by this
    point's clock.
    """

    row: Ints
    number: Ints
    time: Ints
    stream: Ints
    conversation: Ints
    forward: Bools
    content: Words
    protocol: Ints
    flags: Ints
    seq: Ints
    end: Ints
    ack: Ints
    payload: Ints
    tsval: Ints
    ip_id: Ints
    ttl: Ints
    sender: Ints
    receiver: Ints
    sender_port: Ints
    receiver_port: Ints

    def __len__(self) -> int:
        return len(self.row)

    @cached_property
    def conversations(self) -> int:
        return int(self.conversation[-1]) + 1 if len(self) else 0

    @cached_property
    def starts(self) -> Ints:
        """Index of each conversation's first packet."""
        import numpy as np

        return np.searchsorted(self.conversation, np.arange(self.conversations)).astype(np.int64)

    @cached_property
    def again(self) -> Bools:
        """Packets that the point saw before: on another interface, before NAT, or copied on the way.

        Equal in content and IP identification, and soon after the first; see `AGAIN_WITHIN`.
        """
        import numpy as np

        told_apart = self.protocol == TCP  # by their content; other packets of two conversations may be alike
        apart = np.where(told_apart, -1, 2 * self.conversation + self.forward)
        word = digest(self.content, self.ip_id, apart)
        alike = _not_alone(word)
        alike = alike[np.lexsort((self.time[alike], word[alike]))]
        word, time = word[alike], self.time[alike]
        telling = self.ip_id[alike] > 0
        within = np.where(telling, np.where(self.tsval[alike] >= 0, *AGAIN_WITHIN[:2]), AGAIN_WITHIN[2])
        answer = np.zeros(len(self), dtype=bool)
        answer[alike[1:]] = (word[1:] == word[:-1]) & (np.diff(time) <= within[1:])
        return answer

    def take(self, rows: Ints | Bools) -> Trace:
        """Some of the packets, renumbering nothing."""
        return Trace(*(getattr(self, field.name)[rows] for field in fields(self)))


def _not_alone(word: Words) -> Ints:
    """Rows whose word another row has too."""
    import numpy as np

    order = np.argsort(word)
    differs = np.ones(len(order) + 1, dtype=bool)
    differs[1:-1] = word[order][1:] != word[order][:-1]
    rows: Ints = order[~(differs[1:] & differs[:-1])]
    return rows


def digest(*keys: Ints | Words | Bools) -> Words:
    """One 64-bit number a row: equal rows have equal ones, others practically never."""
    import numpy as np

    mixed = np.zeros(len(keys[0]), dtype=np.uint64)
    for key in keys:
        mixed = (mixed ^ key.astype(np.uint64)) * np.uint64(_MULTIPLIER)
        mixed ^= mixed >> np.uint64(29)
    return mixed


def trace(packets: pd.DataFrame, heads: Callable[[pd.DataFrame], Words], addresses: pd.Index) -> Trace:
    """One point's packets as a `Trace`.

    `heads` gives a hash of the first payload bytes for rows of UDP; `addresses` are those of all points.
    Fragments behind the first, and what is neither TCP, UDP nor ICMP, are left out.
    """
    import numpy as np

    tcp, udp, icmp = _tcp(packets), _udp(packets, heads), _icmp(packets, addresses)
    parts = [part for part in (tcp, udp, icmp) if len(part["row"])] or [tcp]
    first = np.cumsum([0, *(part["conversation"].max(initial=-1) + 1 for part in parts)])
    for part, begin in zip(parts, first, strict=False):
        part["conversation"] = part["conversation"] + begin
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return Trace(**joined, **_common(packets, joined["row"], addresses))


def _common(packets: pd.DataFrame, row: Ints, addresses: pd.Index) -> dict[str, Any]:
    """The columns that are read alike whatever the protocol."""
    from k8scap.tables.assembly import integers, nanoseconds
    from k8scap.tables.endpoints import NO_PORT, endpoints, frame_numbers

    ends = endpoints(packets).take(row)
    place = _with_none(addresses.get_indexer(ends.addresses.categories))
    return {
        "number": frame_numbers(packets)[row],
        "time": nanoseconds(packets["time"])[row],
        "stream": integers(packets["stream"])[row],
        "ip_id": integers(packets["ip_id"], absent=-1)[row],
        "ttl": integers(packets["ttl"], absent=-1)[row],
        "sender": place[ends.src],
        "receiver": place[ends.dst],
        "sender_port": integers(packets["src_port"], absent=NO_PORT)[row],
        "receiver_port": integers(packets["dst_port"], absent=NO_PORT)[row],
    }


def _with_none(place: npt.NDArray[np.intp]) -> Ints:
    """Codes of addresses, with -1 at the end so that the code -1 (no address) stays -1."""
    import numpy as np

    return np.append(place, -1).astype(np.int64)


def _tcp(packets: pd.DataFrame) -> dict[str, Any]:
    import numpy as np

    from k8scap.tables.assembly import integers
    from k8scap.tables.segments import segments

    found = segments(packets, what="correlate", twice=True)
    raw = {name: integers(packets[name], absent=-1)[found.row] for name in ("seq_raw", "ack_raw")}
    # a SACK block is told relative to a first number that one point may not have seen: its distance stays
    sack = np.where(found.sack_left == LOWEST, -1, found.sack_left - found.ack)
    content = digest(
        np.full(len(found), TCP), raw["seq_raw"], raw["ack_raw"], found.payload, found.flags, found.tsval,
        found.tsecr, sack,
    )  # fmt: skip
    payload = integers(packets["payload_length"], absent=0)[found.row]
    return {
        "row": found.row,
        "conversation": found.flow,
        "forward": found.from_client,
        "content": content,
        "protocol": np.full(len(found), TCP),
        "flags": found.flags,
        "seq": found.seq,
        "end": np.where(found.has(RST), found.seq, found.end),
        "ack": found.ack,
        "payload": payload,
        "tsval": found.tsval,
    }


def _udp(packets: pd.DataFrame, heads: Callable[[pd.DataFrame], Words]) -> dict[str, Any]:
    from k8scap.tables.assembly import integers
    from k8scap.tables.endpoints import dense

    usable = (packets["protocol"] == "UDP") & packets["stream"].notna() & packets["src_port"].notna()
    rows = _rows(packets, usable)
    chosen = packets.iloc[rows]
    group = dense(integers(chosen["stream"]))
    payload = integers(chosen["payload_length"], absent=0)
    content = (payload, heads(chosen))
    return _plain(packets, rows, group, protocol=UDP, content=content, payload=payload)


def _icmp(packets: pd.DataFrame, addresses: pd.Index) -> dict[str, Any]:
    """ICMP has no streams: what two addresses say to each other is one conversation.

    Without an IP identification (IPv6) only the addresses tell one message from another.
    """
    import numpy as np

    from k8scap.tables.assembly import integers
    from k8scap.tables.endpoints import dense, endpoints

    usable = packets["protocol"].isin(["ICMP", "ICMPv6"]) & packets["src"].notna() & packets["dst"].notna()
    rows = _rows(packets, usable)
    chosen = packets.iloc[rows]
    ends = endpoints(packets).take(rows)
    group = dense(np.minimum(ends.src, ends.dst), np.maximum(ends.src, ends.dst))
    place = _with_none(addresses.get_indexer(ends.addresses.categories))
    between = digest(place[ends.src], place[ends.dst])
    identification = integers(chosen["ip_id"], absent=-1)
    told_by = np.where(identification > 0, identification.astype(np.uint64), between)
    kind = integers(chosen["icmp_type"], absent=-1)
    content = (kind, integers(chosen["icmp_code"], absent=-1), told_by)
    none = np.zeros(len(rows), dtype=np.int64)
    return _plain(packets, rows, group, protocol=ICMP, content=content, payload=none)


def _plain(
    packets: pd.DataFrame,
    rows: Ints,
    group: Ints,
    *,
    protocol: int,
    content: tuple[Ints | Words, ...],
    payload: Ints,
) -> dict[str, Any]:
    """What has no sequence numbers: packets of `group`, which numbers the conversations."""
    import numpy as np

    from k8scap.tables.endpoints import endpoints, from_initiator, group_starts

    together = np.argsort(group, kind="stable")
    rows, group = rows[together], group[together]
    none = np.full(len(rows), -1, dtype=np.int64)
    ends = endpoints(packets).take(rows)
    return {
        "row": rows,
        "conversation": group,
        "forward": from_initiator(group, group_starts(group), ends, none),
        "content": digest(np.full(len(rows), protocol), *content)[together],
        "protocol": np.full(len(rows), protocol),
        "flags": np.zeros(len(rows), dtype=np.int64),
        **{name: np.full(len(rows), LOWEST) for name in ("seq", "end", "ack")},
        "payload": payload[together],
        "tsval": none,
    }


def _rows(packets: pd.DataFrame, usable: pd.Series) -> Ints:
    from k8scap.tables.endpoints import capture_order

    order = capture_order(packets)
    rows: Ints = order[usable.to_numpy(dtype=bool)[order]]
    return rows
