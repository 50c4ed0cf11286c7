"""The report's tables: who talked, what was sent twice, what took longest, what nobody answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.findings.case import endpoint, printable
from k8scap.html_report.sheet import ABSENT, absent, clock, number, sheet, text
from k8scap.tables.naming import TIMES
from k8scap.tables.state_words import state_words

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.analysis import Capture
    from k8scap.html_report.sheet import Cell, Sheet

CONVERSATIONS_SHOWN = 20
RETRANSMISSIONS_SHOWN = 50
EXCHANGES_SHOWN = 20
LOOKUPS_SHOWN = 50
LATE_LOOKUP_MS = 1000.0
VERDICTS = ("retransmission", "fast_retransmission", "spurious_retransmission", "zero_window", "window_full")
PACKET_COLUMNS = (
    "time",
    "point",
    "protocol",
    "icmp_type",
    "icmp_code",
    "tcp_flags",
    "seq",
    "window",
    *VERDICTS,
)
"""What the page asks of the packets table, beside what its tables and plots do."""


def sheets(cap: Capture) -> list[Sheet]:
    """All of them, the empty ones too: that nothing was repeated is an answer."""
    return [_conversations(cap), _retransmissions(cap), _exchanges(cap), _lookups(cap)]


def _conversations(cap: Capture) -> Sheet:
    rows = cap.conversations.sort_values("bytes", ascending=False)
    cells = [
        *_point(cap),
        text("client", _end(cap, "src", "src_port")),
        text("server", _end(cap, "dst", "dst_port")),
        text("protocol", lambda row: str(row.protocol)),
        text("state", _state),
        number("sent again", "retransmissions"),
        number("window closed", "zero_windows"),
        number("resets", "resets"),
        number("packets", "packets"),
        number("bytes", "bytes"),
        number("lasted", "duration_s", unit="s", digits=3),
        number("handshake", "handshake_rtt_ms", unit="ms", digits=3),
        number("connected after", "connect_ms", unit="ms", digits=1),
        number("out", "sent_mbps", unit="Mbit/s", digits=3),
        number("back", "received_mbps", unit="Mbit/s", digits=3),
    ]
    note = "The largest first. Client is who began; state as Zeek names it."
    return sheet(
        rows,
        cells,
        title="Conversations",
        note=note,
        limit=CONVERSATIONS_SHOWN,
        empty="No conversation was captured.",
    )


def _state(row: Any) -> str:
    return state_words(row.protocol, row.state) or ABSENT


def _retransmissions(cap: Capture) -> Sheet:
    rows = cap.retransmissions.sort_values("waited_ms", ascending=False, na_position="last")
    cells = [
        *_point(cap),
        number("frame", "number"),
        text("at (UTC)", lambda row: clock(row.time)),
        text("from", _end(cap, "src", "src_port")),
        text("to", _end(cap, "dst", "dst_port")),
        text("kind", lambda row: str(row.kind)),
        number("waited", "waited_ms", unit="ms", digits=1),
        number("repeats frame", "repeats"),
        number("seen for the …th time", "copy"),
        number("payload", "payload_length", unit="bytes"),
        text(
            "Wireshark says",
            lambda row: ABSENT if absent(row.wireshark) or not row.wireshark else row.wireshark,
        ),
    ]
    note = "The longest wait first. Spurious: the receiver had it already. Ambiguous: reordering, or a loss."
    return sheet(
        rows,
        cells,
        title="Retransmissions",
        note=note,
        limit=RETRANSMISSIONS_SHOWN,
        empty="No segment was sent again.",
    )


def _exchanges(cap: Capture) -> Sheet:
    rows = cap.exchanges.sort_values("think_ms", ascending=False, na_position="first")
    cells = [
        *_point(cap),
        text("asked at (UTC)", lambda row: clock(row.request_end)),
        text("client", _end(cap, "src", "src_port")),
        text("server", _end(cap, "dst", "dst_port")),
        number("first byte after", "think_ms", unit="ms", digits=1),
        number("transfer", "transfer_ms", unit="ms", digits=1),
        number("in all", "total_ms", unit="ms", digits=1),
        number("request", "request_bytes", unit="bytes"),
        number("answer", "response_bytes", unit="bytes"),
        number("request frame", "request_frame"),
        number("answer frame", "response_frame"),
    ]
    note = "The slowest first, those without an answer before them. Times as seen at the capture point."
    return sheet(
        rows,
        cells,
        title="Slowest exchanges",
        note=note,
        limit=EXCHANGES_SHOWN,
        empty="No TCP conversation with requests and answers was captured.",
    )


def _lookups(cap: Capture) -> Sheet:
    lookups = cap.lookups
    late = (lookups["response_ms"] > LATE_LOOKUP_MS).fillna(value=False).astype(bool)
    rows = lookups[~lookups["answered"].astype(bool) | late].sort_values("time")
    cells = [
        *_point(cap),
        number("frame", "number"),
        text("asked at (UTC)", lambda row: clock(row.time)),
        text("client", _end(cap, "src", "src_port")),
        text("resolver", _end(cap, "dst", "dst_port")),
        text("name", lambda row: ABSENT if absent(row.query) else printable(str(row.query))),
        text("type", lambda row: ABSENT if absent(row.type) else printable(str(row.type))),
        number("attempt", "attempt"),
        number("answered after", "response_ms", unit="ms", digits=0),
    ]
    empty = (
        f"All {len(lookups):,} lookups were answered within {LATE_LOOKUP_MS / 1000:g} s."
        if len(lookups)
        else "No DNS lookup was captured."
    )
    note = f"Of {len(lookups):,} lookups; a dash: never answered."
    return sheet(rows, cells, title="Lookups unanswered or late", note=note, limit=LOOKUPS_SHOWN, empty=empty)


def _point(cap: Capture) -> list[Cell]:
    """Which capture point a row is from, where there are several."""
    return [text("point", lambda row: printable(str(row.point)))] if len(cap.points) > 1 else []


def _end(cap: Capture, address: str, port: str) -> Any:
    def say(row: Any) -> str:
        who, where = getattr(row, address), getattr(row, port)
        if absent(who):
            return ABSENT
        time = next((getattr(row, column) for column in TIMES if hasattr(row, column)), None)
        return endpoint(cap.names, who, None if absent(where) else where, time=time)

    return say


def evidence(cap: Capture, frames: tuple[int, ...], *, point: str, limit: int) -> Sheet:
    """What a finding's first frames are: time, ends, flags and numbers of their headers. No payload."""
    here: pd.DataFrame = cap.packets[cap.packets["point"].astype("object") == point]
    rows = here[here.index.isin(frames)].reset_index()
    cells = [
        number("frame", "number"),
        text("at (UTC)", lambda row: clock(row.time)),
        text("from", _end(cap, "src", "src_port")),
        text("to", _end(cap, "dst", "dst_port")),
        text("what", _what),
        number("payload", "payload_length", unit="bytes"),
    ]
    return sheet(rows, cells, title="Evidence", note="", limit=limit, empty="")


_FLAGS = ((0x02, "SYN"), (0x10, "ACK"), (0x08, "PSH"), (0x01, "FIN"), (0x04, "RST"))


def _what(row: Any) -> str:
    """`TCP SYN ACK, seq 0, window 65,160`; `ICMP type 3 code 3`; `UDP`."""
    parts = [str(row.protocol)]
    if not absent(row.icmp_type):
        parts.append(f"type {row.icmp_type} code {row.icmp_code}")
    if not absent(row.tcp_flags):
        parts.append(" ".join(name for bit, name in _FLAGS if row.tcp_flags & bit))
    if not absent(row.seq):
        parts.append(f"seq {row.seq:,}")
    if not absent(row.window):
        parts.append(f"window {row.window:,}")
    parts += [name.replace("_", " ") for name in VERDICTS if getattr(row, name)]
    return ", ".join(parts)
