"""What the rules say of the newest packets of a capture that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.live.watching.beginnings import LiveBeginnings
from k8scap.live.watching.growing_table import stacked

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from k8scap.live.watching.growing_table import Piece
    from k8scap.model import Finding, Manifest
    from k8scap.names import Names
    from k8scap.schema import Column


def found_in(pieces: Sequence[Piece], manifest: Manifest, names: Names) -> list[Finding]:
    """What is found in these rows of one point, worst first.

    What needs the application's words (DNS names, HTTP's status) is not asked for: tshark would have to
    run. A capture that was begun in the middle of everything looks like these rows, and is judged as one.
    """
    from k8scap.findings import judge

    packets = stacked([piece.table for piece in pieces])
    if not len(packets):
        return []
    places = [place for piece in pieces for place in piece.places]
    case = _case(packets, LiveBeginnings(packets, places), manifest, names)
    return [finding for finding in judge(case) if finding.status == "found"]


def _case(packets: pd.DataFrame, beginnings: LiveBeginnings, manifest: Manifest, names: Names) -> Any:
    from k8scap.findings import Case
    from k8scap.tables.conversations import conversations
    from k8scap.tables.duplicates import duplicates
    from k8scap.tables.exchanges import exchanges
    from k8scap.tables.lookups import COLUMNS as LOOKUPS
    from k8scap.tables.naming import naming
    from k8scap.tables.quality import quality
    from k8scap.tables.reorderings import reorderings
    from k8scap.tables.replay import Replay
    from k8scap.tables.requests import COLUMNS as REQUESTS
    from k8scap.tables.retransmissions import retransmissions
    from k8scap.tables.round_trips import round_trips
    from k8scap.tables.sidecar import hops

    replay = Replay(packets)
    named = {
        table.__name__: naming(table(packets, replay=replay), names)
        for table in (conversations, round_trips, retransmissions, reorderings, duplicates)
    }
    return Case(
        packets=packets,
        **named,
        exchanges=naming(exchanges(packets, beginnings=beginnings, replay=replay), names),
        lookups=naming(_nothing(LOOKUPS), names),
        requests=naming(_nothing(REQUESTS), names),
        hops=naming(hops(packets, beginnings=beginnings), names),
        replay=replay,
        quality=quality(packets, manifests=(), cut_off=False, replay=replay),
        manifests=(manifest,),
        names=names,
    )


def _nothing(columns: Sequence[Column]) -> pd.DataFrame:
    from k8scap.tables.assembly import assemble

    return assemble(columns, {column.name: [] for column in columns})
