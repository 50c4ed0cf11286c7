"""Why DNS questions stay unanswered: what sockets, pairs, names and evidence tell, likeliest first."""

from __future__ import annotations

import shlex
from datetime import UTC
from typing import TYPE_CHECKING

from k8scap.findings.steps import inside
from k8scap.model import delta

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.findings.case import Case

RACE_MS = 10.0
_RACE = ("conntrack-race", "packet-loss", "resolver-overload")
_STALE = ("stale-conntrack-entry", "resolver-down", "packet-loss")


def causes(case: Case, asked: pd.DataFrame, affected: pd.DataFrame) -> tuple[str, ...]:
    """For the lookups `affected` among all that one resolver was `asked`."""
    if not asked["answered"].any():
        silent = ("resolver-down", "network-policy-drop", "stale-conntrack-entry")
        return _STALE if _was_there_before(case, asked.iloc[0]) else silent
    if _is_stuck(asked, affected):
        return _STALE
    if _is_race(asked, affected) and not _is_behind_nat(case, asked.iloc[0]):
        return _RACE
    if not set(affected["query"]) & set(asked.loc[asked["outcome"] == "answered", "query"]):
        return ("upstream-time-out", "broken-delegation", "resolver-overload")
    return _RACE if _insertions_failed(case) else ("packet-loss", "resolver-overload", "conntrack-race")


def next_step(case: Case, cause: str, address: str, port: int, first: pd.Series) -> str:
    """The kernel's own count where conntrack is suspected, on the client's node; else the same question."""
    client = case.names.entry(str(first["src"]), first["time"])
    node = client.node if client else ""
    counts = {
        "conntrack-race": ["conntrack", "-S"],  # insert_failed grows
        "stale-conntrack-entry": ["conntrack", "-L", "-p", "udp", "--dport", str(port)],
    }
    if node and cause in counts:
        return shlex.join(["k8scap", "enter", f"node/{node}", "--", *counts[cause]])
    name = str(first["query"])
    return inside(case, ["dig", f"@{address}", "-p", str(port), "+tries=1", "+time=2", "-q", name])


def _is_race(asked: pd.DataFrame, affected: pd.DataFrame) -> bool:
    """A and AAAA leave one socket together, and mostly one of the two stays unanswered."""
    import pandas as pd

    socket = ["src", "src_port", "query"]
    unanswered = affected[affected["outcome"] == "unanswered"]
    answered = asked[asked["answered"].astype(bool)]
    pairs = unanswered.merge(answered, on=socket, suffixes=("", "_twin"))
    apart = (pairs["time"] - pairs["time_twin"]).abs()
    near = (pairs["type"] != pairs["type_twin"]) & (apart <= pd.Timedelta(milliseconds=RACE_MS))
    twins = pairs.loc[near, "number"].nunique()
    return bool(twins > 0 and twins >= len(unanswered) / 2)


def _is_stuck(asked: pd.DataFrame, affected: pd.DataFrame) -> bool:
    """Sockets that ask one thing after another in vain, while the resolver answers others meanwhile.

    A UDP conntrack entry outlives the endpoint that it points to as long as its socket goes on asking.
    """
    socket = ["src", "src_port"]
    unanswered = affected[affected["outcome"] == "unanswered"]
    sockets = unanswered.groupby(socket)["query"].agg("nunique")
    stuck = unanswered.set_index(socket).index.isin(sockets[sockets > 1].index)
    vain = unanswered[stuck]
    if vain.empty or len(vain) < len(unanswered) / 2:
        return False
    begun = vain.groupby(socket)["time"].min()
    answered = asked[asked["answered"].astype(bool) & (asked["time"] >= begun.min())]
    again = answered.set_index(socket)["time"]
    since = begun.reindex(again.index)
    return bool(len(answered)) and not bool((again >= since).any())


def _was_there_before(case: Case, first: pd.Series) -> bool:
    """Whoever had the resolver's address was gone by then."""
    entry = case.names.entry(str(first["dst"]), first["time"])
    if entry is None or entry.end is None:
        return False
    end = entry.end if entry.end.tzinfo else entry.end.replace(tzinfo=UTC)
    return bool(end <= first["time"])


def _is_behind_nat(case: Case, first: pd.Series) -> bool:
    """Asked at a pod's own address, the question has its conntrack entry already: nothing races for it."""
    entry = case.names.entry(str(first["dst"]), first["time"])
    return entry is not None and entry.kind == "pod"


def _insertions_failed(case: Case) -> bool:
    evidence = case.manifest.evidence if case.manifest else {}
    return (delta(evidence, "conntrack.insert_failed") or 0) > 0
