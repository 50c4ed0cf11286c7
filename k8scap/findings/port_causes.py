"""What ports tell of SYNs that got lost: that a gateway has none left, or that theirs were used before."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.findings.case import Case

EXHAUSTED_FLOWS = 64
EXHAUSTED_SHARE = 0.9
REUSED_SHARE = 0.5
FRESH_SHARE = 0.1
_CLOSED = ("SF", "RSTO", "RSTR", "RSTOS0", "RSTRH", "REJ")
_ENDS = ["src", "src_port", "dst", "dst_port"]


def is_exhausted(case: Case, rows: pd.DataFrame, same: pd.DataFrame) -> bool:
    """Attempts `rows` failed only while many connections to that place were open, and then nearly all did.

    A race for ports (`snat-port-race`) lets some through however many are open. Of connections that the
    capture did not see opened, those count that it saw answered.
    """
    since, until = _spans(case, rows, same)
    at_failure = _open_at(rows["asked"], since, until)
    limit = int(at_failure.min())
    if limit < EXHAUSTED_FLOWS:
        return False
    passed = same[~same["stream"].isin(rows["stream"])]
    through = int((_open_at(passed["asked"], since, until) >= limit).sum())
    return len(rows) >= EXHAUSTED_SHARE * (len(rows) + through)


def _spans(case: Case, rows: pd.DataFrame, same: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """When connections to the destination of `rows` were opened, and closed (in order; each by itself).

    Those that were answered late hold their port from then on; those that were not closed, for ever.
    """
    import pandas as pd

    talks, first = case.tcp_conversations, rows.iloc[0]
    there = (talks["dst"] == first["dst"]) & (talks["dst_port"] == first["dst_port"])
    talks = talks[there & (talks["packets_received"] > 0)].set_index("stream")
    asked = same.set_index("stream")["asked"].reindex(talks.index)
    late = rows.set_index("stream")["answered"].reindex(talks.index)
    since = late.fillna(asked).fillna(talks["start"])
    until = talks["end"].where(talks["state"].isin(_CLOSED), pd.Timestamp.max.tz_localize("UTC"))
    return since.sort_values(), until.sort_values()


def _open_at(times: pd.Series, since: pd.Series, until: pd.Series) -> pd.Series:
    """How many were open just before each of the times."""
    import pandas as pd

    begun, ended = since.searchsorted(times, side="left"), until.searchsorted(times, side="left")
    return pd.Series(begun - ended, index=times.index)


def is_reused(case: Case, rows: pd.DataFrame, same: pd.DataFrame) -> bool:
    """Attempts `rows` failed once, in silence, because their ports had been used for that place before.

    Most attempts from such ports waited for their second SYN, and hardly one from another port did.
    """
    reused = same.sort_values("asked", kind="stable").duplicated(_ENDS).reindex(same.index)
    slow = same["stream"].isin(rows["stream"])
    again = same[reused & slow & same["answered"].notna()]
    if again.empty or len(again) < REUSED_SHARE * len(rows):
        return False
    if (again["syns"] != 2).mean() > 1 - REUSED_SHARE or _was_told(case, again):
        return False
    fresh = slow[~reused]
    return bool(slow[reused].mean() >= REUSED_SHARE and (fresh.empty or fresh.mean() <= FRESH_SHARE))


def _was_told(case: Case, again: pd.DataFrame) -> bool:
    """Whether the server spoke before its SYN-ACK: one in TIME-WAIT acknowledges (RFC 9293, 3.6.1)."""
    tcp = case.tcp[case.tcp["stream"].isin(again["stream"])]
    before = tcp["time"] < tcp["stream"].map(again.set_index("stream")["answered"])
    from_server = tcp["src_port"] == tcp["stream"].map(again.set_index("stream")["dst_port"])
    return bool((before & from_server).any())
