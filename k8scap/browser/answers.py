"""What the page is told of frames, conversations and findings."""

from __future__ import annotations

import re
from base64 import b64encode
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from k8scap.browser import columns
from k8scap.browser.context import companions, context
from k8scap.browser.dissection import dissect
from k8scap.browser.filtering import from_table
from k8scap.browser.numbering import Numbering, frame_fields
from k8scap.browser.payload import one_line, printable, said
from k8scap.browser.protocols import seen
from k8scap.errors import K8scapError
from k8scap.parser.beyond import BeyondThisEngineError
from k8scap.parser.filters import check_filter
from k8scap.parser.where import compile_filter
from k8scap.schema import PACKETS

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    import numpy.typing as npt

    from k8scap.analysis import Capture
    from k8scap.browser.marks import Marks
    from k8scap.browser.view import View
    from k8scap.parser.source import Source

    Send = Callable[..., None]
    Ints = npt.NDArray[np.int64]

_ABOVE = (
    "http", "http2", "dns", "tls", "grpc", "arp", "icmp", "icmpv6", "tcp", "udp", "ip.addr", "ipv6.addr",
    "tcp.port", "udp.port", "tcp.flags.syn", "tcp.flags.reset", "tcp.analysis.flags", "http.request",
    "http.response.code", "http.host", "dns.qry.name", "dns.flags.rcode", "tls.handshake.type",
    "tls.alert_message", "_ws.expert",
)  # fmt: skip
"""What people filter by beside the table's fields."""


def has_port(row: Any, end: str) -> bool:
    return isinstance(row[f"{end}_port"], int | np.integer)


def _is_filter(text: str) -> bool:
    """Whether tshark takes it: not every protocol's name is one."""
    try:
        check_filter(text)
    except K8scapError:
        return False
    return bool(text)


class Answers:
    """Answers that need the capture's files, or its findings; `send` gives them to the page."""

    def __init__(self, cap: Capture, marks: Marks, send: Send) -> None:
        self._cap = cap
        self._marks = marks
        self._send = send

    def prepare(self) -> None:
        """Load now what the first filter and the first frame's details would wait for."""
        import lxml.etree  # noqa: F401
        import pyshark  # noqa: F401

        from_table(self._cap.packets.iloc[:1], "tcp.stream == 0")
        with suppress(K8scapError):
            frame_fields()

    def tell_fields(self) -> None:
        """Fields to complete in the filter line: those that the table answers, and well-known others."""
        names = {field for column in PACKETS for field in column.fields if not field.startswith("_")}
        self._send({"tell": "fields", "names": sorted(names.union(_ABOVE))})

    def tell_findings(self) -> None:
        found = [finding for finding in self._cap.findings if finding.status == "found"]
        told = [
            {
                "severity": finding.severity,
                "rule": finding.rule,
                "title": finding.title,
                "filter": finding.display_filter,
                "next": finding.next_step,
            }
            for finding in found
        ]
        self._send({"tell": "findings", "findings": told, "notes": list(self._cap.quality.notes)})

    def tell_check(self, text: str) -> None:
        """Whether a filter that is being typed can be answered, and by whom."""
        verdict, message = "table", ""
        if compile_filter(text.strip()) is None and text.strip():
            try:
                check_filter(text.strip())
                verdict = "tshark"
            except K8scapError as error:
                verdict, message = "bad", error.message
        self._send({"tell": "checked", "text": text, "verdict": verdict, "message": message})

    def tell_cell(self, row: dict[str, Any], name: str, said: str) -> None:
        """What the menu on a cell offers: the filters that it stands for.

        `said` is the protocol that the list shows, by tshark's word; "" where it is the table's.
        """
        named = {"Value": columns.cell_filter(name, row)}
        if name == "protocol" and re.fullmatch(r"[A-Za-z0-9]+", spoken := said.partition("v")[0]):
            named["Value"] = spoken.lower()  # TLSv1.3 is tls
        stream, protocol = row.get("stream"), str(row.get("protocol")).lower()
        if isinstance(stream, int | np.integer) and protocol in {"tcp", "udp"}:
            named["Conversation"] = f"{protocol}.stream == {stream}"
        self._send(
            {"tell": "cell", "filters": {what: text for what, text in named.items() if _is_filter(text)}}
        )

    def tell_protocols(self, rows: Ints, *, fields: list[str], first: int, view: int) -> None:
        """Protocol and Info of applications, and these fields, by the rows' places in the list."""
        packets = self._cap.packets.iloc[rows]
        points, numbers = packets["point"].astype(str).to_numpy(), packets.index.to_numpy(np.int64)
        answers: dict[str, list[str]] = {}
        for source in self._sources:
            places = np.flatnonzero(points == source.point)
            if not len(places):
                continue
            try:
                told = seen(source, np.unique(numbers[places]), fields, self._decode_as)
            except (K8scapError, OSError):
                continue  # the list says what the table knows
            for place in places.tolist():
                protocol, info, values = told.get(int(numbers[place]), ("", "", []))
                answers[str(first + place)] = [protocol, info, *map(one_line, values)]
        self._send({"tell": "told", "view": view, "rows": answers})

    def tell_detail(self, position: int, stop: threading.Event) -> None:
        """The frame's tree and bytes."""
        packets = self._cap.packets
        point, number = str(packets["point"].iloc[position]), int(packets.index[position])
        try:
            found = dissect(
                self._source(point),
                context(packets, position),
                number,
                numbering=self._numbering(position),
                decode_as=self._decode_as,
            )
        except (K8scapError, OSError) as error:
            self._complain("detail", error)
            return
        if not stop.is_set():
            sources = [
                {"name": data.name, "bytes": b64encode(data.content).decode()} for data in found.sources
            ]
            key = {"point": point, "number": number, "note": self._marks.note((point, number))}
            self._send({"tell": "detail", **key, "tree": found.tree, "sources": sources})

    def tell_conversation(self, position: int, what: str, stop: threading.Event) -> None:
        """The conversation as text, or drawn: `what` is "payload", "sequence" or "ladder"."""
        try:
            told = self._payload(position) if what == "payload" else self._drawn(position, what)
        except (K8scapError, OSError, BeyondThisEngineError) as error:
            self._complain("follow", error)
            return
        if not stop.is_set():
            self._send({"tell": "conversation", "what": what, "title": self._title(position), **told})

    def place(self, view: View, to: str, start: int, step: int) -> int:
        """Where in the list: of the frame numbered `start`, or from row `start` on, `step` ahead or back.

        `to` is "number", "mark" or "conversation"; -1 where there is none.
        """
        packets = self._cap.packets
        if to == "number":
            found = np.flatnonzero(packets.index.to_numpy() == start)
            places = [place for position in found.tolist() if (place := view.place(position)) >= 0]
            return places[0] if places else -1
        if to == "mark":
            numbers = {key[1] for key in self._marks}
            near = packets.iloc[candidates := np.flatnonzero(packets.index.isin(list(numbers)))]
            keys = zip(near["point"].astype(str), near.index.tolist(), strict=True)
            wanted = [p for p, key in zip(candidates.tolist(), keys, strict=True) if key in self._marks]
        else:
            wanted = companions(packets, int(view.rows[start])).tolist()
        where = np.flatnonzero(np.isin(view.rows, wanted))
        at = int(np.searchsorted(where, start, side="right" if step > 0 else "left"))
        at = at if step > 0 else at - 1
        return int(where[at]) if 0 <= at < len(where) else -1

    def _title(self, position: int) -> str:
        """Who began, and with whom: `client:58298 → server:80, TCP stream 2: 12 frames`."""
        packets = self._cap.packets
        of_it = companions(packets, position)
        first = self._cap.named(packets.iloc[of_it[:1]]).iloc[0]
        ends = [
            f"{first[f'{end}_name']}:{first[f'{end}_port']}"
            if has_port(first, end)
            else str(first[f"{end}_name"])
            for end in ("src", "dst")
        ]
        stream = f", {first['protocol']} stream {first['stream']}" if has_port(first, "src") else ""
        return f"{' → '.join(ends)}{stream}: {len(of_it):,} frames; orange is who sent the first of them"

    def _payload(self, position: int) -> dict[str, Any]:
        packets = self._cap.packets
        source = self._source(str(packets["point"].iloc[position]))
        found = said(source, packets, position)
        pieces = [
            {
                "side": piece.side,
                "number": piece.number,
                "missing": piece.missing,
                "text": printable(piece.content),
                "bytes": b64encode(piece.content).decode(),
            }
            for piece in found.pieces
        ]
        return {"pieces": pieces, "cut": found.cut}

    def _drawn(self, position: int, what: str) -> dict[str, Any]:
        from k8scap import plot
        from k8scap.plot.canvas import detached_axes, svg

        row = self._cap.packets.iloc[position]
        protocol, stream = str(row["protocol"]), row["stream"]
        if not isinstance(stream, int | np.integer):
            return {"picture": "", "why": "This frame belongs to no conversation."}
        if what == "sequence" and protocol != "TCP":
            return {"picture": "", "why": "A time sequence is drawn of TCP."}
        alone = self._cap.select(f"{protocol.lower()}.stream == {stream}")
        number = int(self._cap.packets.index[position])
        if what == "sequence":
            axes = plot.time_sequence(alone, stream=int(stream), ax=detached_axes())
        else:
            axes = plot.exchange_ladder(
                alone, stream=int(stream), protocol=protocol, around=number, ax=detached_axes(height=8.0)
            )
        return {"picture": b64encode(svg(axes)).decode(), "why": ""}

    def _numbering(self, position: int) -> Numbering:
        packets = self._cap.packets
        here = np.flatnonzero((packets["point"] == packets["point"].iloc[position]).to_numpy())
        times = packets["time"].to_numpy(dtype="M8[ns]").view(np.int64)
        before = int(here[max(int(np.searchsorted(here, position)) - 1, 0)])
        stream = packets["stream"].iloc[position]
        return Numbering(
            number=int(packets.index[position]),
            stream=int(stream) if isinstance(stream, int | np.integer) else -1,
            delta=int(times[position] - times[before]),
            relative=int(times[position] - times[here[0]]),
        )

    def _complain(self, about: str, error: Exception) -> None:
        message = getattr(error, "message", "") or str(error) or type(error).__name__
        self._send(
            {"tell": "error", "about": about, "message": message, "next": getattr(error, "next_step", "")}
        )

    @property
    def _sources(self) -> tuple[Source, ...]:
        return self._cap.sources

    @property
    def _decode_as(self) -> dict[str, str]:
        return dict(self._cap.selection.decode_as)

    def _source(self, point: str) -> Source:
        return self._cap.source(point)
