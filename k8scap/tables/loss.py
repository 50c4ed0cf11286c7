"""What each segment was that looks sent again: lost and repeated, repeated for nothing, or never lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.schema import Column

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from k8scap.tables.replay import Replay

    Ints = npt.NDArray[np.int64]

SEEN_TWICE = 0.95
"""How sure it is that equal packets at once are one, seen at two places."""
CLASSES = ("rto", "fast", "tail_probe", "syn", "spurious", "reordering", "duplicate_capture", "keep_alive",
           "ambiguous")  # fmt: skip
LOST = ("rto", "fast", "tail_probe", "syn")
"""The classes that say: these bytes had been lost on their way."""

CLASS_COLUMNS: tuple[Column, ...] = (
    Column("loss_class", "category", f"{', '.join(CLASSES[:-1])} or {CLASSES[-1]}"),
    Column("confidence", "float64", "how sure that is, 0 to 1"),
)

COLUMNS: tuple[Column, ...] = (
    Column("point", "category", "capture point"),
    Column("number", "int64", "frame"),
    Column("time", "datetime64[ns, UTC]", "when it was captured"),
    Column("stream", "Int32", "Wireshark's TCP stream number"),
    Column("src", "category", "who sent it"),
    Column("src_port", "Int32", "its port"),
    Column("dst", "category", "to whom"),
    Column("dst_port", "Int32", "its port"),
    Column("seq", "int64", "sequence number, relative, not wrapped at 4 GiB", "bytes"),
    Column("payload_length", "int64", "payload of the segment", "bytes"),
    *CLASS_COLUMNS,
    Column("wireshark", "category", "Wireshark's own verdict on the frame; empty where it has none"),
    Column("differs", "bool", "Wireshark's verdict says something else"),
)

_AGREES = {
    "rto": ("retransmission",),
    "fast": ("retransmission", "fast_retransmission"),
    "tail_probe": ("retransmission",),
    "syn": ("retransmission",),
    "spurious": ("spurious_retransmission",),
    "reordering": ("out_of_order",),
    "keep_alive": ("keep_alive",),
    "duplicate_capture": ("",),
    "ambiguous": (),
}


def losses(packets: pd.DataFrame, *, replay: Replay | None = None) -> pd.DataFrame:
    """Every TCP segment that looks sent again, and what it was: `COLUMNS`, by point, connection and time.

    Rows are the events of `retransmissions`, what Wireshark calls a retransmission, out of order or a
    keep-alive, and packets that the capture shows twice. `loss_class`:

    - `syn`: the handshake's SYN or SYN-ACK again
    - `fast`: provoked by what the receiver said: duplicate ACKs (RFC 5681) or selective ones (RFC 6675, 8985)
    - `tail_probe`: the last segment again, by a timer shorter than the retransmission's (RFC 8985, 7)
    - `rto`: by the retransmission timer (RFC 6298), a FIN's too; this and `tail_probe` also where the first
      copy was lost before this point and left no gap, as the sender's numbers tell (see `unseen`)
    - `spurious`: the receiver had the bytes: it had acknowledged them, or does so sooner than a round trip
      after; it reports them as received twice (D-SACK, RFC 2883); its next ACK echoes the time of the earlier
      copy (Eifel, RFC 3522); or the capture stands beside it, and saw them arrive
    - `reordering`: bytes that come late for the first time, and were sent in order: by the sender's
      timestamps or IP identifications, or because no sender repeats so soon
    - `duplicate_capture`: one packet seen twice (`-i any`), or doubled on its way: by its identification
    - `keep_alive`: a byte that was acknowledged long ago, or none, to see whether the other side is there
    - `ambiguous`: late for the first time, and nothing tells whether it was lost before or overtaken; or sent
      again amid repeats for nothing, where what the receiver says fits both

    Raises SchemaError where columns are missing.
    """
    from k8scap.schema import require
    from k8scap.tables.recovery import VERDICTS
    from k8scap.tables.replay import Replay

    require(packets, (*VERDICTS, "keep_alive"), what="losses")
    return _table(Replay.of(packets, replay, what="losses"))


def _table(replay: Replay) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    from k8scap.tables.assembly import assemble
    from k8scap.tables.recovery import VERDICTS, verdicts

    found, judged = replay.segments, replay.judged
    twice = replay.sightings.take(replay.seen_before)

    def joined(name: str) -> Ints:
        return np.concatenate((getattr(found, name)[judged.index], getattr(twice, name)))

    row = joined("row")
    code = np.concatenate((judged.code, np.full(len(twice), CLASSES.index("duplicate_capture"))))
    confidence = np.concatenate((judged.confidence, np.full(len(twice), SEEN_TWICE)))
    theirs = verdicts(replay.packets, row)
    alive = replay.packets["keep_alive"].to_numpy(dtype=bool)[row]
    theirs = np.where((theirs == "") & alive, "keep_alive", theirs)
    same = np.zeros(len(row), dtype=bool)
    for place, name in enumerate(CLASSES):
        same |= (code == place) & np.isin(theirs, _AGREES[name])
    values = {
        **replay.ends.take(row).columns(),
        **{name: joined(name) for name in ("number", "time", "seq")},
        "payload_length": joined("payload"),
        "stream": replay.stream[row],
        "loss_class": pd.Categorical.from_codes(code, dtype=pd.CategoricalDtype(list(CLASSES))),
        "confidence": confidence,
        "wireshark": pd.Categorical(theirs, categories=["", *VERDICTS, "keep_alive"]),
        "differs": ~same,
    }
    order = np.lexsort((joined("number"), joined("flow")))
    return assemble(COLUMNS, {name: value[order] for name, value in values.items()})
