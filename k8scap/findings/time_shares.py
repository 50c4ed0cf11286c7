"""Whose the time of the requests was, in one clause: what is ruled out is said with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from k8scap.findings.case import Case

_WHOSE = {
    "the server's": ("server_ms",),
    "the path's": ("path_ms", "connect_ms", "syn_retry_ms", "stall_ms"),
    "the transfer's": ("request_ms", "response_ms"),
    "TLS's": ("tls_ms",),
    "the readers'": ("zero_window_ms",),
    "delayed ACKs'": ("delayed_ack_ms",),
}
_LEAST_EXCHANGES = 3


def whose_time(case: Case) -> str:
    """`97 % of the requests' time was the server's`; empty where there is too little to say it of.

    Of the exchanges' wall time without the client's idleness; the largest share.
    """
    answered = case.exchanges[case.exchanges["wall_ms"].notna()]
    sums = {who: float(answered[list(parts)].sum().sum()) for who, parts in _WHOSE.items()}
    total = sum(sums.values())
    if len(answered) < _LEAST_EXCHANGES or total <= 0:
        return ""
    who = max(sums, key=lambda name: sums[name])
    return f"{sums[who] / total:.0%} of the requests' time was {who}"
