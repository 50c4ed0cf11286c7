"""Recordings opened for analysis: one `Capture`, its tables made when they are asked for."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from k8scap.errors import UsageError
from k8scap.names import Names, names_given
from k8scap.parser.engines import Selection, check_engine, iter_packets, narrowed, read_packets
from k8scap.parser.filters import both, check_filter, span
from k8scap.parser.learnt_names import LearntNames
from k8scap.parser.source import Source
from k8scap.recording import open_recordings
from k8scap.schema import PACKET_COLUMNS, require

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    import pandas as pd

    from k8scap.model import Finding, Manifest, Quality
    from k8scap.names import Given
    from k8scap.parser.beginnings import Beginnings
    from k8scap.recording import Recording
    from k8scap.tables.replay import Replay

_DNS = ("dns.id", "dns.flags.response", "dns.qry.name", "dns.qry.type", "dns.flags.rcode")


_DNS_PORTS = (53, 5353, 5355)
"""DNS, and its multicast kin (RFC 6762, RFC 4795)."""


class Capture:
    """One or more capture points' recordings, as tables.

    Every table is made when first asked for, and kept. A frame is (`point`, `number`). Who an address was
    stands behind it, in `src_name` and `dst_name` (see `named`).
    """

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        names: Names,
        learnt: LearntNames | None = None,
        selection: Selection | None = None,
        engine: str = "columnar",
        packets: pd.DataFrame | None = None,
    ) -> None:
        self._sources = tuple(sources)
        self._selection = selection or Selection()
        self._engine = engine
        self._told = names
        self._learnt = learnt
        if packets is not None:
            self.packets = packets

    @cached_property
    def names(self) -> Names:
        """Who the addresses were: the names given, the manifests', and those learnt where that was wanted."""
        return self._told.over(Names(self._learnt.entries)) if self._learnt else self._told

    @property
    def recordings(self) -> tuple[Recording, ...]:
        return tuple(source.recording for source in self._sources)

    @property
    def points(self) -> tuple[str, ...]:
        return tuple(source.point for source in self._sources)

    @property
    def manifests(self) -> tuple[Manifest, ...]:
        """Those of the recordings that have one, each under its point's name here."""
        return tuple(replace(s.manifest, point=s.point) for s in self._sources if s.manifest)

    @property
    def manifest(self) -> Manifest | None:
        return next(iter(self.manifests), None)

    @cached_property
    def packets(self) -> pd.DataFrame:
        """One row a frame, indexed by `number`; columns and dtypes as in `schema.PACKETS`."""
        return read_packets(self._sources, self._selection, engine=self._engine)

    def iter_packets(self, chunk: int = 1_000_000) -> Iterator[pd.DataFrame]:
        """The packets table in pieces, for files larger than memory: `chunk` frames are read for each.

        The pieces follow one another as the rows of `packets` do, and hold the same values; a piece's
        categories are those met so far. A file that grows is read to its present end. Raises UsageError for
        a chunk smaller than 1.
        """
        if chunk < 1:
            raise UsageError("A chunk holds one frame at the least.", next_step="cap.iter_packets(100_000)")
        return iter_packets(self._sources, chunk, self._selection, engine=self._engine)

    @cached_property
    def quality(self) -> Quality:
        """How good the capture is: drops, truncation, missing handshakes."""
        from k8scap.tables.quality import quality

        packets = self.packets  # reading them is what finds out where files break off
        _ = self.names  # so is learning names, of what could not be learnt
        cut_off = any(source.cut_off for source in self._sources)
        found = quality(packets, manifests=self.manifests, cut_off=cut_off, replay=self._replay)
        said = (note for source in self._sources for note in source.notes)
        return replace(found, notes=(*found.notes, *said))

    @cached_property
    def conversations(self) -> pd.DataFrame:
        """One row a conversation; see `tables.conversations`."""
        from k8scap.tables.conversations import conversations

        return self.named(conversations(self.packets, replay=self._replay))

    @cached_property
    def round_trips(self) -> pd.DataFrame:
        """One row a round-trip sample; see `tables.round_trips`."""
        from k8scap.tables.round_trips import round_trips

        return self.named(round_trips(self.packets, replay=self._replay))

    @cached_property
    def retransmissions(self) -> pd.DataFrame:
        """One row a segment sent again; see `tables.retransmissions`."""
        from k8scap.tables.retransmissions import retransmissions

        return self.named(retransmissions(self.packets, replay=self._replay))

    @cached_property
    def losses(self) -> pd.DataFrame:
        """One row a segment that looks sent again, lost or not; see `tables.loss`."""
        from k8scap.tables.loss import losses

        return self.named(losses(self.packets, replay=self._replay))

    @cached_property
    def reorderings(self) -> pd.DataFrame:
        """One row a segment that others overtook; see `tables.reorderings`."""
        from k8scap.tables.reorderings import reorderings

        return self.named(reorderings(self.packets, replay=self._replay))

    @cached_property
    def duplicates(self) -> pd.DataFrame:
        """One row a packet that the network delivered twice; see `tables.duplicates`."""
        from k8scap.tables.duplicates import duplicates

        return self.named(duplicates(self.packets, replay=self._replay))

    @cached_property
    def exchanges(self) -> pd.DataFrame:
        """One row a request and its answer; see `tables.exchanges`."""
        from k8scap.tables.exchanges import exchanges

        return self.named(exchanges(self.packets, beginnings=self._beginnings, replay=self._replay))

    @cached_property
    def dialogues(self) -> pd.DataFrame:
        """One row a TCP conversation: do its sides take turns? See `tables.dialogues`."""
        from k8scap.tables.dialogues import dialogues

        return self.named(dialogues(self.packets, beginnings=self._beginnings, replay=self._replay))

    @cached_property
    def hops(self) -> pd.DataFrame:
        """One row a connection on `lo`, with the one outside that a sidecar made; see `tables.sidecar`."""
        from k8scap.tables.sidecar import hops

        return self.named(hops(self.packets, beginnings=self._beginnings))

    @cached_property
    def lookups(self) -> pd.DataFrame:
        """One row a DNS query; see `tables.lookups`."""
        import pandas as pd

        from k8scap.tables.lookups import lookups

        require(self.packets, ("point", "protocol", "src_port", "dst_port"), what="lookups")
        # an ICMP error quotes a query: its frame has DNS fields, but asks nothing
        own = self.packets[self.packets["protocol"].isin(["UDP", "TCP"])]
        parts = [(own[own["point"] == source.point], source) for source in self._sources]
        asked = pd.concat([frames.join(self._dns(s, frames), how="inner") for frames, s in parts])
        return self.named(lookups(asked))

    @cached_property
    def requests(self) -> pd.DataFrame:
        """One row a request in the application's words, secrets masked; see `requests_of`."""
        return self.requests_of()

    def requests_of(self, *, masked: bool = True) -> pd.DataFrame:
        """Requests over HTTP, gRPC, TLS, DNS and to databases and queues, as `tables.requests` has them.

        tshark is handed the frames that tell, several conversations side by side; where nobody speaks a
        protocol that it knows, it is not run. With `masked`, query strings, tokens, literals of SQL and
        values of other commands are left out; without, they are shown as they were sent. Text is printable
        in any case. Raises ToolMissingError where tshark is needed and missing.
        """
        from k8scap.parser.requests.reading import read_messages
        from k8scap.tables.requests import requests

        heard = read_messages(self._sources, self.packets, self._selection.decode_as)
        return self.named(requests(self.packets, heard, self.lookups, masked=masked))

    def throughput(self, interval: str = "100ms") -> pd.DataFrame:
        """Bytes per `interval` (1 ms at the least), conversation and direction; see `tables.throughput`."""
        from k8scap.tables.throughput import throughput

        return self.named(throughput(self.packets, interval=interval))

    @cached_property
    def protocols(self) -> pd.DataFrame:
        """The protocol hierarchy; see `tables.protocols`."""
        import pandas as pd

        from k8scap.tables.protocols import protocols

        parts = [self._fields(s, ("frame.protocols", "frame.len"), "") for s in self._sources]
        frames = pd.concat(parts).rename(columns={"frame.len": "length"})
        return protocols(frames.astype({"length": "int64"}))

    def named(self, table: pd.DataFrame) -> pd.DataFrame:
        """A table with who its addresses were at each row's time; see `tables.naming`.

        `src_name` and `dst_name` stand behind `src` and `dst`; workload, node and zone of both, where any
        name knows one, behind all other columns. A capture's other tables have them already; `packets` is
        as declared, and gets them by `cap.named(cap.packets)`. Raises SchemaError where src or dst is
        missing.
        """
        from k8scap.tables.naming import naming

        return naming(table, self.names)

    @cached_property
    def _replay(self) -> Replay:
        from k8scap.tables.replay import Replay

        return Replay(self.packets)

    @cached_property
    def _beginnings(self) -> Beginnings:
        from k8scap.parser.beginnings import Beginnings

        return Beginnings(self._sources, self.packets)

    @cached_property
    def findings(self) -> list[Finding]:
        return diagnose(self)

    def fields(self, *names: str, where: str = "") -> pd.DataFrame:
        """Any Wireshark fields, as strings; several occurrences in a frame are joined by commas.

        Returns a row for every frame that `where` (a Wireshark display filter) lets pass, indexed by
        `number`, one column a field, NaN where the frame lacks it; with several points, `point` first.
        Raises UsageError for an unknown field, naming the near ones, and FilterError.
        """
        import pandas as pd

        check_filter(where)
        parts = {source.point: self._fields(source, names, where) for source in self._sources}
        if len(parts) == 1:
            return next(iter(parts.values()))
        for point, part in parts.items():
            points = pd.Categorical([point] * len(part), categories=list(parts))
            part.insert(0, "point", pd.Series(points, index=part.index))
        return pd.concat(parts.values())

    def dissect(self, number: int, point: str | None = None) -> Any:
        """Frame `number` as a pyshark packet: `cap.dissect(12).http.host`.

        Raises UsageError where there is no such frame, or where there are several points and none is named.
        """
        from k8scap.parser.reference.dissect import read_packet

        return read_packet(self._source(point), number, decode_as=self._selection.decode_as)

    def select(self, where: str) -> Capture:
        """The frames that `where` (a Wireshark display filter) lets pass, numbered as they were.

        Where this capture's packets have been read, they are chosen from, as far as their columns tell.
        Raises FilterError.
        """
        check_filter(where)
        packets = None
        if where and "packets" in self.__dict__:
            packets = narrowed(self.packets, where, self._sources, self._selection)
        return Capture(
            self._sources,
            names=self._told,
            learnt=self._learnt,
            selection=replace(self._selection, where=both(self._selection.where, where)),
            engine=self._engine,
            packets=packets,
        )

    def __repr__(self) -> str:
        from k8scap.capture_card import text

        return text(self)

    def _repr_html_(self) -> str:
        from k8scap.capture_card import html

        return html(self)

    def _dns(self, source: Source, frames: pd.DataFrame) -> pd.DataFrame:
        """DNS fields; tshark is handed the frames of DNS's ports, and not run where nobody spoke with 53."""
        import pandas as pd

        from k8scap.parser.reference.few import read_fields_of

        if self._selection.decode_as:
            return self._fields(source, _DNS, "dns")
        ports = frames["src_port"], frames["dst_port"]
        if not any(port.eq(_DNS_PORTS[0]).any() for port in ports):
            return pd.DataFrame({name: pd.Series(dtype="str") for name in _DNS}, index=frames.index[:0])
        spoken = frames.index[ports[0].isin(_DNS_PORTS) | ports[1].isin(_DNS_PORTS)]
        told = read_fields_of(source, spoken.to_numpy("int64"), _DNS, where="dns")
        return self._fields(source, _DNS, "dns") if told is None else told

    def _fields(self, source: Source, names: Sequence[str], where: str) -> pd.DataFrame:
        from k8scap.parser.reference.dissect import read_fields

        chosen = both(self._selection.display_filter, where)
        return read_fields(source, names, where=chosen, decode_as=self._selection.decode_as)

    def _source(self, point: str | None) -> Source:
        if point is None and len(self._sources) == 1:
            return self._sources[0]
        for source in self._sources:
            if source.point == point:
                return source
        named = "none was named" if point is None else f"{point} is none of them"
        raise UsageError(
            f"This capture has the points {', '.join(self.points)}, and {named}.",
            next_step=f"cap.dissect(number, point={self.points[0]!r})",
        )


def load(
    *files: str | Path,
    names: Given | Sequence[Given] | None = None,
    columns: Sequence[str] | None = None,
    where: str | None = None,
    between: tuple[datetime | str, datetime | str] | None = None,
    engine: str = "columnar",
    decode_as: Mapping[str, str] | None = None,
) -> Capture:
    """Open capture files (pcap, pcapng, either compressed with gzip or zstd, and whatever else tshark reads).

    Rotated files of one name in one folder are one capture point, their frames numbered on; a file that has
    hardly begun, as that of a ring which is still being written, is left out with a note. `columns` are
    those of the packets table that will be needed (all); `where` is a Wireshark display filter; `between` two
    times with a zone (datetimes, or text in ISO 8601). `decode_as` is tshark's: {"tcp.port==8888": "http"}.
    `engine` makes the packets table: "columnar" is ours, "pyshark" asks tshark for every column, thousands of
    times slower, with the same answers.

    `names` say who the addresses were, before what a manifest beside the file says: a file as `kubectl get
    pods,svc,nodes -A -o json` writes it, a hosts file, a CSV (address,name,…), another recording's manifest;
    several of them, the strongest first; {"10.0.0.7": "redis"}; a `Names`. "capture" learns them from DNS
    answers, TLS server names and a pcapng's name resolution blocks when they are first needed (by tshark,
    which is handed those frames), for addresses that nobody else names. Raises UnreadableFileError,
    FilterError, UsageError, ToolMissingError.
    """
    check_engine(engine)
    if not files:
        raise UsageError("load needs a capture file.", next_step='k8scap.load("capture.pcap")')
    _check_columns(columns)
    told, learning = names_given(names)
    sources = _sources(open_recordings(files))
    for source in sources:
        source.check()
    check_filter(where or "")
    known = [entry for source in sources for entry in source.recording.names]
    selection = Selection(
        where=where or "",
        between=span(between),
        columns=None if columns is None else tuple(columns),
        decode_as=decode_as or {},
    )
    return Capture(
        sources,
        names=told.over(Names(known)),
        learnt=LearntNames(sources, selection.decode_as) if learning else None,
        selection=selection,
        engine=engine,
    )


def _sources(recordings: Iterable[Recording]) -> list[Source]:
    """One source a recording; a second point of the same name becomes NAME-2."""
    sources: list[Source] = []
    for recording in recordings:
        taken = {source.point for source in sources}
        names = (recording.point, *(f"{recording.point}-{n}" for n in range(2, len(taken) + 3)))
        sources.append(Source(recording, point=next(name for name in names if name not in taken)))
    return sources


def _check_columns(columns: Sequence[str] | None) -> None:
    unknown = [name for name in columns or () if name not in PACKET_COLUMNS]
    if unknown:
        raise UsageError(
            f"The packets table has no column {', '.join(unknown)}.", next_step="k8scap.schema.PACKET_COLUMNS"
        )


def diagnose(cap: Capture) -> list[Finding]:
    """Every rule's word on a capture, worst first: found, then not judged, then ruled out."""
    from k8scap.findings import judge
    from k8scap.findings.case import Case

    return judge(
        Case(
            packets=cap.packets,
            conversations=cap.conversations,
            round_trips=cap.round_trips,
            retransmissions=cap.retransmissions,
            reorderings=cap.reorderings,
            duplicates=cap.duplicates,
            exchanges=cap.exchanges,
            lookups=cap.lookups,
            requests=cap.requests,
            hops=cap.hops,
            quality=cap.quality,
            manifests=cap.manifests,
            names=cap.names,
        )
    )
