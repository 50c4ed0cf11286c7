"""How good a capture is, measured before anything is judged from it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from k8scap.model import Manifest, Quality
    from k8scap.tables.replay import Replay
    from k8scap.tables.segments import Segments

ETHERNET_FRAME = 1522
"""Bytes: Ethernet's longest frame with a VLAN tag and checksum. A link's cooked header is no longer."""


def quality(
    packets: pd.DataFrame, *, manifests: Sequence[Manifest], cut_off: bool, replay: Replay | None = None
) -> Quality:
    """What is missing from a capture, what misleads in it, where it stands, and sentences on that.

    `complete` says that all that tcpdump captured is here and it dropped nothing (None: no manifest tells).
    Columns beyond those of the TCP tables (ttl, direction, transport_checksum_ok) are used where they are.
    Raises SchemaError where columns are missing.
    """
    import numpy as np

    from k8scap.model import Quality
    from k8scap.schema import require
    from k8scap.tables.quality_notes import notes
    from k8scap.tables.redirected import joined
    from k8scap.tables.replay import Replay

    require(packets, ("length", "captured_length"), what="quality")
    replay = Replay.of(packets, replay, what="quality")
    sightings = replay.sightings
    begun, sides = _handshakes_and_sides(sightings)
    halves = 2 * len(joined(packets).proxies)  # a redirection makes two of one connection
    known = [m.counters.dropped for m in manifests if m.counters.dropped is not None]
    found = Quality(
        frames=len(packets),
        complete=_complete(manifests, cut_off=cut_off),
        cut_off=cut_off,
        dropped=sum(known) if known else None,
        truncated=int((packets["captured_length"] < packets["length"]).sum()),
        tcp_conversations=sightings.flows,
        missing_handshakes=int(np.count_nonzero(~begun)),
        one_sided=max(int(np.count_nonzero(sides == 1)) - halves, 0),
        **_tcp(packets, replay),
        **_lengths(packets),
    )
    return replace(found, notes=tuple(notes(found)))


def _complete(manifests: Sequence[Manifest], *, cut_off: bool) -> bool | None:
    if cut_off:
        return False
    return all(m.counters.complete for m in manifests) if manifests else None


def _handshakes_and_sides(segments: Segments) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Which connections' handshake was captured (part of it), and how many of their sides."""
    import numpy as np

    from k8scap.tables.segments import SYN

    begun = np.zeros(segments.flows, dtype=bool)
    begun[segments.flow[segments.has(SYN)]] = True
    there = np.bincount(segments.side, minlength=2 * segments.flows) > 0
    sides = there[::2].astype(np.int64) + there[1::2]
    spoken = np.bincount(segments.flow[~segments.has(SYN)], minlength=segments.flows) > 0
    return begun, np.where(spoken, sides, 2)  # a SYN that nobody answers has no other side to be seen


def _tcp(packets: pd.DataFrame, replay: Replay) -> Mapping[str, Any]:
    """What the TCP segments tell: seen twice, wrong checksums by direction, clock, side."""
    import numpy as np

    from k8scap.tables.checksums import wrong
    from k8scap.tables.clock_jumps import clock_jumps
    from k8scap.tables.standpoint import agreed, sent_here, standpoint

    once = replay.segments
    sides = standpoint(once, packets)
    bad = wrong(once, packets)
    here = sent_here(once, packets, sides) if bad.any() else np.zeros(len(once), dtype=np.int64)
    return {
        "tcp_frames": len(replay.sightings),
        "duplicates": int(np.count_nonzero(replay.seen_before)),
        "bad_checksums_sent": int(np.count_nonzero(bad & (here == 1))),
        "bad_checksums_received": int(np.count_nonzero(bad & (here == 0))),
        "bad_checksums_unknown": int(np.count_nonzero(bad & (here < 0))),
        "clock_jumps": len(clock_jumps(packets, once)),
        "side": agreed(sides),
    }


def _lengths(packets: pd.DataFrame) -> Mapping[str, Any]:
    """TCP frames longer than Ethernet's, and the longest; on `lo` they may be as long as they like."""
    from k8scap.tables.redirected import on_loopback

    outside = (packets["protocol"] == "TCP").to_numpy(dtype=bool) & ~on_loopback(packets)
    length = packets["length"].to_numpy()[outside]
    return {
        "super_packets": int((length > ETHERNET_FRAME).sum()),
        "largest_frame": int(length.max()) if len(length) else 0,
    }
