"""The packets table, declared once: column, dtype, unit, absent value, Wireshark field, meaning.

The pyshark engine, the docs table and the tests are driven by `PACKETS`. Integers that may be absent
are pandas' nullable ones (`<NA>`, never a magic number), wide enough that a difference of two values
does not wrap. `layer` says which of several headers of a frame counts: that of the innermost packet
(`network`, `transport`) or of the outermost (`outer`); headers quoted inside ICMP errors never count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from k8scap.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

Layer = Literal["frame", "link", "outer", "network", "transport", "icmp", "analysis", "derived"]


@dataclass(frozen=True)
class Column:
    """One column of a table: its pandas dtype, unit, what stands where there is nothing, and meaning."""

    name: str
    dtype: str
    meaning: str
    unit: str = ""
    absent: str = "never"
    fields: tuple[str, ...] = ()
    layer: Layer = "derived"


REFERENCE_PREFERENCES = {"ip.defragment": "FALSE", "ipv6.defragment": "FALSE"}
"""The reference: tshark 4.0, `-n`, an empty WIRESHARK_CONFIG_DIR, default preferences but these."""

CHECKSUM_PREFERENCES = {
    "ip.check_checksum": "TRUE",
    "tcp.check_checksum": "TRUE",
    "udp.check_checksum": "TRUE",
    "sctp.checksum": "CRC-32C",
}
"""Asked for beside the reference's where the two checksum columns are wanted."""

_NA = "<NA>"
_NAN = "NaN"

PACKETS: tuple[Column, ...] = (
    Column("number", "int64", "frame number, counted over the files of one point (the index)",
           fields=("frame.number",), layer="frame"),
    Column("time", "datetime64[ns, UTC]", "when the frame was captured", absent="NaT",
           fields=("frame.time_epoch",), layer="frame"),
    Column("point", "category", "capture point"),
    Column("interface", "category", "interface name (pcapng, or cooked v2's index through the manifest)",
           absent=_NAN, fields=("frame.interface_name", "sll.ifindex"), layer="frame"),
    Column("direction", "category", "in or out, where the link type or pcapng tells",
           absent=_NAN, fields=("sll.pkttype", "frame.packet_flags_direction"), layer="frame"),
    Column("length", "int64", "frame length on the wire", "bytes", fields=("frame.len",), layer="frame"),
    Column("captured_length", "int64", "frame length in the file", "bytes",
           fields=("frame.cap_len",), layer="frame"),
    Column("protocol", "category", "transport, or the highest layer below it that is there: TCP, UDP, ICMP, "
           "ICMPv6, SCTP, ARP, …", absent=_NAN, fields=("frame.protocols",), layer="transport"),
    Column("src", "category", "source address of the innermost packet (one dtype with dst)",
           absent=_NAN, fields=("ip.src", "ipv6.src"), layer="network"),
    Column("dst", "category", "destination address of the innermost packet", absent=_NAN,
           fields=("ip.dst", "ipv6.dst"), layer="network"),
    Column("src_mac", "category", "source MAC address (outermost)", absent=_NAN,
           fields=("eth.src", "sll.src.eth"), layer="link"),
    Column("dst_mac", "category", "destination MAC address (outermost)", absent=_NAN,
           fields=("eth.dst",), layer="link"),
    Column("src_port", "Int32", "source port", absent=_NA,
           fields=("tcp.srcport", "udp.srcport", "sctp.srcport"), layer="transport"),
    Column("dst_port", "Int32", "destination port", absent=_NA,
           fields=("tcp.dstport", "udp.dstport", "sctp.dstport"), layer="transport"),
    Column("stream", "Int32", "Wireshark's stream number, per protocol", absent=_NA,
           fields=("tcp.stream", "udp.stream"), layer="transport"),
    Column("ttl", "Int16", "time to live, or hop limit", "hops", _NA, ("ip.ttl", "ipv6.hlim"), "network"),
    Column("ip_id", "Int32", "IPv4 identification", absent=_NA, fields=("ip.id",), layer="network"),
    Column("ip_df", "boolean", "IPv4 don't fragment", absent=_NA, fields=("ip.flags.df",), layer="network"),
    Column("fragment_offset", "Int32", "fragment offset (IPv6: where a fragment header is)", "bytes", _NA,
           ("ip.frag_offset", "ipv6.fraghdr.offset"), "network"),
    Column("ecn", "Int8", "explicit congestion notification, 0 to 3", absent=_NA,
           fields=("ip.dsfield.ecn", "ipv6.tclass.ecn"), layer="network"),
    Column("tunnel", "category", "tunnels from the outside in, joined by /: vxlan:42, geneve:7, gre, ipip, …",
           absent=_NAN, fields=("vxlan.vni", "geneve.vni", "gtp.teid"), layer="outer"),
    Column("outer_src", "category", "outermost source address, in a tunnel", absent=_NAN,
           fields=("ip.src", "ipv6.src"), layer="outer"),
    Column("outer_dst", "category", "outermost destination address, in a tunnel", absent=_NAN,
           fields=("ip.dst", "ipv6.dst"), layer="outer"),
    Column("vlan", "Int16", "outer VLAN id", absent=_NA,
           fields=("vlan.id", "ieee8021ad.id", "ieee8021ad.svid"), layer="link"),
    Column("icmp_type", "Int16", "ICMP or ICMPv6 type", absent=_NA,
           fields=("icmp.type", "icmpv6.type"), layer="icmp"),
    Column("icmp_code", "Int16", "ICMP or ICMPv6 code", absent=_NA,
           fields=("icmp.code", "icmpv6.code"), layer="icmp"),
    Column("icmp_mtu", "Int64", "next hop's MTU, in fragmentation needed and packet too big", "bytes", _NA,
           ("icmp.mtu", "icmpv6.mtu"), "icmp"),
    Column("ip_checksum_ok", "boolean", "IPv4 header checksum; absent where bytes are cut off", absent=_NA,
           fields=("ip.checksum.status",), layer="network"),
    Column("transport_checksum_ok", "boolean", "TCP, UDP, SCTP, ICMP checksum; absent where bytes "
           "are cut off or none was sent", absent=_NA,
           fields=("tcp.checksum.status", "udp.checksum.status", "sctp.checksum.status",
                   "icmp.checksum.status", "icmpv6.checksum.status"), layer="transport"),
    Column("tcp_flags", "Int16", "TCP flags, as a number", absent=_NA,
           fields=("tcp.flags",), layer="transport"),
    Column("seq", "Int64", "sequence number, relative", "bytes", _NA, ("tcp.seq",), "transport"),
    Column("ack", "Int64", "acknowledgment number, relative", "bytes", _NA, ("tcp.ack",), "transport"),
    Column("seq_raw", "Int64", "sequence number, as on the wire", absent=_NA,
           fields=("tcp.seq_raw",), layer="transport"),
    Column("ack_raw", "Int64", "acknowledgment number, as on the wire", absent=_NA,
           fields=("tcp.ack_raw",), layer="transport"),
    Column("window", "Int64", "receive window, scaled where the scale is known", "bytes", _NA,
           ("tcp.window_size",), "transport"),
    Column("payload_length", "Int32", "TCP segment's or UDP datagram's payload", "bytes", _NA,
           ("tcp.len", "udp.length"), "transport"),
    Column("mss", "Int32", "maximum segment size option", "bytes", _NA,
           ("tcp.options.mss_val",), "transport"),
    Column("window_scale", "Int16", "window scale option's shift", "bits", _NA,
           ("tcp.options.wscale.shift",), "transport"),
    Column("tsval", "Int64", "timestamp option's value", absent=_NA,
           fields=("tcp.options.timestamp.tsval",), layer="transport"),
    Column("tsecr", "Int64", "timestamp option's echo reply", absent=_NA,
           fields=("tcp.options.timestamp.tsecr",), layer="transport"),
    Column("sack_left", "Int64", "first SACK block's left edge, relative as Wireshark gives it", "bytes", _NA,
           ("tcp.options.sack_le",), "transport"),
    Column("sack_right", "Int64", "first SACK block's right edge", "bytes", _NA,
           ("tcp.options.sack_re",), "transport"),
    *(
        Column(name, "bool", f"Wireshark's verdict: {name.replace('_', ' ')}",
               fields=(f"tcp.analysis.{name}",), layer="analysis")
        for name in (
            "retransmission", "fast_retransmission", "spurious_retransmission", "out_of_order",
            "lost_segment", "ack_lost_segment", "duplicate_ack", "keep_alive", "keep_alive_ack",
            "zero_window", "zero_window_probe", "zero_window_probe_ack", "window_full", "window_update",
            "reused_ports",
        )
    ),
    Column("ack_rtt", "float64", "time from a segment to this ACK of it", "s", _NAN,
           ("tcp.analysis.ack_rtt",), "analysis"),
    Column("initial_rtt", "float64", "handshake's round trip, as Wireshark has it", "s", _NAN,
           ("tcp.analysis.initial_rtt",), "analysis"),
    Column("rto", "float64", "time since the segment that this one repeats", "s", _NAN,
           ("tcp.analysis.rto",), "analysis"),
    Column("bytes_in_flight", "Int64", "bytes sent and not yet acknowledged", "bytes", _NA,
           ("tcp.analysis.bytes_in_flight",), "analysis"),
)  # fmt: skip

PACKET_COLUMNS: tuple[str, ...] = tuple(c.name for c in PACKETS)


def require(table: pd.DataFrame, columns: Iterable[str], *, what: str) -> None:
    """Raise `SchemaError`, naming them, where `table` lacks columns that `what` needs.

    The index's name counts as a column.
    """
    there = {*table.columns, *table.index.names}
    missing = tuple(c for c in columns if c not in there)
    if missing:
        raise SchemaError(
            f"{what} needs the columns {', '.join(missing)}.",
            missing=missing,
            next_step="load the capture without columns=, or with these among them.",
        )
