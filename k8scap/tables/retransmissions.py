"""Every segment whose bytes were sent before: one row an event."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.schema import Column
from k8scap.tables.loss import CLASS_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.tables.replay import Replay

_NA = "<NA>"

COLUMNS: tuple[Column, ...] = (
    Column("point", "category", "capture point"),
    Column("number", "int64", "frame that carries the bytes again"),
    Column("time", "datetime64[ns, UTC]", "when it was captured"),
    Column("stream", "Int32", "Wireshark's TCP stream number"),
    Column("src", "category", "who sent again"),
    Column("src_port", "Int32", "its port"),
    Column("dst", "category", "to whom"),
    Column("dst_port", "Int32", "its port"),
    Column("seq", "int64", "sequence number, relative, not wrapped at 4 GiB", "bytes"),
    Column("payload_length", "int64", "payload of the segment", "bytes"),
    Column("kind", "category", "syn, fin, timeout, fast, spurious or ambiguous"),
    Column("wireshark", "category", "Wireshark's own verdict on the frame; empty where it has none"),
    Column("repeats", "Int64", "frame that carried any of these bytes last", absent=_NA),
    Column("waited_ms", "float64", "time since that frame", "ms", "NaN"),
    Column("copy", "int64", "2 = sent for the second time; 1 where the first copy was not captured"),
    *CLASS_COLUMNS,
)


def retransmissions(packets: pd.DataFrame, *, replay: Replay | None = None) -> pd.DataFrame:
    """The retransmissions of a packets table: `COLUMNS`, by point, connection and time.

    A segment is an event when it carries any byte (SYN and FIN count one each) that its side of the
    connection was seen to send before: what was seen decides, not Wireshark's flags. So a repeat that
    brings new bytes too, or cuts them differently, is one event; keep-alives (RFC 9293, 3.8.4), zero-window
    probes and second sightings of one packet are none. `kind`:

    - `syn`, `fin`: the handshake or the bare FIN again
    - `spurious`: the receiver had the bytes: acknowledged before, or reported afterwards (D-SACK, RFC 2883)
    - `fast`: provoked by three duplicate ACKs (RFC 5681) or a selective ACK beyond it (RFC 6675), just heard
    - `timeout`: nothing provoked it: the retransmission timer (RFC 6298), or a tail loss probe (RFC 8985)
      (one whose first copy was lost before this point and left no gap is told by the sender's numbers)
    - `ambiguous`: bytes that arrive late for the first time (a capture at the receiver), so lost upstream or
      reordered. The sender's timestamps (RFC 7323) or IP identifications settle most of them: what was
      sent in order is no event, what was sent later is `fast` or `timeout`. Without them Wireshark's verdict
      is taken, but for its retransmission within 200 ms, which no timer makes.

    `loss_class` is our own judgement of what was lost and what was not, with how sure it is; see `losses`.
    Raises SchemaError where columns are missing.
    """
    from k8scap.schema import require
    from k8scap.tables.recovery import VERDICTS
    from k8scap.tables.replay import Replay

    require(packets, VERDICTS, what="retransmissions")
    return _table(Replay.of(packets, replay, what="retransmissions"))


def _table(replay: Replay) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    from k8scap.tables.assembly import ABSENT, assemble, milliseconds
    from k8scap.tables.loss import CLASSES
    from k8scap.tables.recovery import KINDS, VERDICTS, since_earlier, verdicts

    found, cover, event, judged = replay.segments, replay.coverage, replay.events, replay.judged
    place = np.searchsorted(judged.index, event)
    row, before = found.row[event], cover.before[event]
    theirs = verdicts(replay.packets, row)
    repeats = found.number[before] if len(event) else event
    values = {
        **replay.ends.take(row).columns(),
        "number": found.number[event],
        "time": found.time[event],
        "stream": replay.stream[row],
        "seq": found.seq[event],
        "payload_length": found.payload[event],
        "kind": pd.Categorical(replay.kinds, categories=list(KINDS)),
        "wireshark": pd.Categorical(theirs, categories=["", *VERDICTS]),
        "repeats": np.where(before >= 0, repeats, ABSENT),
        "waited_ms": milliseconds(since_earlier(found, event, before)),
        "copy": cover.copy[event],
        "loss_class": pd.Categorical.from_codes(judged.code[place], dtype=pd.CategoricalDtype(list(CLASSES))),
        "confidence": judged.confidence[place],
    }
    return assemble(COLUMNS, values)
