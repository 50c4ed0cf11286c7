"""One conversation of a capture: its row, and its part of every table."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from k8scap.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.analysis.capture import Capture


class Conversation:
    """What two ends said to one another; it shows as a card. Made by `Capture.conversation`.

    `row` is its row of `Capture.conversations`. Tables have the rows and columns of the capture's.
    """

    def __init__(self, cap: Capture, row: pd.Series) -> None:
        self._cap = cap
        self.row = row

    @property
    def display_filter(self) -> str:
        """Wireshark's."""
        return f"{str(self.row['protocol']).lower()}.stream == {self.row['stream']}"

    @cached_property
    def packets(self) -> pd.DataFrame:
        table = self._cap.packets
        return self._rows(table[table["protocol"] == self.row["protocol"]])

    @cached_property
    def round_trips(self) -> pd.DataFrame:
        return self._of("round_trips")

    @cached_property
    def retransmissions(self) -> pd.DataFrame:
        return self._of("retransmissions")

    @cached_property
    def losses(self) -> pd.DataFrame:
        return self._of("losses")

    @cached_property
    def exchanges(self) -> pd.DataFrame:
        return self._of("exchanges")

    @cached_property
    def requests(self) -> pd.DataFrame:
        """Those of this conversation, masked; tshark is handed its frames alone.

        Raises ToolMissingError where tshark is needed and missing.
        """
        cap = self._cap
        known = "requests" in cap.__dict__
        table = cap.requests if known else cap.select(self.display_filter).requests
        if self.row["protocol"] == "TCP":
            return self._rows(table)
        here = table["point"].astype("object") == self.row["point"]
        unnumbered: pd.DataFrame = table[here & table["stream"].isna()]  # DNS over UDP: known by its frames
        return unnumbered[unnumbered["number"].isin(self.packets.index)]

    def _of(self, name: str) -> pd.DataFrame:
        """Rows of a table about TCP; none of them is another protocol's."""
        table: pd.DataFrame = getattr(self._cap, name)
        return self._rows(table) if self.row["protocol"] == "TCP" else table.iloc[:0]

    def _rows(self, table: pd.DataFrame) -> pd.DataFrame:
        here = table["point"].astype("object") == self.row["point"]
        mine = (table["stream"] == self.row["stream"]).fillna(value=False).astype(bool)
        rows: pd.DataFrame = table[here & mine]
        return rows

    def __repr__(self) -> str:
        from k8scap.conversation_card import text

        return text(self)

    def _repr_html_(self) -> str:
        from k8scap.conversation_card import html

        return html(self)


def conversation_of(cap: Capture, stream: int, *, protocol: str, point: str | None) -> Conversation:
    """The one of this number; see `Capture.conversation`."""
    table = cap.conversations
    rows = table[
        (table["protocol"] == protocol) & (table["stream"] == stream).fillna(value=False).astype(bool)
    ]
    if point is not None:
        rows = rows[rows["point"].astype("object") == point]
    if len(rows) > 1:
        points = ", ".join(map(str, rows["point"]))
        raise UsageError(
            f"{protocol} stream {stream} is one at each of the points {points}.",
            next_step=f"cap.conversation({stream}, point={str(rows['point'].iloc[0])!r})",
        )
    if rows.empty:
        at = f" at {point}" if point is not None else ""
        raise UsageError(
            f"There is no {protocol} stream {stream}{at}.",
            next_step='cap.conversations[["protocol", "stream"]]',
        )
    return Conversation(cap, rows.iloc[0])
