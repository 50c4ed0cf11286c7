"""Recordings made wrong on purpose, and the lab's truth of what was lost between two of them.

Independent of the code under test: files are rewritten byte by byte, the truth is the link's log.
"""

from __future__ import annotations

import json
import struct
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import k8scap

BETWEEN = {"198.18.0.10", "198.18.0.20"}
_HEADER, _RECORD = 24, 16


def rewrite(pcap: Path, change: Callable[[int, bytearray], tuple[int, bytearray] | None]) -> None:
    """Give each record's time (ns) and bytes to `change`, and write what it gives (None: leave it out)."""
    data = pcap.read_bytes()
    nanoseconds = {0xA1B23C4D: 1, 0xA1B2C3D4: 1000}[struct.unpack_from("<I", data)[0]]
    out, at = bytearray(data[:_HEADER]), _HEADER
    while at < len(data):
        seconds, fraction, captured, length = struct.unpack_from("<IIII", data, at)
        frame = bytearray(data[at + _RECORD : at + _RECORD + captured])
        changed = change(seconds * 10**9 + fraction * nanoseconds, frame)
        at += _RECORD + captured
        if changed is not None:
            time, frame = changed
            seconds, rest = divmod(time, 10**9)
            out += struct.pack("<IIII", seconds, rest // nanoseconds, len(frame), length) + frame
    pcap.write_bytes(out)


def shift_clock(pcap: Path, *, offset_ns: int, drift: float = 0.0) -> Callable[[int], int]:
    """Set a recording's clock wrong, and its manifest's: by `offset_ns` at its first frame, and drifting.

    `drift` is seconds a second (1e-6: 1 ppm). Gives the true offset at a right time in ns.
    """
    first: list[int] = []

    def offset(time: int) -> int:
        return offset_ns + round((time - first[0]) * drift)

    def later(time: int, frame: bytearray) -> tuple[int, bytearray]:
        first.append(time)
        return time + offset(time), frame

    rewrite(pcap, later)
    manifest = pcap.with_suffix(".json")
    told = json.loads(manifest.read_text())
    for key in ("started", "ended"):
        told[key] = (datetime.fromisoformat(told[key]) + timedelta(microseconds=offset_ns / 1000)).isoformat()
    manifest.write_text(json.dumps(told))
    return offset


def translate(pcap: Path, *, address: str, to: str, port_shift: int) -> None:
    """What source NAT does to a client, as the server's side sees it: another address, other ports."""
    old, new = (bytes(map(int, text.split("."))) for text in (address, to))

    def rewritten(time: int, frame: bytearray) -> tuple[int, bytearray]:
        for place, port in ((12, 20), (16, 22)):  # raw IPv4 without options, as a TUN device gives it
            if frame[place : place + 4] == old:
                frame[place : place + 4] = new
                (number,) = struct.unpack_from("!H", frame, port)
                struct.pack_into("!H", frame, port, (number + port_shift) % 65536)
        return time, frame

    rewrite(pcap, rewritten)


def truth_of(manifest: Path) -> dict[str, Any]:
    return json.loads(manifest.with_name(f"{manifest.stem}.truth.json").read_text())


def identity(row: dict[str, Any]) -> tuple[Any, ...]:
    return (
        row["src"],
        row["src_port"],
        row["dst"],
        row["dst_port"],
        row["seq_raw"],
        row["ack_raw"],
        row["ip_id"],
    )


def dropped(truth: dict[str, Any]) -> dict[tuple[Any, ...], str]:
    """Each TCP packet that the link dropped between client and server, and where it was headed."""
    return {
        identity(row): row["direction"].removeprefix("to-")
        for row in truth["packets"]
        if row["action"] == "drop" and {row["src"], row["dst"]} == BETWEEN
    }


def called(cap: k8scap.Capture, found: Any, verdict: str) -> dict[tuple[Any, ...], str]:
    """The same, as correlating says it: packets with a verdict, and the point that they were headed to."""
    table = found.missing[found.missing["verdict"] == verdict]
    answer = {}
    for point, rows in table.groupby("point", observed=True):
        frames = cap.packets[cap.packets["point"] == point].loc[rows["number"]]
        for place, frame in zip(rows["to_point"], frames.to_dict("records"), strict=True):
            answer[identity(frame)] = place
    return answer
