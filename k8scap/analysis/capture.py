"""One `Capture`: its tables, made when they are asked for."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from k8scap.analysis.opened import Opened
from k8scap.parser.engines import narrowed
from k8scap.parser.filters import both, check_filter
from k8scap.schema import require

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from k8scap.analysis.conversation import Conversation
    from k8scap.model import Finding, Findings, Quality
    from k8scap.parser.beginnings import Beginnings
    from k8scap.parser.source import Source
    from k8scap.tables.replay import Replay

_DNS = ("dns.id", "dns.flags.response", "dns.qry.name", "dns.qry.type", "dns.flags.rcode")
_DNS_PORTS = (53, 5353, 5355)
"""DNS, and its multicast kin (RFC 6762, RFC 4795)."""


class Capture(Opened):
    """One or more capture points' recordings, as tables.

    Every table is made when first asked for, and kept. A frame is (`point`, `number`). Who an address was
    stands behind it, in `src_name` and `dst_name` (see `named`).
    """

    @cached_property
    def quality(self) -> Quality:
        """How good the capture is: drops, truncation, missing handshakes."""
        from k8scap.tables.quality import quality

        packets = self.packets  # reading them is what finds out where files break off
        _ = self.names  # so is learning names, of what could not be learnt
        cut_off = any(source.cut_off for source in self._sources)
        found = quality(packets, manifests=self.manifests, cut_off=cut_off, replay=self.replay)
        said = (note for source in self._sources for note in source.notes)
        return replace(found, notes=(*found.notes, *said))

    @cached_property
    def conversations(self) -> pd.DataFrame:
        """One row a conversation; see `tables.conversations`."""
        from k8scap.tables.conversations import conversations

        return self.named(conversations(self.packets, replay=self.replay))

    def conversation(self, stream: int, *, protocol: str = "TCP", point: str | None = None) -> Conversation:
        """The conversation of Wireshark's `stream` number: a card, and its rows of every table.

        Raises UsageError where there is no such one, or several points have one and none is named.
        """
        from k8scap.analysis.conversation import conversation_of

        return conversation_of(self, stream, protocol=protocol, point=point)

    @cached_property
    def round_trips(self) -> pd.DataFrame:
        """One row a round-trip sample; see `tables.round_trips`."""
        from k8scap.tables.round_trips import round_trips

        return self.named(round_trips(self.packets, replay=self.replay))

    @cached_property
    def retransmissions(self) -> pd.DataFrame:
        """One row a segment sent again; see `tables.retransmissions`."""
        from k8scap.tables.retransmissions import retransmissions

        return self.named(retransmissions(self.packets, replay=self.replay))

    @cached_property
    def losses(self) -> pd.DataFrame:
        """One row a segment that looks sent again, lost or not; see `tables.loss`."""
        from k8scap.tables.loss import losses

        return self.named(losses(self.packets, replay=self.replay))

    @cached_property
    def reorderings(self) -> pd.DataFrame:
        """One row a segment that others overtook; see `tables.reorderings`."""
        from k8scap.tables.reorderings import reorderings

        return self.named(reorderings(self.packets, replay=self.replay))

    @cached_property
    def duplicates(self) -> pd.DataFrame:
        """One row a packet that the network delivered twice; see `tables.duplicates`."""
        from k8scap.tables.duplicates import duplicates

        return self.named(duplicates(self.packets, replay=self.replay))

    @cached_property
    def exchanges(self) -> pd.DataFrame:
        """One row a request and its answer; see `tables.exchanges`."""
        from k8scap.tables.exchanges import exchanges

        return self.named(exchanges(self.packets, beginnings=self._beginnings, replay=self.replay))

    @cached_property
    def dialogues(self) -> pd.DataFrame:
        """One row a TCP conversation: do its sides take turns? See `tables.dialogues`."""
        from k8scap.tables.dialogues import dialogues

        return self.named(dialogues(self.packets, beginnings=self._beginnings, replay=self.replay))

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

    @cached_property
    def replay(self) -> Replay:
        """The packets' TCP as all tables have it; see `tables.replay`."""
        from k8scap.tables.replay import Replay

        return Replay(self.packets)

    @cached_property
    def _beginnings(self) -> Beginnings:
        from k8scap.parser.beginnings import Beginnings

        return Beginnings(self._sources, self.packets)

    @cached_property
    def findings(self) -> Findings:
        """Every rule's word, worst first; see `diagnose`."""
        from k8scap.analysis.diagnosis import diagnose

        return diagnose(self)

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

    def to_pcapng(
        self,
        path: str | Path,
        *,
        names: bool = True,
        findings: Sequence[Finding] | None = None,
        comments: Mapping[tuple[str, int], str] | None = None,
        secrets: bool = True,
    ) -> Path:
        """Write the frames for Wireshark: with names, findings as packet comments, points as interfaces.

        Times (ns), lengths, directions, interfaces and the file's own comments stay; several points are
        merged by time, each interface described by its point. `names` writes who the addresses are (one that
        changed hands bears the name that held for most of its frames; the section's comment says so).
        `findings` are these (default: `cap.findings`, which needs the packets table in memory; () is none);
        `comments` more of them, by (point, frame number). `secrets` keeps the file's decryption secrets.
        The file is 0600, and is streamed: it may be larger than memory. Raises UsageError, NotPermittedError,
        DiskFullError, UnreadableFileError.
        """
        from pathlib import Path

        from k8scap.analysis.exporting import write_capture

        return write_capture(
            self,
            Path(path).expanduser(),
            names=names,
            findings=self.findings if findings is None else findings,
            comments=comments or {},
            secrets=secrets,
        )

    def to_parquet(self, path: str | Path) -> Path:
        """Write the packets table (0600), piece by piece; `pandas.read_parquet(path)` gives it back.

        Raises UsageError, NotPermittedError, DiskFullError.
        """
        from pathlib import Path

        from k8scap.analysis.exporting import CHUNK, write_parquet

        packets = self.__dict__.get("packets")
        pieces = self.iter_packets(CHUNK) if packets is None else iter([packets])
        return write_parquet(pieces, Path(path).expanduser())

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
