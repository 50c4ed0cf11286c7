"""What the ladder says of a packet: over its arrow, and beside it."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from k8scap.plot.canvas import milliseconds

if TYPE_CHECKING:
    import pandas as pd

_FLAGS = ((0x02, "SYN"), (0x01, "FIN"), (0x04, "RST"), (0x08, "PSH"), (0x10, "ACK"))
_SYN, _ACK, _RST = 0x02, 0x10, 0x04


@dataclass(frozen=True)
class Repeat:
    """What is known of a frame that carries bytes again: why, and after how long (ms, NaN unknown)."""

    why: str
    waited_ms: float


def said(row: pd.Series) -> str:
    """`PSH ACK seq=1 len=1000 ack=1 win=64240`, as Wireshark has it; of a datagram `len=45`."""
    import pandas as pd

    length = 0 if pd.isna(row["payload_length"]) else int(row["payload_length"])
    if pd.isna(row["tcp_flags"]):
        return f"{row['protocol']} len={length}"
    flags = int(row["tcp_flags"])
    words = [name for bit, name in _FLAGS if flags & bit]
    told = {"seq": "seq", "len": "payload_length", "ack": "ack", "win": "window"}
    if not length:
        del told["len"]
    if not flags & _ACK:
        del told["ack"]
    words += [f"{name}={int(row[column])}" for name, column in told.items() if not pd.isna(row[column])]
    return " ".join(words)


def closed(row: pd.Series) -> bool:
    import pandas as pd

    flags = 0 if pd.isna(row["tcp_flags"]) else int(row["tcp_flags"])
    return not pd.isna(row["window"]) and int(row["window"]) == 0 and not flags & (_SYN | _RST)


def remark(row: pd.Series, repeat: Repeat | None, *, lost: bool) -> str:
    remarks = []
    if repeat:
        after = f" after {milliseconds(repeat.waited_ms)}" if isfinite(repeat.waited_ms) else ""
        remarks.append(f"again{after} ({repeat.why.replace('_', ' ')})")
    if lost:
        remarks.append("lost")
    if closed(row):
        remarks.append("window closed")
    return ", ".join(remarks)
