"""What Wireshark reads of the application's words in a capture, of the frames that matter alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.parser.beyond import BeyondThisEngineError
from k8scap.parser.reference.dissect import read_fields
from k8scap.parser.requests.asking import BETWEEN, FIELDS, ask
from k8scap.parser.requests.choosing import MOST_FRAMES, choose
from k8scap.parser.requests.conversations import NEEDED, upward
from k8scap.parser.requests.signatures import told_by
from k8scap.schema import require

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from k8scap.parser.source import Source

_WHERE = "tcp && (http || http2 || tls || pgsql || mysql || resp || mongo || kafka)"


def read_messages(
    sources: Sequence[Source], packets: pd.DataFrame, decode_as: Mapping[str, str]
) -> pd.DataFrame:
    """`FIELDS` of the frames of `packets` that Wireshark finds an application's words in.

    Strings or NaN, several occurrences in one frame joined by `BETWEEN`; beside them `point`, `stream` and
    `upward`, which tells a conversation's two directions apart; indexed by `number`, point by point. Where
    frames had to be left out, the source has a note of it. Raises SchemaError where columns are missing,
    ToolMissingError, OSError, DiskFullError.
    """
    import pandas as pd

    require(packets, NEEDED, what="requests")
    parts = []
    for source in sources:
        mine = packets if len(sources) == 1 else packets[packets["point"] == source.point]
        heard = _heard(source, mine, decode_as)
        ends = mine.loc[heard.index, ["src", "dst", "src_port", "dst_port"]]
        parts.append(
            heard.assign(point=source.point, stream=mine["stream"].reindex(heard.index), upward=upward(ends))
        )
    return pd.concat(parts)


def _heard(source: Source, packets: pd.DataFrame, decode_as: Mapping[str, str]) -> pd.DataFrame:
    try:
        choices = choose(packets, source.files, told_by(decode_as))
    except BeyondThisEngineError:  # a format that only tshark reads
        heard = read_fields(source, FIELDS, where=_WHERE, decode_as=decode_as, aggregator=BETWEEN)
        return heard[heard.index.isin(packets.index[packets["stream"].notna()])].dropna(how="all")
    if choices.left_out:
        source.notes[
            f"Requests were read from the first {MOST_FRAMES:,} frames of conversations that have any; "
            f"{choices.left_out:,} later ones were left out."
        ] = None
    return ask(source, choices.parts, decode_as)
