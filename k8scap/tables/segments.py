"""The TCP segments of a packets table as arrays, grouped by connection: what all TCP tables work on.

Sequence numbers are unwrapped: 64 bits, so that a connection of more than 4 GiB goes on counting, and
relative as Wireshark has them (a SYN is 0). A packet that the capture shows twice (`-i any`, a veth and
its bridge) stands here once: the second sighting is no retransmission.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from k8scap.tables.advances import Advances
    from k8scap.tables.endpoints import Endpoints
    from k8scap.tables.handshakes import Handshakes

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

FIN, SYN, RST, PUSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
LOWEST = -(2**62)

COLUMNS_NEEDED = (
    "number", "time", "point", "protocol", "src", "dst", "src_port", "dst_port", "stream", "tcp_flags",
    "seq", "ack", "seq_raw", "ack_raw", "window", "payload_length", "ip_id", "tsval", "tsecr", "sack_left",
    "sack_right",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Segments:
    """TCP segments, those of one connection together, in capture order; one array element a segment.

    `row` is the position in the packets table, `flow` numbers the connections (point, stream) from 0 on,
    `side` is 2·flow for who began it and 2·flow+1 for the other. `end` is the sequence number after the
    segment, SYN and FIN counting one each; a RST occupies nothing. `ack` is in the other side's sequence
    space, LOWEST without the ACK flag; `sack_left`, `sack_right` too, LOWEST where there is no block.
    `window`, `tsval`, `tsecr` and `ip_id` are -1 where absent. Times are nanoseconds since 1970.
    """

    row: Ints
    number: Ints
    time: Ints
    flow: Ints
    side: Ints
    flags: Ints
    seq: Ints
    end: Ints
    ack: Ints
    payload: Ints
    window: Ints
    tsval: Ints
    tsecr: Ints
    sack_left: Ints
    sack_right: Ints
    ip_id: Ints

    def __len__(self) -> int:
        return len(self.row)

    def has(self, flag: int) -> Bools:
        """Segments that bear a flag."""
        answer: Bools = self.flags & flag != 0
        return answer

    @property
    def from_client(self) -> Bools:
        """Segments sent by who began the connection."""
        answer: Bools = self.side % 2 == 0
        return answer

    @property
    def pure_ack(self) -> Bools:
        """Segments that do nothing but acknowledge."""
        answer: Bools = (self.flags & (SYN | FIN | RST | ACK) == ACK) & (self.payload == 0)
        return answer

    @cached_property
    def flows(self) -> int:
        return int(self.flow[-1]) + 1 if len(self) else 0

    @cached_property
    def flow_start(self) -> Ints:
        """Index of each connection's first segment."""
        import numpy as np

        return np.searchsorted(self.flow, np.arange(self.flows)).astype(np.int64)

    @cached_property
    def by_side(self) -> Ints:
        """The order that puts the segments of one side of one connection together, in capture order."""
        import numpy as np

        return np.argsort(self.side, kind="stable").astype(np.int64)

    @cached_property
    def other(self) -> Ints:
        """Index of the last segment from the other side before each one, -1 where there is none."""
        import numpy as np

        from k8scap.parser.conversations.tracks import others

        last = np.empty(len(self), dtype=np.int64)
        others(self.side, last)
        return last

    def heard(self, values: Ints, absent: int = LOWEST, *, by: Ints | None = None) -> Ints:
        """A running value of the other side's, as it stood when each segment (of `by`) was captured."""
        import numpy as np

        other = self.other if by is None else self.other[by]
        return np.where(other >= 0, values[other], absent) if len(self) else values

    def highest(self, values: Ints, *, before: bool = False) -> Ints:
        """The highest value so far on each side (LOWEST is none); `before`: without the segment's own."""
        import numpy as np

        from k8scap.parser.conversations.tracks import highest

        result = np.empty(len(self), dtype=np.int64)
        highest(self.side, np.ascontiguousarray(values, dtype=np.int64), before, result)
        return result

    @cached_property
    def highest_ack(self) -> Ints:
        """The highest acknowledgment so far of each one's own side."""
        return self.highest(self.ack)

    @cached_property
    def acknowledged(self) -> Ints:
        """The highest acknowledgment that each one's sender has heard (LOWEST: none)."""
        return self.heard(self.highest_ack)

    @cached_property
    def reached(self) -> Ints:
        """The highest sequence number so far of each one's own side."""
        return self.highest(self.end)

    @cached_property
    def telling(self) -> Bools:
        """Segments whose IP identification tells them from others; see `sightings.telling`."""
        from k8scap.tables.sightings import telling

        return telling(self)

    @cached_property
    def handshakes(self) -> Handshakes:
        """How each connection was opened; see `handshakes`."""
        from k8scap.tables.handshakes import handshakes

        return handshakes(self)

    @cached_property
    def advances(self) -> Advances:
        """The acknowledgments that advance; see `advances`."""
        from k8scap.tables.advances import advances

        return advances(self)

    @cached_property
    def duplicate_acks(self) -> Ints:
        """How many pure ACKs in a row repeated their side's highest; see `recovery.duplicate_acks`."""
        from k8scap.tables.recovery import duplicate_acks

        return duplicate_acks(self)

    @cached_property
    def second_reports(self) -> Ints:
        """Indices of the segments that report what came twice; see `recovery.second_reports`."""
        from k8scap.tables.recovery import second_reports

        return second_reports(self)

    def take(self, rows: Ints | Bools) -> Segments:
        """Some of the segments, renumbering nothing."""
        return Segments(*(getattr(self, field.name)[rows] for field in fields(self)))


def segments(
    packets: pd.DataFrame,
    *,
    what: str = "a TCP table",
    twice: bool = False,
    ends: Endpoints | None = None,
) -> Segments:
    """The TCP segments of a packets table; with `twice` also second sightings of one packet.

    `ends` are the frames' endpoints, where they are known already. Raises SchemaError, saying that `what`
    needs them, where columns are missing.
    """
    from k8scap.schema import require
    from k8scap.tables.endpoints import endpoints
    from k8scap.tables.sightings import seen_before

    require(packets, COLUMNS_NEEDED, what=what)
    built = _built(packets, endpoints(packets) if ends is None else ends)
    return built if twice else built.take(~seen_before(built))


_PIECE = 1 << 15
"""Frames that are read at once: their columns fit in a processor's cache."""


def _built(packets: pd.DataFrame, ends: Endpoints) -> Segments:
    import numpy as np

    from k8scap.parser.conversations.tracks import FLOW, IN, OUT, SEEN, STATE, meet, place, settle
    from k8scap.tables.assembly import integers
    from k8scap.tables.endpoints import chosen_rows, dense

    usable = (packets["protocol"] == "TCP") & packets["stream"].notna() & packets["seq_raw"].notna()
    rows, some = chosen_rows(packets, usable.to_numpy(dtype=bool))
    flow = dense(ends.point[some], integers(packets["stream"])[some])
    flows = int(flow.max()) + 1 if len(flow) else 0
    state, sides, places = (
        np.zeros(shape, dtype=np.int64) for shape in ((FLOW, flows), (STATE, 2 * flows), flows + 1)
    )
    out = np.empty((OUT, len(rows)), dtype=np.int64)
    pieces = [slice(at, at + _PIECE) for at in range(0, len(rows), _PIECE)]
    reader = _Reader(packets, ends, rows, whole=isinstance(some, slice))
    for piece in pieces:
        meet(reader.read(piece, SEEN), flow[piece], state, sides)
    settle(state, sides, places)
    for piece in pieces:
        place(reader.read(piece, IN), flow[piece], rows[piece], state, sides, places, out)
    return Segments(*out)


class _Reader:
    """Columns of a packets table, some frames at a time, as the kernels want them."""

    def __init__(self, packets: pd.DataFrame, ends: Endpoints, rows: Ints, *, whole: bool) -> None:
        from k8scap.tables.endpoints import frame_numbers

        self._ends = (ends.src, ends.src_port, ends.dst, ends.dst_port)
        self._columns = [(packets[name], absent) for name, absent in _KERNEL_COLUMNS]
        self._number, self._time = frame_numbers(packets), packets["time"]
        self._rows, self._whole = rows, whole

    def read(self, piece: slice, most: int) -> Ints:
        """The first `most` columns of these rows."""
        import numpy as np

        from k8scap.tables.assembly import integers, nanoseconds

        rows = self._rows[piece]
        chosen = piece if self._whole else rows
        room = np.empty((most, len(rows)), dtype=np.int64)
        for place, part in enumerate(self._ends):
            room[place] = part[chosen]
        wanted = self._columns[: most - len(self._ends)]
        for place, (column, absent) in enumerate(wanted, start=len(self._ends)):
            room[place] = integers(column.iloc[chosen], absent=absent)
        if most > len(self._ends) + len(wanted):
            room[-2] = self._number[chosen]
            room[-1] = nanoseconds(self._time.iloc[chosen])
        return room


_KERNEL_COLUMNS = (
    ("tcp_flags", 0), ("seq_raw", 0), ("seq", 0), ("ack_raw", 0), ("ack", 0), ("sack_left", LOWEST),
    ("sack_right", LOWEST), ("payload_length", 0), ("window", -1), ("tsval", -1), ("tsecr", -1),
    ("ip_id", -1),
)  # fmt: skip
"""Behind the frames' ends, in the order that the kernels know (parser.conversations.tracks)."""
