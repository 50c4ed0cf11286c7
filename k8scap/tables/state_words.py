"""Zeek's connection states, said in words."""

from __future__ import annotations

from typing import Any

STATES = {
    "S0": "attempt, no answer",
    "S1": "established, not ended",
    "SF": "ended normally",
    "REJ": "refused",
    "S2": "closed by the client only",
    "S3": "closed by the server only",
    "RSTO": "reset by the client",
    "RSTR": "reset by the server",
    "RSTOS0": "SYN, then reset by the client",
    "RSTRH": "SYN-ACK, then reset by the server; no SYN seen",
    "SH": "SYN, then FIN; no SYN-ACK seen",
    "SHR": "SYN-ACK, then FIN by the server; no SYN seen",
    "OTH": "began before the capture",
}
DATAGRAM_STATES = {"S0": "no answer", "SF": "both sides spoke", "SHR": "only the other side spoke"}


def state_words(protocol: Any, state: Any) -> str:
    """`SF: ended normally`; the state alone where it has no words, empty where there is none."""
    if not isinstance(state, str) or not state:
        return ""
    meaning = (STATES if protocol == "TCP" else DATAGRAM_STATES).get(state)
    return f"{state}: {meaning}" if meaning else state
