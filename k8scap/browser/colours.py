"""What each row of the packet list is coloured for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from k8scap.schema import PACKETS
from k8scap.tables.loss import LOST

if TYPE_CHECKING:
    import pandas as pd

_VERDICTS = tuple(c.name for c in PACKETS if c.layer == "analysis" and c.dtype == "bool")


def kinds(rows: pd.DataFrame, classes: list[str]) -> list[str]:
    """What each row is coloured for, the gravest first: its name in the page's style sheet."""
    count = len(rows)
    lost = np.isin(classes, LOST)
    judged = np.array([bool(c) for c in classes], bool)
    flag = {name: rows[name].to_numpy(bool) if name in rows else np.zeros(count, bool) for name in _VERDICTS}
    again = flag["retransmission"] | flag["fast_retransmission"]
    bits = rows["tcp_flags"].to_numpy(np.int64, na_value=0) if "tcp_flags" in rows else np.zeros(count, int)
    protocol = rows["protocol"].astype(object).to_numpy()
    choices = {
        "reset": bits & 0x04 > 0,
        "lost": lost | (again & ~judged),
        "window": flag["zero_window"] | flag["window_full"] | flag["zero_window_probe"],
        "icmp-error": _icmp_errors(rows),
        "gap": flag["lost_segment"] | flag["ack_lost_segment"],
        "again": judged | flag["spurious_retransmission"] | flag["out_of_order"] | flag["duplicate_ack"],
        "opening": bits & 0x03 > 0,
        "udp": protocol == "UDP",
        "arp": protocol == "ARP",
    }
    return [str(kind) for kind in np.select(list(choices.values()), list(choices), default="plain")]


def _icmp_errors(rows: pd.DataFrame) -> np.ndarray:
    """Of ICMP types 3, 5, 11, 12 (RFC 792), and below 128 in ICMPv6 (RFC 4443)."""
    kind = rows["icmp_type"].to_numpy(np.int64, na_value=-1)
    protocol = rows["protocol"].astype(object).to_numpy()
    told = np.isin(kind, (3, 5, 11, 12)) & (protocol == "ICMP")
    answer: np.ndarray = told | ((kind >= 0) & (kind < 128) & (protocol == "ICMPv6"))
    return answer
