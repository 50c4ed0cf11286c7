"""Where each number of a frame stands, among all that the table is made of."""

from __future__ import annotations

import numpy as np

from k8scap.parser.decode import facts as f

COPIED = (
    ("direction", f.DIRECTION), ("vlan", f.VLAN), ("ifindex", f.IFINDEX),
    ("src_port", f.SRC_PORT), ("dst_port", f.DST_PORT), ("ttl", f.TTL), ("ip_id", f.IP_ID),
    ("ip_df", f.IP_DF), ("fragment_offset", f.FRAGMENT_OFFSET), ("ecn", f.ECN), ("icmp_type", f.ICMP_TYPE),
    ("icmp_code", f.ICMP_CODE), ("icmp_mtu", f.ICMP_MTU), ("ip_checksum_ok", f.IP_CHECKSUM_OK),
    ("transport_checksum_ok", f.TRANSPORT_CHECKSUM_OK), ("payload_length", f.PAYLOAD_LENGTH), ("mss", f.MSS),
    ("window_scale", f.WINDOW_SCALE), ("tsval", f.TSVAL), ("tsecr", f.TSECR), ("seq_raw", f.SEQ_RAW),
)  # fmt: skip
"""Numbers of the table that are facts as they stand."""
MADE = (
    "protocol", "src", "dst", "src_mac", "dst_mac", "outer_src", "outer_dst", "tunnel", "stream", "seq",
    "ack", "ack_raw",
    "tcp_flags", "window", "sack_left", "sack_right", "verdicts", "ack_rtt", "initial_rtt", "rto",
    "bytes_in_flight",
)  # fmt: skip
GIVEN = ("time", "length", "captured_length", "point", "interface")
"""What the record says, and the reader: they stand behind those that are found out of the packet."""
FOLLOWED = len(COPIED) + len(MADE)
PLACES = {name: place for place, name in enumerate([*(name for name, _ in COPIED), *MADE, *GIVEN])}
FROM = np.array([place for _, place in COPIED], np.int64)
(
    PROTOCOL, SRC, DST, SRC_MAC, DST_MAC, OUTER_SRC, OUTER_DST, TUNNEL_PATH, STREAM, SEQ, ACK, ACK_RAW,
    TCP_FLAGS, WINDOW, SACK_LEFT, SACK_RIGHT, VERDICTS, ACK_RTT, INITIAL_RTT, RTO, BYTES_IN_FLIGHT,
) = range(len(COPIED), FOLLOWED)  # fmt: skip
