"""Which frames are evidence of a finding: the conversations that it shows, whole."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from k8scap.errors import FilterError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import pandas as pd

    from k8scap.analysis import Capture
    from k8scap.model import Finding

_BY_BOTH_SIDES = "slow-proxy"
ERRORS = {"ICMP": (3, 4, 5, 11, 12), "ICMPv6": (1, 2, 3, 4)}
"""Types of ICMP that quote the packet they are about (RFC 792, RFC 4443)."""


def chosen(cap: Capture, asked: Sequence[int | Finding]) -> dict[int, Finding]:
    """The findings by their number, from 1 on. Raises UsageError where one was not found."""
    found = [finding for finding in cap.findings if finding.status == "found"]
    how = f"of 1 to {len(found)}" if found else "as there is none in this capture"
    numbered: dict[int, Finding] = {}
    for each in asked:
        number = each if isinstance(each, int) else found.index(each) + 1 if each in found else 0
        if not 1 <= number <= len(found):
            named = each if isinstance(each, int) else each.rule
            look = f"k8scap diagnose {_files(cap)}"
            raise UsageError(f"There is no finding {named} here, {how}.", next_step=look)
        numbered[number] = found[number - 1]
    if not numbered:
        raise UsageError("No finding was named.", next_step=f"k8scap share {_files(cap)} --finding 1")
    return numbered


def _files(cap: Capture) -> str:
    return shlex.join(str(file) for recording in cap.recordings for file in recording.files)


def frames_of(cap: Capture, findings: Mapping[int, Finding]) -> dict[str, pd.DataFrame]:
    """Of each point, the rows of the packets table that belong to what the findings show.

    ICMP errors about those conversations are not among them: that stands in their bytes.
    """
    points: dict[str, list[Finding]] = {}
    for finding in findings.values():
        points.setdefault(finding.point or cap.points[0], []).append(finding)
    return {point: _at(cap, point, shown) for point, shown in points.items()}


def _at(cap: Capture, point: str, findings: Sequence[Finding]) -> pd.DataFrame:
    import numpy as np

    packets = cap.packets[(cap.packets["point"] == point).to_numpy()]
    shown = np.zeros(len(packets), bool)
    for finding in findings:
        numbers = [*finding.frames, *_by_filter(cap, point, finding)]
        shown |= packets.index.isin(numbers)
    kept = shown | _same_conversation(packets, shown)
    if any(finding.rule == _BY_BOTH_SIDES for finding in findings):
        kept |= _other_side(cap.hops, point, packets, kept)
    rows: pd.DataFrame = packets.loc[kept | _same_datagram(packets, kept)]
    return rows


def _by_filter(cap: Capture, point: str, finding: Finding) -> np.ndarray:
    """A finding lists its first frames only; its display filter shows them all."""
    import numpy as np

    if finding.frame_count <= len(finding.frames) or not finding.display_filter:
        return np.empty(0, np.int64)
    try:
        passed = cap.select(finding.display_filter).packets
    except FilterError:
        return np.empty(0, np.int64)
    numbers: np.ndarray = passed.index[(passed["point"] == point).to_numpy()].to_numpy("int64")
    return numbers


def _same_conversation(packets: pd.DataFrame, shown: np.ndarray) -> np.ndarray:
    """Streams count per protocol."""
    import numpy as np

    kept = np.zeros(len(packets), bool)
    for protocol in packets["protocol"][shown].dropna().unique():
        of_it = (packets["protocol"] == protocol).to_numpy()
        streams = packets["stream"][shown & of_it].dropna()
        kept |= of_it & packets["stream"].isin(streams).to_numpy()
    return kept


def _other_side(hops: pd.DataFrame, point: str, packets: pd.DataFrame, kept: np.ndarray) -> np.ndarray:
    """The connections with which a sidecar went on: what it waited for shows in them alone."""
    tcp = (packets["protocol"] == "TCP").to_numpy()
    streams = packets["stream"][kept & tcp]
    there = hops[(hops["point"] == point) & hops["outer_stream"].notna()]
    parts = ["inner_stream", "answer_stream", "outer_stream"]  # a redirection splits the near side in two
    joined = there.loc[there[parts].isin(list(streams)).any(axis=1), parts]
    rows: np.ndarray = (
        tcp & packets["stream"].isin([n for part in parts for n in joined[part].dropna()]).to_numpy()
    )
    return rows


def _same_datagram(packets: pd.DataFrame, kept: np.ndarray) -> np.ndarray:
    """Later fragments have no ports: they are known by their identification (RFC 791)."""
    import numpy as np

    later = (packets["fragment_offset"].fillna(0) > 0).to_numpy(dtype=bool)
    if not later.any():
        return np.zeros(len(packets), bool)
    keys = list(zip(*(packets[name].astype("object") for name in ("src", "dst", "ip_id")), strict=True))
    known = {keys[i] for i in np.flatnonzero(kept).tolist()}
    fragments: np.ndarray = later & np.array([key in known for key in keys])
    return fragments


def errors_of(packets: pd.DataFrame) -> np.ndarray:
    """Numbers of the ICMP errors among some frames."""
    import numpy as np

    error = np.zeros(len(packets), bool)
    for protocol, types in ERRORS.items():
        error |= ((packets["protocol"] == protocol) & packets["icmp_type"].isin(types)).to_numpy(dtype=bool)
    numbers: np.ndarray = packets.index[error].to_numpy("int64")
    return numbers


def ends_of(packets: pd.DataFrame) -> set[frozenset[tuple[str, int]]]:
    """The pairs of (address, port) that speak with one another in these frames."""
    columns = [packets[name].astype("object") for name in ("src", "src_port", "dst", "dst_port")]
    return {
        frozenset({(str(src), int(src_port)), (str(dst), int(dst_port))})
        for src, src_port, dst, dst_port in set(zip(*columns, strict=True))
        if src_port == src_port and dst_port == dst_port and src_port is not None  # noqa: PLR0124 (NaN)
    }
