"""What the host's own account says of a server's CPU: throttled while it was slow, or certainly not.

`cpu.nr_throttled` counts the periods in which the target's cgroup ran out of quota (Documentation/scheduler/
sched-bwc.rst). It is the target's: it speaks of a server only where the capture was made beside that server.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8scap.findings.intervals import union_seconds
from k8scap.model import delta

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.findings.case import Case

CAUSE = "cpu-throttling"
PERIOD_S = 0.1
THROTTLED_SHARE = 0.1
"""Share of the seconds waited that the cgroup stood still: less is a burst beside another cause."""


@dataclass(frozen=True)
class Throttling:
    """`throttled` is None where nobody counted, or too little for either; `remark` is for a title."""

    throttled: bool | None = None
    remark: str = ""

    def ranked(self, causes: tuple[str, ...]) -> tuple[str, ...]:
        """The causes with throttling first where it is proven, and without it where it is disproven."""
        if self.throttled is None:
            return causes
        others = tuple(cause for cause in causes if cause != CAUSE)
        return (CAUSE, *others) if self.throttled else others


def throttling(case: Case, slow: pd.DataFrame) -> Throttling:
    """What is known of the quota of the server of these `slow` exchanges."""
    evidence = case.manifest.evidence if case.manifest else {}
    throttled = delta(evidence, "cpu.nr_throttled")
    if throttled is None or not _beside_the_server(case, slow):
        return Throttling()
    periods, stood = delta(evidence, "cpu.nr_periods"), delta(evidence, "cpu.throttled_usec")
    if not throttled:
        return Throttling(throttled=False, remark="; its CPU was not throttled meanwhile")
    stood_s = stood / 1e6 if stood is not None else throttled * PERIOD_S
    of = f" of {periods:,}" if periods else ""
    used_up = f"its CPU quota was used up in {throttled:,}{of} periods, {stood_s:,.1f} s in all"
    if stood_s < THROTTLED_SHARE * union_seconds(slow["request_end"], slow["wait_end"]):
        return Throttling(remark=f"; {used_up}, too little to explain it")
    return Throttling(throttled=True, remark=f"; proof: {used_up}")


def _beside_the_server(case: Case, slow: pd.DataFrame) -> bool:
    """Whether the capture stands on the server's side of these exchanges' connections."""
    from k8scap.tables.segments import segments
    from k8scap.tables.standpoint import agreed, standpoint

    packets = case.packets[case.packets["stream"].isin(slow["stream"]) & (case.packets["protocol"] == "TCP")]
    return agreed(standpoint(segments(packets, what="throttling"), packets)) == "server"
