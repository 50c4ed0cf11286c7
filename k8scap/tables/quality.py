"""How good a capture is, measured before anything is judged from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from k8scap.model import Manifest, Quality
    from k8scap.tables.replay import Replay
    from k8scap.tables.segments import Segments

LARGEST_FRAME = 9018
"""Bytes: a jumbo frame with its header. What is longer no link carried: offload (GSO, GRO) joined it."""
ETHERNET_FRAME = 1522
NOTEWORTHY = 0.01


def quality(
    packets: pd.DataFrame, *, manifests: Sequence[Manifest], cut_off: bool, replay: Replay | None = None
) -> Quality:
    """Drops (from the manifests), truncation, missing handshakes, one-sidedness, and sentences on the rest.

    `complete` says that all that tcpdump captured is here and it dropped nothing (None: no manifest tells).
    Raises SchemaError where columns are missing.
    """
    import numpy as np

    from k8scap.model import Quality
    from k8scap.schema import require
    from k8scap.tables.replay import Replay

    require(packets, ("length", "captured_length"), what="quality")
    replay = Replay.of(packets, replay, what="quality")
    sightings = replay.sightings
    begun, sides = _handshakes_and_sides(sightings)
    truncated = int((packets["captured_length"] < packets["length"]).sum())
    known = [m.counters.dropped for m in manifests if m.counters.dropped is not None]
    found = Quality(
        frames=len(packets),
        complete=_complete(manifests, cut_off=cut_off),
        cut_off=cut_off,
        dropped=sum(known) if known else None,
        truncated=truncated,
        tcp_conversations=sightings.flows,
        missing_handshakes=int(np.count_nonzero(~begun)),
        one_sided=int(np.count_nonzero(sides == 1)),
    )
    from dataclasses import replace

    return replace(found, notes=tuple(_notes(found, replay)))


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
    sides = np.bincount(np.unique(segments.side) // 2, minlength=segments.flows)
    return begun, sides


def _notes(found: Quality, replay: Replay) -> Iterator[str]:
    frames = found.frames
    if found.dropped:
        yield f"tcpdump dropped {_count(found.dropped, 'packet')}: repeats and gaps may be the capture's own."
    if found.cut_off:
        yield "The file breaks off in the middle of a record, or is damaged: what came after is missing."
    if found.truncated:
        yield f"{_share(found.truncated, frames)} of the frames were cut short by the snapshot length."
    if found.missing_handshakes:
        yield (
            f"{_of(found.missing_handshakes, found.tcp_conversations)} began before the capture: "
            "their handshake and window scale are unknown."
        )
    if found.one_sided:
        verb = "shows" if found.one_sided == 1 else "show"
        yield f"{_of(found.one_sided, found.tcp_conversations)} {verb} one direction only."
    yield from _sightings(replay)
    yield from _super_packets(replay.packets)


def _sightings(replay: Replay) -> Iterable[str]:
    twice, total = int(replay.seen_before.sum()), len(replay.sightings)
    if twice and twice >= NOTEWORTHY * total:
        share = _share(twice, total)
        yield (
            f"{share} of the TCP frames show a packet that was captured already (several interfaces): the "
            "TCP tables count it once, packets and bytes twice."
        )


def _super_packets(packets: pd.DataFrame) -> Iterable[str]:
    tcp = packets[packets["protocol"] == "TCP"]
    joined = int((tcp["length"] > ETHERNET_FRAME).sum())
    if not joined:
        return
    largest = int(tcp["length"].max())
    certain = "offload (GSO, GRO) joined segments" if largest > LARGEST_FRAME else "offload or jumbo frames"
    share = _share(joined, len(tcp))
    yield f"{share} of the TCP frames are longer than Ethernet's, up to {largest:,} bytes: {certain}."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _of(some: int, total: int) -> str:
    return f"{some:,} of {_count(total, 'TCP connection')}"


def _share(some: int, total: int) -> str:
    percent = 100 * some / total
    return f"{percent:.0f} %" if percent >= 1 else "under 1 %"
