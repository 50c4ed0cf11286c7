"""What a rule is given: the tables of one capture, how good they are, and who the addresses were."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from k8scap.tables.quality import quality

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

    from k8scap.findings.wrong_checksums import WrongChecksums
    from k8scap.model import Manifest, Quality
    from k8scap.names import Names
    from k8scap.tables.replay import Replay

PACKET_COLUMNS = (
    *("number", "time", "point", "protocol", "stream", "src", "dst", "src_port", "dst_port"),
    *("ip_id", "icmp_type", "icmp_code", "icmp_mtu", "tcp_flags", "seq", "ack", "seq_raw", "window"),
    *("payload_length", "mss", "tsval", "sack_left", "sack_right", "ttl"),
    *("keep_alive", "zero_window", "zero_window_probe", "window_full"),
)
"""What the rules ask of the packets table."""
_OF_HANDSHAKES = ("time", "stream", "tcp_flags", "tunnel", "transport_checksum_ok")

_TABLES = (
    *("packets", "conversations", "round_trips", "retransmissions", "reorderings", "duplicates"),
    *("exchanges", "lookups", "requests"),
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """The tables of a capture (the columns of `schema` and `k8scap.tables`), its quality and names.

    `hops` is None where nobody looked for sidecars; `replay` is of the same packets. Frame and stream
    numbers count within one capture point, so a rule works on the case `at` one point.
    """

    packets: pd.DataFrame
    conversations: pd.DataFrame
    round_trips: pd.DataFrame
    retransmissions: pd.DataFrame
    reorderings: pd.DataFrame
    duplicates: pd.DataFrame
    exchanges: pd.DataFrame
    lookups: pd.DataFrame
    requests: pd.DataFrame
    quality: Quality
    manifests: tuple[Manifest, ...]
    names: Names
    hops: pd.DataFrame | None = None
    replay: Replay | None = None

    @cached_property
    def points(self) -> tuple[str, ...]:
        """The capture points, in the order of their first frame; those of the manifests where none came."""
        seen = tuple(str(p) for p in self.packets["point"].dropna().unique())
        return seen or tuple(m.point for m in self.manifests) or ("",)

    def at(self, point: str) -> Case:
        """The same, of one capture point only, with that point's quality."""
        if len(self.points) == 1:  # nothing to choose, and no copy of millions of packets
            return replace(self, manifests=tuple(m for m in self.manifests if m.point == point))
        here: dict[str, Any] = {name: _at(getattr(self, name), point) for name in _TABLES}
        if self.hops is not None:
            here["hops"] = _at(self.hops, point)
        manifests = tuple(m for m in self.manifests if m.point == point)
        here["quality"] = quality(here["packets"], manifests=manifests, cut_off=self.quality.cut_off)
        return replace(self, manifests=manifests, **here)

    @property
    def point(self) -> str:
        return self.points[0]

    @property
    def manifest(self) -> Manifest | None:
        return self.manifests[0] if self.manifests else None

    @property
    def filter(self) -> str:
        """The capture filter that was asked for; empty where there was none, or no manifest tells."""
        return self.manifest.filter if self.manifest else ""

    @property
    def end(self) -> pd.Timestamp:
        """When the last frame was captured (NaT in an empty capture)."""
        last: pd.Timestamp = self.packets["time"].max()
        return last

    @cached_property
    def replayed(self) -> Replay:
        """The TCP of the packets as the tables have it: the one given, or made when a rule first needs it."""
        from k8scap.tables.replay import Replay

        return Replay.of(self.packets, self.replay, what="diagnose")

    @cached_property
    def wrong_checksums(self) -> WrongChecksums:
        """The TCP frames with wrong checksums, which two rules judge."""
        from k8scap.findings.wrong_checksums import wrong_checksums

        return wrong_checksums(self)

    @cached_property
    def behind_proxies(self) -> frozenset[int]:
        """Streams whose waits hold a sidecar's; on the other side of it the server's own are seen."""
        if self.hops is None:
            return frozenset()
        joined = self.hops[self.hops["outer_stream"].notna()]
        near = joined["inner_stream"].where(joined["role"] == "egress", joined["outer_stream"])
        return frozenset(int(stream) for stream in near)

    @cached_property
    def tcp(self) -> pd.DataFrame:
        """The TCP frames that take part in a conversation."""
        packets = self.packets
        return packets[(packets["protocol"] == "TCP") & packets["stream"].notna()]

    @cached_property
    def tcp_conversations(self) -> pd.DataFrame:
        """The conversations table's TCP rows."""
        return self.conversations[self.conversations["protocol"] == "TCP"]

    @cached_property
    def handshakes(self) -> pd.DataFrame:
        """The TCP frames with SYN, in the columns that tell of them."""
        from k8scap.findings.flags import SYN, has_any

        columns = [name for name in _OF_HANDSHAKES if name in self.tcp]
        return self.tcp.loc[has_any(self.tcp, SYN), columns]

    @cached_property
    def attempts(self) -> pd.DataFrame:
        """The attempts to connect: see `k8scap.findings.attempts`."""
        from k8scap.findings.attempts import attempts

        return attempts(self)

    @cached_property
    def held_up(self) -> pd.DataFrame:
        """Those that a full listen queue held up: see `k8scap.findings.listen_queue`."""
        from k8scap.findings.listen_queue import held_up

        return held_up(self)

    @cached_property
    def endpoint_waits(self) -> pd.DataFrame:
        """How long requests waited, by endpoint, and which of these are slow by themselves.

        See `findings.endpoint_waits` and `findings.slow_endpoints`.
        """
        from k8scap.findings.endpoint_waits import endpoint_waits
        from k8scap.findings.slow_endpoints import with_slow_endpoints

        return with_slow_endpoints(endpoint_waits(self))

    @cached_property
    def piled_up(self) -> tuple[list[pd.DataFrame], list[pd.DataFrame]]:
        """The connections that pile up unused, and those that may: see `k8scap.findings.piled_up`."""
        from k8scap.findings.piled_up import piled_up

        return piled_up(self)

    @cached_property
    def tls_handshakes(self) -> pd.DataFrame:
        """The TLS handshakes and how each ended: see `k8scap.findings.tls_handshakes`."""
        from k8scap.findings.tls_handshakes import handshakes

        return handshakes(self)

    @cached_property
    def oversized(self) -> frozenset[int]:
        """The frames that repeat something because of its size; see `findings.oversized`."""
        from k8scap.findings.oversized import claimed

        return frozenset(claimed(self))

    @cached_property
    def silences(self) -> pd.DataFrame:
        """The connections on which one side fell silent for good; see `findings.silences`."""
        from k8scap.findings.silences import silences

        return silences(self)

    def host(self, address: object, *, time: datetime | None = None) -> str:
        return endpoint(self.names, address, time=time)

    def clients(self, addresses: pd.Series, *, time: datetime) -> str:
        """Who asked: the one there is, as known at `time`, or how many."""
        there = addresses.astype("object").unique()
        return self.host(there[0], time=time) if len(there) == 1 else f"{len(there)} clients"

    def endpoint(self, address: object, port: object, *, time: datetime | None = None) -> str:
        return endpoint(self.names, address, port, time=time)


def endpoint(names: Names, address: object, port: object = None, *, time: datetime | None = None) -> str:
    """`shop/svc/redis (10.1.2.3:6379)`, `10.1.2.3:6379` where nobody named it; without a port, the host."""
    text = str(address) if port is None else socket_address(address, port)
    name = names.of(str(address), time)
    return text if name == str(address) else f"{printable(name)} ({text})"


def socket_address(address: object, port: object) -> str:
    """`10.1.2.3:80`, `[2001:db8::1]:80`."""
    text = str(address)
    return f"[{text}]:{port}" if ":" in text else f"{text}:{port}"


def printable(text: str) -> str:
    """Names come from the wire: what would move a terminal's cursor is shown as an escape."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def _at(table: pd.DataFrame, point: str) -> pd.DataFrame:
    return table[table["point"].astype("object").fillna("") == point] if len(table) else table
