"""ICMP errors that refuse: which packet each one answers.

The headers quoted inside an ICMP error do not fill the packets table, so the packet is found by what
was sent: the last one from the address that got the error, within a second before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.findings.flags import is_first_syn

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.findings.case import Case

ANSWER_SECONDS = 1.0
_REFUSALS = {
    ("ICMP", 3): {3: "port unreachable", 9: "prohibited", 10: "prohibited", 13: "prohibited"},
    ("ICMPv6", 1): {4: "port unreachable", 1: "prohibited", 5: "prohibited", 6: "prohibited"},
}
_PACKET = ["time", "refused", "protocol", "stream", "src", "src_port", "dst", "dst_port"]


def unreachable(case: Case) -> pd.DataFrame:
    """One row a refusal by ICMP, with the packet that it answers.

    Columns: `icmp` (the error's frame number), `icmp_time`, `reason`; and of the packet `refused` (its
    frame number), time, protocol, stream, src, src_port, dst, dst_port.
    The error's own sender is looked for first (UDP and TCP); a router or a node that answers for a
    Service's address is believed for SYNs that nobody else answered.
    """
    import pandas as pd

    errors = _errors(case.packets)
    if errors.empty:
        return pd.DataFrame(columns=["icmp", "icmp_time", "reason", *_PACKET])
    syns, datagrams = _unanswered_syns(case), _first_side_datagrams(case)
    asked = pd.concat([syns, datagrams]).sort_values("time", kind="stable")
    direct = _latest(errors, asked, on={"victim": "src", "teller": "dst"})
    others = errors[~errors["icmp"].isin(direct["icmp"])]
    return pd.concat([direct, _latest(others, syns, on={"victim": "src"})], ignore_index=True)


def _errors(packets: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    icmp = packets[packets["icmp_type"].notna()].reset_index()
    reasons = [
        _REFUSALS.get((str(protocol), kind), {}).get(code)
        for protocol, kind, code in zip(icmp["protocol"], icmp["icmp_type"], icmp["icmp_code"], strict=True)
    ]
    columns = {"number": "icmp", "time": "icmp_time", "src": "teller", "dst": "victim"}
    errors = icmp[list(columns)].rename(columns=columns).astype({"teller": "object", "victim": "object"})
    return (
        errors.assign(reason=pd.Series(reasons, index=errors.index, dtype="object"))
        .dropna(subset="reason")
        .sort_values("icmp_time", kind="stable")
    )


def _unanswered_syns(case: Case) -> pd.DataFrame:
    conversations, tcp = case.tcp_conversations, case.tcp
    silent = conversations.loc[conversations["state"] == "S0", "stream"]
    return _sent(tcp[tcp["stream"].isin(silent) & is_first_syn(tcp)])


def _first_side_datagrams(case: Case) -> pd.DataFrame:
    """UDP of the side that began: an answer that comes to a socket closed meanwhile is nobody's loss."""
    began = case.conversations[case.conversations["protocol"] == "UDP"]
    sides = set(zip(began["stream"], began["src"], began["src_port"], strict=True))
    udp = case.packets[(case.packets["protocol"] == "UDP") & case.packets["stream"].notna()]
    forward = [side in sides for side in zip(udp["stream"], udp["src"], udp["src_port"], strict=True)]
    return _sent(udp.iloc[[row for row, is_forward in enumerate(forward) if is_forward]])


def _sent(packets: pd.DataFrame) -> pd.DataFrame:
    rows = packets.reset_index().rename(columns={"number": "refused"})[_PACKET]
    return rows.astype({"protocol": "object", "src": "object", "dst": "object"})


def _latest(errors: pd.DataFrame, asked: pd.DataFrame, *, on: dict[str, str]) -> pd.DataFrame:
    """Each error with the last packet before it that has the same addresses; errors without are left out."""
    import pandas as pd

    joined = pd.merge_asof(
        errors,
        asked.sort_values("time", kind="stable"),
        left_on="icmp_time",
        right_on="time",
        left_by=list(on),
        right_by=list(on.values()),
        tolerance=pd.Timedelta(seconds=ANSWER_SECONDS),
    )
    return joined[joined["refused"].notna()]
