"""What a capture's quality means, in sentences for people: what is missing first, then what misleads."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8scap.model import Quality

LARGEST_FRAME = 9018
"""Bytes: a jumbo frame with its header. What is longer no link carried: offload (GSO, GRO) joined it."""
NOTEWORTHY = 0.01
"""Share of the frames from which a peculiarity is worth a sentence."""


def notes(found: Quality) -> Iterator[str]:
    """One sentence for each thing that a reader must know before believing a number."""
    yield from _missing(found)
    yield from _misleading(found)


def _missing(found: Quality) -> Iterator[str]:
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


def _misleading(found: Quality) -> Iterator[str]:
    frames = found.tcp_frames
    if found.duplicates and found.duplicates >= NOTEWORTHY * frames:
        yield (
            f"{_share(found.duplicates, frames)} of the TCP frames show a packet that was captured already "
            "(several interfaces): the TCP tables count it once, packets and bytes twice."
        )
    if found.super_packets:
        jumbo = found.largest_frame <= LARGEST_FRAME
        yield (
            f"{_share(found.super_packets, frames)} of the TCP frames are longer than Ethernet's, up to "
            f"{found.largest_frame:,} bytes: "
            f"{'offload or jumbo frames' if jumbo else 'offload (GSO, GRO) joined segments'}."
        )
    yield from _checksums(found)
    if found.clock_jumps:
        yield (
            f"The capture's clock jumped {_count(found.clock_jumps, 'time')} by a second or more: spans of "
            "time across a jump are wrong."
        )


def _checksums(found: Quality) -> Iterator[str]:
    frames = found.tcp_frames
    if found.bad_checksums_sent and found.bad_checksums_sent >= NOTEWORTHY * frames:
        yield (
            f"{_share(found.bad_checksums_sent, frames)} of the TCP frames were sent from here with a "
            "checksum that the network card was to finish: they look wrong and are not."
        )
    if found.bad_checksums_received:
        yield (
            f"{_count(found.bad_checksums_received, 'TCP frame')} came in with a wrong checksum: damaged, or "
            "never finished on their way within this host; bad-checksums tells which."
        )
    if found.bad_checksums_unknown and found.bad_checksums_unknown >= NOTEWORTHY * frames:
        yield (
            f"{_share(found.bad_checksums_unknown, frames)} of the TCP frames have a wrong checksum; whether "
            "they were sent or received here is unknown."
        )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _of(some: int, total: int) -> str:
    return f"{some:,} of {_count(total, 'TCP connection')}"


def _share(some: int, total: int) -> str:
    percent = 100 * some / max(total, some)  # a long frame with a broken header is no segment
    return f"{percent:.0f} %" if percent >= 1 else "under 1 %"
