"""Who talked with whom: one row a conversation, both directions, how it began and ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k8scap.schema import Column

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from k8scap.tables.endpoints import Endpoints
    from k8scap.tables.replay import Replay

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

_NA, _NAN = "<NA>", "NaN"

COLUMNS: tuple[Column, ...] = (
    Column("point", "category", "capture point"),
    Column("protocol", "category", "transport"),
    Column("stream", "Int32", "Wireshark's stream number, per protocol", absent=_NA),
    Column("src", "category", "who began it"),
    Column("src_port", "Int32", "its port", absent=_NA),
    Column("dst", "category", "with whom"),
    Column("dst_port", "Int32", "its port", absent=_NA),
    Column("start", "datetime64[ns, UTC]", "first frame"),
    Column("end", "datetime64[ns, UTC]", "last frame"),
    Column("duration_s", "float64", "from the first frame to the last", "s"),
    Column("packets", "int64", "frames, as captured"),
    Column("packets_sent", "int64", "from src"),
    Column("packets_received", "int64", "from dst"),
    Column("bytes", "int64", "frame lengths on the wire", "bytes"),
    Column("bytes_sent", "int64", "from src", "bytes"),
    Column("bytes_received", "int64", "from dst", "bytes"),
    Column("payload_sent", "int64", "TCP or UDP payload from src, repeats included", "bytes"),
    Column("payload_received", "int64", "from dst", "bytes"),
    Column("state", "category", "Zeek's conn_state"),
    Column("history", "str", "Zeek's history letters, capital = src"),
    Column(
        "handshake_rtt_ms", "float64", "SYN → SYN-ACK → ACK, without the waits of repeated ones", "ms", _NAN
    ),
    Column("connect_ms", "float64", "from the first SYN to the handshake's ACK", "ms", _NAN),
    Column("retransmissions", "int64", "events in the retransmissions table, both directions"),
    Column("zero_windows", "int64", "frames that advertise a window of 0 (RST and SYN apart)"),
    Column("resets", "int64", "frames with RST"),
    Column("sent_mbps", "float64", "mean, from src", "Mbit/s", _NAN),
    Column("received_mbps", "float64", "mean, from dst", "Mbit/s", _NAN),
    Column("first_frame", "int64", "frame number"),
    Column("last_frame", "int64", "frame number"),
)

_NEEDED = ("number", "time", "point", "protocol", "src", "dst", "src_port", "dst_port", "stream", "length",
           "payload_length")  # fmt: skip


def conversations(packets: pd.DataFrame, *, replay: Replay | None = None) -> pd.DataFrame:
    """The conversations of a packets table: `COLUMNS`, by point and first frame.

    TCP and UDP conversations are Wireshark's streams; of what has none (ICMP, fragments …) all that two
    addresses exchange in one protocol. Frames without addresses (ARP …) have no place here. `src` began it:
    the sender of the first SYN (or receiver of the first SYN-ACK); where a TCP connection was captured
    midstream the one with the higher port; else who was seen first.

    `state` and `history` are Zeek's (base/protocols/conn/main.zeek): S0 attempt, no reply · S1 established,
    not ended · SF normal end · REJ rejected · S2, S3 closed by originator, responder only · RSTO, RSTR
    aborted by originator, responder · RSTOS0 SYN, then RST · RSTRH SYN-ACK, then RST, no SYN · SH, SHR
    half-open with FIN · OTH midstream; of UDP S0 unanswered, SF answered; of the rest OTH. `connect_ms`
    counts from the first SYN: what the client waited. `handshake_rtt_ms` is the path's round trip.
    Raises SchemaError where columns are missing.
    """
    from k8scap.schema import require
    from k8scap.tables.assembly import assemble
    from k8scap.tables.replay import Replay
    from k8scap.tables.segments import COLUMNS_NEEDED

    require(packets, dict.fromkeys((*_NEEDED, *COLUMNS_NEEDED)), what="conversations")
    replay = Replay.of(packets, replay, what="conversations")
    frames = _frames(replay)
    values = {**_counts(frames), **_tcp(replay, frames)}
    return assemble(COLUMNS, _sorted(values, frames))


@dataclass(frozen=True, eq=False)
class _Frames:
    """The frames that have a conversation, in capture order.

    `group` numbers the conversations, `first` and `last` are each one's first and last frame (indices),
    `sent` is whether its `src` sent the frame.
    """

    number: Ints
    time: Ints
    length: Ints
    payload: Ints
    group: Ints
    first: Ints
    last: Ints
    stream: Ints
    sent: Bools
    protocol: pd.Categorical
    ends: Endpoints


def _frames(replay: Replay) -> _Frames:
    import numpy as np

    from k8scap.tables.assembly import ABSENT, integers, nanoseconds
    from k8scap.tables.endpoints import chosen_rows, frame_numbers, from_initiator, group_bounds

    packets = replay.packets
    _, some = chosen_rows(packets, (replay.ends.src >= 0) & (replay.ends.dst >= 0))
    ends, stream = replay.ends.take(some), replay.stream[some]
    protocol = packets["protocol"].astype("category").array[some]
    codes = np.asarray(protocol.codes).astype(np.int64)
    group = _groups(ends, codes, stream)
    first, last = group_bounds(group)
    tcp = (codes == protocol.categories.get_indexer(["TCP"])[0]) & (stream != ABSENT) & (codes >= 0)
    flags = np.where(tcp, integers(packets["tcp_flags"], absent=0)[some], -1)
    return _Frames(
        frame_numbers(packets)[some],
        nanoseconds(packets["time"])[some],
        integers(packets["length"], absent=0)[some],
        integers(packets["payload_length"], absent=0)[some],
        group,
        first,
        last,
        stream,
        from_initiator(group, first, ends, flags),
        protocol,
        ends,
    )


def _groups(ends: Endpoints, protocol: Ints, stream: Ints) -> Ints:
    """Which conversation each frame belongs to: its stream's, else that of its two addresses."""
    import numpy as np

    from k8scap.tables.assembly import ABSENT
    from k8scap.tables.endpoints import dense

    alone = np.flatnonzero(stream == ABSENT)
    if not len(alone):
        return dense(ends.point, protocol, stream)
    pair = np.zeros(len(stream), dtype=np.int64)
    both = (ends.src[alone], ends.dst[alone])
    pair[alone] = 1 + dense(np.minimum(*both), np.maximum(*both))
    return dense(ends.point, protocol, np.where(stream == ABSENT, -1, stream), pair)


def _counts(frames: _Frames) -> dict[str, Any]:
    """What needs no TCP: one array element a conversation."""
    import numpy as np

    first, last, sent = frames.first, frames.last, frames.sent
    start, end = frames.time[first], frames.time[last]
    duration = (end - start) / 1e9

    def total(what: Ints | Bools) -> Ints:
        return np.bincount(frames.group, what, minlength=len(first)).astype(np.int64)

    def mbps(amount: Ints) -> npt.NDArray[np.float64]:
        seconds = np.where(duration > 0, duration, np.nan)
        return amount * 8 / seconds / 1e6

    packets, packets_sent = np.bincount(frames.group, minlength=len(first)), total(sent)
    everything, bytes_sent = total(frames.length), total(frames.length * sent)
    payload, payload_sent = total(frames.payload), total(frames.payload * sent)
    return {
        **frames.ends.take(first).turned(~sent[first]).columns(),
        "protocol": frames.protocol[first],
        "stream": frames.stream[first],
        "start": start,
        "end": end,
        "duration_s": duration,
        "packets": packets,
        "packets_sent": packets_sent,
        "packets_received": packets - packets_sent,
        "bytes": everything,
        "bytes_sent": bytes_sent,
        "bytes_received": everything - bytes_sent,
        "payload_sent": payload_sent,
        "payload_received": payload - payload_sent,
        "sent_mbps": mbps(bytes_sent),
        "received_mbps": mbps(everything - bytes_sent),
        "first_frame": frames.number[first],
        "last_frame": frames.number[last],
    }


def _tcp(replay: Replay, frames: _Frames) -> dict[str, Any]:
    """What TCP's segments tell, at their conversations' places; elsewhere what stands for none."""
    import numpy as np
    import pandas as pd

    from k8scap.tables.assembly import milliseconds
    from k8scap.tables.segments import RST, SYN
    from k8scap.tables.zeek_history import histories
    from k8scap.tables.zeek_states import STATES, states

    found, cover, shakes = replay.segments, replay.coverage, replay.handshakes
    answered = np.zeros(len(frames.first), dtype=bool)
    answered[frames.group[~frames.sent]] = True
    protocol = np.asarray(frames.protocol[frames.first]).astype(object)
    state = np.where(protocol == "UDP", np.where(answered, "SF", "S0"), "OTH").astype(object)
    history = np.where(protocol == "UDP", np.where(answered, "Dd", "D"), "").astype(object)
    place = np.flatnonzero((protocol == "TCP") & (frames.stream[frames.first] >= 0))
    state[place], history[place] = states(found), histories(found, cover)

    def spread(values: npt.NDArray[Any], empty: float) -> npt.NDArray[Any]:
        result = np.full(len(frames.first), empty, dtype=values.dtype)
        result[place] = values
        return result

    def counted(rows: Ints | Bools) -> Ints:
        return spread(np.bincount(found.flow[rows], minlength=found.flows), 0)

    return {
        "state": pd.Categorical(state, categories=list(STATES)),
        "history": history,
        "handshake_rtt_ms": spread(milliseconds(shakes.round_trip), np.nan),
        "connect_ms": spread(milliseconds(shakes.connect), np.nan),
        "retransmissions": counted(replay.events),
        "zero_windows": counted((found.window == 0) & ~found.has(SYN) & ~found.has(RST)),
        "resets": counted(found.has(RST)),
    }


def _sorted(values: dict[str, Any], frames: _Frames) -> dict[str, Any]:
    import numpy as np

    order = np.lexsort((values["first_frame"], frames.ends.point[frames.first]))
    return {name: value[order] for name, value in values.items()}
