"""Names that stand in the capture itself: DNS answers, TLS server names, a pcapng's own names."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from k8scap.errors import K8scapError
from k8scap.model import NameEntry
from k8scap.parser.engines import Selection, read_packets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    import pandas as pd

    from k8scap.parser.source import Source

_COLUMNS = ("time", "protocol", "dst", "src_port", "dst_port", "stream", "payload_length")
_DNS = 53
_HANDSHAKE = b"\x16\x03"
"""How TLS begins: a record of type handshake, version 3.x (RFC 8446, 5.1)."""
_HELLO_SEGMENTS = 3
"""A ClientHello with post-quantum keys and many extensions fills two or three segments."""
_ADDRESSES = {"1": "dns.a", "28": "dns.aaaa"}
_FIELDS = (
    "dns.flags.response", "dns.flags.rcode", "dns.qry.name", "dns.qry.type", "dns.count.answers",
    "dns.resp.type", "dns.a", "dns.aaaa", "tls.handshake.type", "tls.handshake.extensions_server_name",
)  # fmt: skip
_WHERE = "(dns.flags.response == 1 && dns.flags.rcode == 0) || tls.handshake.extensions_server_name"


@dataclass(eq=False)
class LearntNames:
    """Names learnt from captures' own packets, when they are first asked for.

    tshark is handed the frames that may tell: those of port 53, and the first segments of TCP
    conversations that begin as TLS does. Where it is missing, or fails, its names are done without, with a
    note.
    """

    sources: Sequence[Source]
    decode_as: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def entries(self) -> tuple[NameEntry, ...]:
        return tuple(entry for source in self.sources for entry in self._of(source))

    def _of(self, source: Source) -> list[NameEntry]:
        from k8scap.parser.records.first_bytes import look

        packets = read_packets([source], Selection(columns=_COLUMNS), engine="columnar")
        openings = _openings(packets)
        payloads = openings["payload_length"].to_numpy("int64")
        seen = look(source.files, openings.index.to_numpy("int64"), payloads, _HANDSHAKE)
        begun, named = seen or (openings.index[:0].to_numpy("int64"), [])
        entries = [NameEntry(address=a, name=n, source="pcapng") for a, n in dict.fromkeys(named)]
        numbers = None if seen is None else _telling(packets, begun)
        if numbers is None or len(numbers):
            try:
                told = _asked(source, numbers, self.decode_as)
            except K8scapError as error:
                source.notes[f"Names could not be learnt from the capture: {error.message}"] = None
            else:
                entries += _entries(told.join(packets[["time", "dst"]], how="inner"))
        return entries


def _openings(packets: pd.DataFrame) -> pd.DataFrame:
    """The first segment with payload of each TCP conversation."""
    tcp = (packets["protocol"] == "TCP") & packets["stream"].notna()
    carrying = tcp & (packets["payload_length"].fillna(0) > 0)
    return packets[carrying.to_numpy(bool)].drop_duplicates("stream")


def _telling(packets: pd.DataFrame, begun: np.ndarray) -> np.ndarray:
    """Numbers of the frames that tshark needs: DNS answers, DNS over TCP, and TLS's first segments."""
    import numpy as np

    source_port = packets["src_port"].fillna(0).to_numpy("int64")
    other_port = packets["dst_port"].fillna(0).to_numpy("int64")
    tcp = (packets["protocol"] == "TCP").to_numpy(bool)
    answers = (packets["protocol"] == "UDP").to_numpy(bool) & (source_port == _DNS)
    over_tcp = tcp & ((source_port == _DNS) | (other_port == _DNS))
    opened = packets.loc[begun, ["stream", "dst_port"]]
    carrying = packets[tcp & (packets["payload_length"].fillna(0) > 0).to_numpy(bool)]
    of_hello = carrying[carrying["stream"].isin(opened["stream"])]
    client = of_hello["stream"].map(opened.set_index("stream")["dst_port"]) == of_hello["dst_port"]
    hello = of_hello[client.to_numpy(bool)].groupby("stream").head(_HELLO_SEGMENTS)
    wanted: np.ndarray = np.union1d(packets.index.to_numpy()[answers | over_tcp], hello.index.to_numpy())
    return wanted.astype(np.int64)


def _asked(source: Source, numbers: np.ndarray | None, decode_as: Mapping[str, str]) -> pd.DataFrame:
    """Tshark's fields of the frames that tell a name, by their number; of all frames where none are given."""
    from k8scap.parser.reference.dissect import read_fields
    from k8scap.parser.reference.few import read_fields_of

    told = None
    if numbers is not None:
        told = read_fields_of(source, numbers, _FIELDS, where=_WHERE, decode_as=decode_as)
    return read_fields(source, _FIELDS, where=_WHERE, decode_as=decode_as) if told is None else told


def _entries(told: pd.DataFrame) -> Iterator[NameEntry]:
    """Who an address was from this frame on, as often as that is news."""
    latest: dict[tuple[str, str], str] = {}
    rows = cast("list[dict[str, Any]]", told.sort_values("time", kind="stable").to_dict("records"))
    for row in rows:
        for source, address, name in [*_answered(row), *_greeted(row)]:
            if latest.get((source, address)) != name:
                latest[source, address] = name
                yield NameEntry(address=address, name=name, kind="external", start=row["time"], source=source)


def _answered(row: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """A DNS answer's addresses and the name that was asked for, whatever aliases lie between.

    Records behind the answers speak of other names; a frame with two messages does not tell whose they are.
    """
    name, count = _text(row["dns.qry.name"]), _text(row["dns.count.answers"])
    if not count.isdecimal() or not name or "," in name or name == "<Root>":
        return
    if _text(row["dns.qry.type"]) not in _ADDRESSES:
        return
    types = _text(row["dns.resp.type"]).split(",")[: int(count)]
    for kind, column in _ADDRESSES.items():
        for address in _text(row[column]).split(",")[: types.count(kind)]:
            yield "dns", address, name.lower()


def _greeted(row: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """The server that a TLS client named in its hello, at the address that it said it to."""
    name = _text(row["tls.handshake.extensions_server_name"])
    if name and "," not in name and isinstance(row["dst"], str):
        yield "tls", row["dst"], name.lower()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
