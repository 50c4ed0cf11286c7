"""A finding about the capture itself: nothing that costs an engineer more than a second look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.findings.steps import inside
from k8scap.findings.verdict import found

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.findings.case import Case
    from k8scap.model import Finding

ANY = "any"


def note(rule: str, case: Case, rows: pd.DataFrame, *, title: str, certainty: float, **keys: Any) -> Finding:
    """`rows` of the packets table as an info finding: nobody lost time by them."""
    return found(
        rule,
        case,
        title=title,
        frames=rows.reset_index()["number"],
        span=(rows["time"].min(), rows["time"].max()),
        certainty=certainty,
        severity="info",
        affected=len(rows),
        **keys,
    )


def interface_of(case: Case, rows: pd.DataFrame) -> str:
    """Where most of `rows` were captured, by the records or the manifest; eth0 where neither tells."""
    if "interface" in rows and rows["interface"].notna().any():
        return str(rows["interface"].dropna().astype("object").mode().iloc[0])
    told = case.manifest.interface if case.manifest else ""
    return told if told and told != ANY else "eth0"


def only_interface(case: Case, rows: pd.DataFrame) -> str:
    """The capture again, on the one interface on which most of `rows` were seen."""
    target = str(case.manifest.target.get("text", "")) if case.manifest else ""
    interface = interface_of(case, rows)
    if target:
        import shlex

        return shlex.join(["k8scap", "capture", target, "--interface", interface])
    return inside(case, ["tcpdump", "-i", interface, "-w", "again.pcap"])
