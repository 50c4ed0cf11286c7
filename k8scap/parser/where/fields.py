"""The Wireshark fields that the packets table answers for, and the columns that it answers from.

A field stands here only where the table tells, for ordinary frames, every value that a frame has of it:
`tcp.options.*` may repeat within a header, and IPv4's other flags have no column. What a frame may hold
beyond its own headers (a tunnel's, those that an ICMP error quotes) is the business of `unseen`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from k8scap.schema import PACKETS

Kind = Literal["label", "uint", "bool", "ipv4", "ipv6", "ether", "seconds"]
Owner = Literal["", "TCP", "UDP", "ICMP", "ICMPv6", "ARP", "IPv4", "IPv6", "Ethernet", "nobody"]
Layer = Literal["frame", "header", "tag", "analysis"]

OWNER_COLUMNS: dict[str, tuple[str, ...]] = {
    "": (),
    "nobody": (),
    "IPv4": ("src",),
    "IPv6": ("src",),
    "Ethernet": ("dst_mac",),
    "ARP": ("protocol", "captured_length"),
    "ICMP": ("protocol", "icmp_code"),
    "ICMPv6": ("protocol", "icmp_code"),
    "TCP": ("protocol", "dst_port"),
    "UDP": ("protocol", "dst_port"),
}


@dataclass(frozen=True)
class Field:
    """One field: its type, and where its values are.

    `columns` hold one value each (of a label: they say whether it is there; none: it is wherever its owner
    is). `owner` says which rows' columns speak of this field. `layer` says which frames may have more of it
    than the table knows: see `unseen`. A value is `column // per + plus`, of a bool whether any of `bits` is
    set. `context` marks what depends on the frames before: it cannot be asked of a few frames alone.
    """

    name: str
    kind: Kind
    owner: Owner
    columns: tuple[str, ...] = ()
    width: int = 0
    layer: Layer = "header"
    per: int = 1
    plus: int = 0
    bits: int = 0
    context: bool = False


VERDICTS = tuple(c.name for c in PACKETS if c.layer == "analysis" and c.dtype == "bool")
_FLAGS = {
    "ae": 0x100, "cwr": 0x80, "ece": 0x40,
    "urg": 0x20, "ack": 0x10, "push": 8, "reset": 4, "syn": 2, "fin": 1,
}  # fmt: skip


def _frame() -> tuple[Field, ...]:
    return (
        Field("frame", "label", "", layer="frame"),
        Field("frame.number", "uint", "", ("number",), 32, "frame", context=True),
        Field("frame.len", "uint", "", ("length",), 32, "frame"),
        Field("frame.cap_len", "uint", "", ("captured_length",), 32, "frame"),
        Field("frame.time_epoch", "seconds", "", ("time",), layer="frame"),
    )


def _link() -> tuple[Field, ...]:
    """A tag's column may be that of another kind of tag, and tells of the outermost only: nobody's own."""
    return (
        Field("eth", "label", "Ethernet"),
        Field("eth.src", "ether", "Ethernet", ("src_mac",)),
        Field("eth.dst", "ether", "Ethernet", ("dst_mac",)),
        Field("eth.addr", "ether", "Ethernet", ("src_mac", "dst_mac")),
        Field("vlan", "label", "nobody", layer="tag"),
        Field("vlan.id", "uint", "nobody", (), 16, "tag"),
        Field("arp", "label", "ARP"),
    )


def _network() -> tuple[Field, ...]:
    return (
        Field("ip", "label", "IPv4"),
        Field("ip.src", "ipv4", "IPv4", ("src",)),
        Field("ip.dst", "ipv4", "IPv4", ("dst",)),
        Field("ip.addr", "ipv4", "IPv4", ("src", "dst")),
        Field("ip.ttl", "uint", "IPv4", ("ttl",), 8),
        Field("ip.id", "uint", "IPv4", ("ip_id",), 16),
        Field("ip.flags.df", "bool", "IPv4", ("ip_df",), bits=1),
        Field("ip.frag_offset", "uint", "IPv4", ("fragment_offset",), 16, per=8),
        Field("ip.dsfield.ecn", "uint", "IPv4", ("ecn",), 8),
        Field("ipv6", "label", "IPv6"),
        Field("ipv6.src", "ipv6", "IPv6", ("src",)),
        Field("ipv6.dst", "ipv6", "IPv6", ("dst",)),
        Field("ipv6.addr", "ipv6", "IPv6", ("src", "dst")),
        Field("ipv6.hlim", "uint", "IPv6", ("ttl",), 8),
        Field("ipv6.tclass.ecn", "uint", "IPv6", ("ecn",), 32),
        Field("icmp", "label", "ICMP"),
        Field("icmp.type", "uint", "ICMP", ("icmp_type",), 8),
        Field("icmp.code", "uint", "ICMP", ("icmp_code",), 8),
        Field("icmp.mtu", "uint", "ICMP", ("icmp_mtu",), 16),
        Field("icmpv6", "label", "ICMPv6"),
        Field("icmpv6.type", "uint", "ICMPv6", ("icmp_type",), 8),
        Field("icmpv6.code", "uint", "ICMPv6", ("icmp_code",), 8),
        Field("icmpv6.mtu", "uint", "ICMPv6", ("icmp_mtu",), 32),
    )


def _ports(protocol: str, owner: Owner) -> tuple[Field, ...]:
    return (
        Field(protocol, "label", owner),
        Field(f"{protocol}.srcport", "uint", owner, ("src_port",), 16),
        Field(f"{protocol}.dstport", "uint", owner, ("dst_port",), 16),
        Field(f"{protocol}.port", "uint", owner, ("src_port", "dst_port"), 16),
        Field(f"{protocol}.stream", "uint", owner, ("stream",), 32, context=True),
    )


def _tcp() -> tuple[Field, ...]:
    return (
        Field("tcp.len", "uint", "TCP", ("payload_length",), 32),
        Field("tcp.seq", "uint", "TCP", ("seq",), 32, context=True),
        Field("tcp.ack", "uint", "TCP", ("ack",), 32, context=True),
        Field("tcp.seq_raw", "uint", "TCP", ("seq_raw",), 32),
        Field("tcp.ack_raw", "uint", "TCP", ("ack_raw",), 32),
        Field("tcp.window_size", "uint", "TCP", ("window",), 32, context=True),
        Field("tcp.flags", "uint", "TCP", ("tcp_flags",), 16),
        *(Field(f"tcp.flags.{n}", "bool", "TCP", ("tcp_flags",), bits=b) for n, b in _FLAGS.items()),
    )


def _analysis() -> tuple[Field, ...]:
    """Of the verdicts only that on reused ports is passed on quoted headers too (seen with tshark 4.0)."""
    own = tuple(name for name in VERDICTS if name != "reused_ports")
    return (
        *(
            Field(f"tcp.analysis.{name}", "label", "TCP", (name,), layer="analysis", context=True)
            for name in own
        ),
        Field("tcp.analysis.reused_ports", "label", "TCP", ("reused_ports",), context=True),
        Field("tcp.analysis.flags", "label", "TCP", VERDICTS, context=True),
        Field("tcp.analysis.bytes_in_flight", "uint", "TCP", ("bytes_in_flight",), 32, context=True),
        *(
            Field(f"tcp.analysis.{name}", "seconds", "TCP", (name,), context=True)
            for name in ("ack_rtt", "initial_rtt", "rto")
        ),
    )


FIELDS: dict[str, Field] = {
    field.name: field
    for field in (
        *_frame(),
        *_link(),
        *_network(),
        *_ports("tcp", "TCP"),
        *_tcp(),
        *_analysis(),
        *_ports("udp", "UDP"),
        Field("udp.length", "uint", "UDP", ("payload_length",), 16, plus=8),
    )
}
