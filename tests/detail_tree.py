"""The packets table made anew from tshark's detail tree (PDML), by the tree's shape alone.

A header that another one quotes (an ICMP error, a sample, a PIM register) is a child of that one; the
headers of tunnels stand beside one another. So this knows which header counts without reading
`frame.protocols`, and is independent of the parser.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from typing import TYPE_CHECKING, Any

from lxml import etree

from k8scap.analysis import load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NETWORK = ("ip", "ipv6")
TRANSPORT = ("tcp", "udp", "udplite", "sctp", "icmp", "icmpv6")
BEGINS_A_FRAME = ("eth", "wlan", "arp", "llc", "ppp")
VERDICTS = (
    "retransmission", "fast_retransmission", "spurious_retransmission", "out_of_order", "lost_segment",
    "ack_lost_segment", "duplicate_ack", "keep_alive", "keep_alive_ack", "zero_window", "zero_window_probe",
    "zero_window_probe_ack", "window_full", "window_update", "reused_ports",
)  # fmt: skip
TCP_NUMBERS = {
    "tcp_flags": "tcp.flags",
    "seq": "tcp.seq",
    "ack": "tcp.ack",
    "seq_raw": "tcp.seq_raw",
    "ack_raw": "tcp.ack_raw",
    "window": "tcp.window_size",
    "mss": "tcp.options.mss_val",
    "window_scale": "tcp.options.wscale.shift",
    "tsval": "tcp.options.timestamp.tsval",
    "tsecr": "tcp.options.timestamp.tsecr",
    "sack_left": "tcp.options.sack_le",
    "sack_right": "tcp.options.sack_re",
    "bytes_in_flight": "tcp.analysis.bytes_in_flight",
}
TCP_SECONDS = {
    "ack_rtt": "tcp.analysis.ack_rtt",
    "initial_rtt": "tcp.analysis.initial_rtt",
    "rto": "tcp.analysis.rto",
}


def compare(path: Path) -> tuple[int, list[str]]:
    """Frames compared, and a line for each column that differs somewhere."""
    packets = load(path).packets
    expected = list(rows(path))
    if not expected and packets["protocol"].isna().all():
        return 0, []  # a link type that tshark refuses
    if len(packets) != len(expected):
        return len(expected), [f"{len(packets)} rows, tshark has {len(expected)}"]
    lines = []
    for column in expected[0] if expected else ():
        if column == "number":
            ours = list(packets.index)
        else:
            ours = [
                None if missing else value
                for value, missing in zip(packets[column], packets[column].isna(), strict=True)
            ]
        theirs = [row[column] for row in expected]
        if column == "time":
            ours = [None if value is None else value.value for value in ours]
        wrong = [i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b]
        if wrong:
            first = wrong[0]
            values = f"{ours[first]!r}, tshark {theirs[first]!r}"
            lines.append(f"{column}: {len(wrong)} differ, first in frame {first + 1}: {values}")
    return len(expected), lines


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """What the table must hold, one dict a frame."""
    with tempfile.TemporaryDirectory() as configuration:
        preferences = ["-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE"]
        process = subprocess.Popen(
            ["tshark", "-n", "-r", str(path), "-T", "pdml", *preferences],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "WIRESHARK_CONFIG_DIR": configuration},
        )
        # where tshark reads nothing, it writes nothing, and that is no XML
        with process, contextlib.suppress(etree.XMLSyntaxError):
            for _, packet in etree.iterparse(process.stdout, tag="packet", recover=True, huge_tree=True):
                yield row(list(packet.iterchildren("proto")))
                packet.clear()
                while packet.getprevious() is not None:
                    del packet.getparent()[0]


def row(protos: list[Any]) -> dict[str, Any]:
    names = [proto.get("name") for proto in protos]
    frame = protos[names.index("frame")]
    networks = [i for i, name in enumerate(names) if name in NETWORK]
    first = networks[0] if networks else len(names)
    last = networks[-1] if networks else len(names)
    carried = next((i for i in range(last + 1, len(names)) if names[i] in BEGINS_A_FRAME), None)
    network = None if carried is not None or not networks else protos[last]
    outer = protos[first] if networks and (first != last or carried is not None) else None
    transport = None
    if network is not None:
        transport = next((p for p in protos[last + 1 :] if p.get("name") in TRANSPORT), None)
    found = {
        "number": integer(frame, "frame.number"),
        "time": nanoseconds(text(frame, "frame.time_epoch")),
        "length": integer(frame, "frame.len"),
        "captured_length": integer(frame, "frame.cap_len"),
        "interface": interface(frame),
    }
    found |= link_columns(protos[:first])
    found |= network_columns(network)
    found |= {"outer_src": address(outer, "src"), "outer_dst": address(outer, "dst")}
    found |= transport_columns(transport)
    return found | tcp_columns(transport if named(transport, "tcp") else None)


def link_columns(protos: list[Any]) -> dict[str, Any]:
    eth = next((p for p in protos if named(p, "eth")), None)
    sll = next((p for p in protos if named(p, "sll")), None)
    tag = next((p for p in protos if p.get("name") in ("vlan", "ieee8021ad")), None)
    ids = ("vlan.id", "ieee8021ad.id", "ieee8021ad.svid")
    source = eth if eth is not None else sll
    return {
        "src_mac": text(source, "eth.src") or text(source, "sll.src.eth"),
        "dst_mac": text(eth, "eth.dst"),
        "vlan": next((n for n in (integer(tag, i) for i in ids) if n is not None), None),
    }


def network_columns(network: Any) -> dict[str, Any]:
    four = network if named(network, "ip") else None
    six = network if named(network, "ipv6") else None
    offset = integer(four, "ip.frag_offset") if four is not None else integer(six, "ipv6.fraghdr.offset")
    df = text(four, "ip.flags.df")
    return {
        "src": address(network, "src"),
        "dst": address(network, "dst"),
        "ttl": integer(four, "ip.ttl") if four is not None else integer(six, "ipv6.hlim"),
        "ip_id": integer(four, "ip.id"),
        "ip_df": None if df is None else df in ("1", "True"),
        "fragment_offset": None if offset is None else offset * 8,
        "ecn": integer(four, "ip.dsfield.ecn") if four is not None else integer(six, "ipv6.tclass.ecn"),
    }


def transport_columns(transport: Any) -> dict[str, Any]:
    name = None if transport is None else transport.get("name").replace("udplite", "udp")
    tcp, udp = (transport if name == n else None for n in ("tcp", "udp"))
    with_ports = name if name in ("tcp", "udp", "sctp") else None
    length = integer(udp, "udp.length")
    payload = length - 8 if length is not None and length >= 8 else None
    error = transport if name in ("icmp", "icmpv6") else None
    return {
        "src_port": integer(transport, f"{with_ports}.srcport"),
        "dst_port": integer(transport, f"{with_ports}.dstport"),
        "stream": integer(transport, f"{with_ports}.stream"),
        "payload_length": integer(tcp, "tcp.len") if tcp is not None else payload,
        "icmp_type": integer(error, f"{name}.type"),
        "icmp_code": integer(error, f"{name}.code"),
        "icmp_mtu": integer(error, f"{name}.mtu"),
    }


def tcp_columns(tcp: Any) -> dict[str, Any]:
    verdicts = {v: text(tcp, f"tcp.analysis.{v}") is not None for v in VERDICTS}
    numbers = {column: integer(tcp, name) for column, name in TCP_NUMBERS.items()}
    seconds = {column: number(tcp, name) for column, name in TCP_SECONDS.items()}
    return verdicts | numbers | seconds


def named(proto: Any, name: str) -> bool:
    return proto is not None and proto.get("name") == name


def fields(element: Any, own: str) -> Iterator[Any]:
    """The fields of a header, those of what it carries or quotes left out."""
    for child in element:
        name = child.get("name") or ""
        if child.tag == "field":
            yield child
        if child.tag == "field" or name == "_ws.expert" or name.startswith(f"{own}."):
            yield from fields(child, own)


def text(proto: Any, name: str) -> str | None:
    if proto is None:
        return None
    own = proto.get("name")
    return next((f.get("show") for f in fields(proto, own) if f.get("name") == name), None)


def integer(proto: Any, name: str) -> int | None:
    shown = text(proto, name)
    return int(shown, 0) if shown else None


def number(proto: Any, name: str) -> float | None:
    shown = text(proto, name)
    return float(shown) if shown else None


def interface(frame: Any) -> str | None:
    """Wireshark calls an interface without a name unknown."""
    name = text(frame, "frame.interface_name")
    return None if name == "unknown" else name


def address(network: Any, end: str) -> str | None:
    return None if network is None else text(network, f"{network.get('name')}.{end}")


def nanoseconds(shown: str | None) -> int | None:
    seconds, _, fraction = (shown or "").partition(".")
    value = int(seconds) * 10**9 + int(fraction) if seconds and "-" not in seconds else None
    return value if value is None or value < 2**63 else None
