"""A frame in one line, from its row alone: what Wireshark's Info column says of TCP, UDP and ICMP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_FLAGS = ((0x02, "SYN"), (0x01, "FIN"), (0x04, "RST"), (0x08, "PSH"), (0x10, "ACK"), (0x20, "URG"),
          (0x40, "ECE"), (0x80, "CWR"))  # fmt: skip
_CLASSES = {
    "rto": "lost, sent again after a time-out",
    "fast": "lost, sent again after duplicate ACKs",
    "tail_probe": "lost at the end, probed",
    "syn": "unanswered, sent again",
    "spurious": "sent again for nothing",
    "reordering": "overtaken on its way",
    "duplicate_capture": "captured twice",
    "keep_alive": "keep-alive",
    "ambiguous": "sent again or overtaken: cannot be told",
}
"""Our own verdicts (see `tables.loss`), where they are known."""
_REPEATS = {"spurious_retransmission", "fast_retransmission", "retransmission", "out_of_order", "keep_alive"}
_VERDICTS = {
    "spurious_retransmission": "spurious retransmission",
    "fast_retransmission": "fast retransmission",
    "retransmission": "retransmission",
    "out_of_order": "out of order",
    "lost_segment": "a segment before it was not captured",
    "ack_lost_segment": "acknowledges what was not captured",
    "keep_alive": "keep-alive",
    "keep_alive_ack": "keep-alive ACK",
    "zero_window_probe": "zero window probe",
    "zero_window_probe_ack": "zero window probe ACK",
    "zero_window": "zero window",
    "window_full": "window full",
    "window_update": "window update",
    "duplicate_ack": "duplicate ACK",
    "reused_ports": "port numbers reused",
}
"""Wireshark's, the first of each kind counts."""
_UNREACHABLE = {
    0: "network unreachable", 1: "host unreachable", 2: "protocol unreachable", 3: "port unreachable",
    4: "fragmentation needed", 9: "network prohibited", 10: "host prohibited", 13: "prohibited by a filter",
}  # fmt: skip
_ICMP = {0: "echo reply", 5: "redirect", 8: "echo request", 11: "time exceeded", 12: "parameter problem"}
_ICMP6 = {
    1: "unreachable", 2: "packet too big", 3: "time exceeded", 128: "echo request", 129: "echo reply",
    133: "router solicitation", 134: "router advertisement", 135: "neighbour solicitation",
    136: "neighbour advertisement",
}  # fmt: skip


def infos(rows: pd.DataFrame, classes: list[str]) -> list[str]:
    """One line a row of a packets table; `classes` are the rows' `loss_class`, "" where there is none."""
    cells = {str(name): values for name, values in rows.to_dict("list").items()}
    return [_info({name: cells[name][i] for name in cells}, classes[i]) for i in range(len(rows))]


def _info(row: dict[str, Any], loss_class: str) -> str:
    protocol = row.get("protocol")
    words = {"TCP": _tcp, "UDP": _udp, "ICMP": _icmp, "ICMPv6": _icmp6}.get(str(protocol), _other)(row)
    remarks = _remarks(row, loss_class)
    return f"[{'; '.join(remarks)}] {words}" if remarks else words


def _remarks(row: dict[str, Any], loss_class: str) -> list[str]:
    """Our own verdict stands for Wireshark's on what looks sent again."""
    said = [_CLASSES[loss_class]] if loss_class in _CLASSES else []
    for name, words in _VERDICTS.items():
        if row.get(name) and not (name in _REPEATS and said):
            said.append(words)
    return said


def _tcp(row: dict[str, Any]) -> str:
    flags = _number(row, "tcp_flags")
    if flags is None:
        return _ports(row)
    words = [_ports(row), f"[{', '.join(word for bit, word in _FLAGS if flags & bit)}]"]
    words += [f"Seq={_shown(row, 'seq')}"]
    words += [f"Ack={_shown(row, 'ack')}"] if flags & 0x10 else []
    words += [f"Win={_shown(row, 'window')}", f"Len={_shown(row, 'payload_length')}"]
    options = {"MSS": "mss", "WS": "window_scale", "SACK": "sack_left", "TSval": "tsval", "TSecr": "tsecr"}
    for word, column in options.items():
        value = _number(row, column)
        if value is None:
            continue
        if word == "SACK":
            words.append(f"SACK={value}-{_shown(row, 'sack_right')}")
        else:
            words.append(f"{word}={1 << value if word == 'WS' and 0 <= value < 15 else value}")
    return " ".join(words)


def _udp(row: dict[str, Any]) -> str:
    return f"{_ports(row)} Len={_shown(row, 'payload_length')}"


def _icmp(row: dict[str, Any]) -> str:
    kind, code = _number(row, "icmp_type"), _number(row, "icmp_code")
    if kind == 3:
        words = f"destination unreachable ({_UNREACHABLE.get(code or 0, f'code {code}')})"
        mtu = _number(row, "icmp_mtu")
        return f"{words}, MTU {mtu}" if mtu and code == 4 else words
    return _ICMP.get(-1 if kind is None else kind, f"type {kind}, code {code}")


def _icmp6(row: dict[str, Any]) -> str:
    kind, mtu = _number(row, "icmp_type"), _number(row, "icmp_mtu")
    words = _ICMP6.get(-1 if kind is None else kind, f"type {kind}, code {_number(row, 'icmp_code')}")
    return f"{words}, MTU {mtu}" if mtu and kind == 2 else words


def _other(row: dict[str, Any]) -> str:
    offset = _number(row, "fragment_offset")
    return f"fragment, from byte {offset} on" if offset else ""


def _ports(row: dict[str, Any]) -> str:
    return f"{_shown(row, 'src_port')} → {_shown(row, 'dst_port')}"


def _shown(row: dict[str, Any], name: str) -> str:
    value = _number(row, name)
    return "?" if value is None else str(value)


def _number(row: dict[str, Any], name: str) -> int | None:
    """Absent is `<NA>`, NaN or no such column."""
    value = row.get(name)
    return int(value) if isinstance(value, int | float) and value == value else None  # noqa: PLR0124 - NaN
