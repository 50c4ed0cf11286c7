"""Display filters to try: fixed ones, and random ones about the values of a table."""

import random

import pandas as pd

ANSWERED = (
    r"""
frame
frame.number
frame.number == 1
frame.number eq 010
frame.number >= 10
frame.number ge 10 and frame.number le 20
frame.number gt 0xa && frame.number lt 0X14
frame.number == 0b101
frame.number in {1..5, 7, 9 .. 11}
frame.number in {5..1}
frame.number not in {1..5}
frame.number & 1
frame.number & 3 == 1
frame.number bitwise_and 4
frame.number any_eq 10
frame.number all_eq 10
frame.number all_ne 10
frame.number ne 10
frame.number === 10
frame.number !== 10
frame.number ~= 10
frame.len > 1000
frame.len <= 66
frame.len > 4294967295
frame.cap_len < 60
frame.time_epoch >= 1
frame.time_epoch >= 1.5
frame.time_epoch < 1700000000.25
frame.time_epoch in {1 .. 1700000001}
frame.time_epoch in {1.5..2000000000.5}
frame.time_epoch != 1700000000
eth
not eth
eth.src == 02:00:00:00:00:01
eth.src != 02-00-00-00-00-01
eth.dst == FF:FF:FF:ff:ff:ff
eth.addr == 02:00:00:00:00:02
eth.addr != 02:00:00:00:00:02
eth.src > 02:00:00:00:00:00
eth.src in {02:00:00:00:00:00..02:00:00:00:00:05}
all eth.addr > 02:00:00:00:00:01
vlan
!vlan
vlan.id
vlan.id == 5
vlan.id != 5
vlan.id > 4
vlan.id in {5, 9}
vlan and tcp
arp
!(arp or icmp)
not arp and not icmp
arp || icmp || icmpv6
ip
ip && !ipv6
ip.src
ip.src == 198.18.0.1
ip.src == 198.18.0.0/24
ip.src == 198.18.0.77/24
ip.src == 0.0.0.0/0
ip.src != 198.18.0.0/24
ip.src === 198.18.0.1
ip.src > 10.0.0.1
ip.src in {10.0.0.0/8, 198.18.0.1}
ip.src in {198.18.0.1..198.18.0.9}
ip.src in {198.18.0.1 .. 198.18.0.9, 1.2.3.4}
ip.dst == 198.18.0.2
ip.addr == 198.18.0.1
ip.addr != 198.18.0.1
ip.addr ~= 198.18.0.1
!(ip.addr == 198.18.0.1)
not ip.addr == 198.18.0.1
all ip.addr == 198.18.0.0/16
any ip.addr != 198.18.0.1
ip.addr not in {198.18.0.1}
ip.addr == 10.9.0.0/16 && ip.addr == 198.18.0.1
ip.ttl
ip.ttl == 64
ip.ttl < 5
ip.ttl > 63
all ip.ttl > 63
ip.id == 0x0001
ip.id > 0
ip.id & 1
ip.flags.df
ip.flags.df == 1
ip.flags.df == False
ip.flags.df != TRUE
ip.frag_offset > 0
ip.frag_offset == 185
ip.dsfield.ecn == 3
ip.dsfield.ecn == 4
ipv6
not ipv6
ipv6.src
ipv6.addr == 2001:db8::1
ipv6.addr == 2001:0DB8:0:0::1
ipv6.addr == 2001:db8::/32
ipv6.addr == fe80::/10
ipv6.addr != fe80::/10
ipv6.dst == ::
ipv6.dst == ff02::1:ff00:1
ipv6.src in {2001:db8::1 .. 2001:db8::ff}
ipv6.src > fe80::
ipv6.addr == ::ffff:1.2.3.4
ipv6.hlim == 255
ipv6.tclass.ecn == 0
icmp
icmp.type
icmp.type == 3
icmp.type == 3 && icmp.code == 4
icmp.type in {3, 11}
icmp.type == 8 or icmp.type == 0
icmp.type != 3
icmp.mtu < 1500
icmpv6
icmpv6.type == 135
icmpv6.type in {133..136}
icmpv6.code == 0
icmpv6.mtu
tcp
TCPLESS
tcp.port
tcp.port == 80
tcp.port==80&&ip
tcp.port == 0x50
tcp.port == 0120
tcp.port != 80
tcp.port !== 80
tcp.port === 80
tcp.port any_ne 80
all tcp.port > 1024
all tcp.port === 80
any tcp.port === 80
any tcp.port all_ne 80
not any tcp.port == 80
tcp.port in{80,443}
tcp.port in {80, 40000..41000}
tcp.port in {80..90}and tcp
tcp.port not in {80}
tcp.port & 1
tcp.port & 1 == 1
tcp.port > 65535
tcp.srcport == 80 or tcp.dstport == 80
tcp.dstport >= 40000
tcp.stream eq 3
tcp.stream == 0
tcp.len > 0
tcp.len>0||udp
tcp.seq == 0
tcp.seq > 1 and tcp.ack == 1
tcp.ack
tcp.seq_raw == 1000
tcp.ack_raw > 0
tcp.window_size == 0
tcp.window_size < 1000
tcp.flags == 0x002
tcp.flags == 0x0012
tcp.flags & 2
tcp.flags&2==2
tcp.flags & 0x12 != 0x12
tcp.flags & 0
all tcp.flags & 2 == 2
tcp.flags.syn
tcp.flags.syn == 1 && tcp.flags.ack == 0
tcp.flags.syn==1&&tcp.flags.ack==1
tcp.flags.syn == True
tcp.flags.syn == FALSE
tcp.flags.syn == 2
tcp.flags.syn > 0
tcp.flags.syn != 1
tcp.flags.syn in {0, 1}
tcp.flags.reset == 1
tcp.flags.fin == 1
tcp.flags.push == 1
tcp.flags.urg == 1 or tcp.flags.ece == 1 or tcp.flags.cwr == 1 or tcp.flags.ae == 1
tcp.analysis.flags
!tcp.analysis.flags && tcp
tcp.analysis.retransmission
not tcp.analysis.retransmission
tcp.analysis.fast_retransmission
tcp.analysis.spurious_retransmission
tcp.analysis.out_of_order
tcp.analysis.lost_segment
tcp.analysis.ack_lost_segment
tcp.analysis.duplicate_ack
tcp.analysis.keep_alive
tcp.analysis.keep_alive_ack
tcp.analysis.zero_window
tcp.analysis.zero_window_probe
tcp.analysis.zero_window_probe_ack
tcp.analysis.window_full
tcp.analysis.window_update
tcp.analysis.reused_ports
tcp.analysis.ack_rtt
tcp.analysis.ack_rtt > 0.01
tcp.analysis.ack_rtt <= 0.001
tcp.analysis.initial_rtt > 0
tcp.analysis.rto >= 0.2
tcp.analysis.bytes_in_flight > 1000
udp
udp.port
udp.port in {53, 5353}
udp.port == 53 || udp.port == 443
udp.srcport > 1024
udp.dstport == 9999
udp.stream == 0
udp.length > 100
udp.length == 11
tcp or udp and icmp
tcp && udp || icmp
(tcp or udp) and icmp
(tcp or udp) and not icmp
tcp||udp&&icmp
not tcp and udp
not (tcp and udp)
!tcp || tcp.port == 80
! ! tcp
not not not tcp
((((tcp))))
tcp and tcp.len > 0 and not tcp.flags.syn == 1 or arp or (icmp and icmp.type == 3)
""".replace("TCPLESS\n", "")
    .strip()
    .splitlines()
)
"""Filters that the table answers, whatever their spelling."""

LEFT_TO_TSHARK = r"""
http
http.host
tls.handshake.type == 1
dns.qry.name contains "example"
frame contains "GET"
frame.protocols
frame.time >= "2024-01-01"
frame.time_relative > 1
tcp.payload
tcp.options.sack_le
tcp.options.mss_val < 1400
tcp.window_size_value == 0
tcp.srcport == tcp.dstport
ip.src == ip.dst
tcp.len + 1 > 3
tcp.len > -1
tcp.port == +80
tcp.port == 'P'
tcp.port == {80}
tcp[13] & 2
eth.addr[0:3] == 02:00:00
eth.src == 0200.0000.0001
ip.addr#2 == 198.18.0.1
ip.src < 198.18.0.0/24
ip.src & 255.0.0.0
ip.host
ip.version == 4
ip.proto == 6
ip.flags.mf
ip == 1
len(frame) > 100
count(ip.addr) > 2
string(frame.number) matches "1$"
frame matches "GET"
all ip.addr in {198.18.0.1, 198.18.0.2}
frame.time_epoch > 2147483648
frame.time_epoch > -1.5
sctp
_ws.malformed
tcp.flags.str
""".strip().splitlines()
"""Filters that are right, and ask for more than the table has."""

REFUSED = r"""
tcp and
and tcp
not
()
(tcp
tcp)
tcp tcp
TCP
NOT tcp
tcp AND udp
tcp xor udp
tcp ^^ udp
80 == tcp.port
1 < tcp.port < 5
tcp.port == 1 == 2
tcp.port = 80
tcp.port => 80
tcp.port ! = 80
tcp.port eq80
tcp.port==80and udp
tcp.port == "80"
icmp.type == "Echo (ping) request"
tcp.port == http
tcp.port == 80.0
tcp.port == 1e3
tcp.port == 080
tcp.port == 8_0
tcp.port == 65536
tcp.port in {80 443}
tcp.port in {80,}
tcp.port in {}
tcp.port in {80..}
tcp.port in {80-90}
tcp.port in {1..2..3}
tcp.port == (80)
(tcp.port) == 80
tcp.flags.syn == true
tcp.flags.syn == "True"
tcp.flags.syn & 1
tcp.flags & 2 in {2}
tcp.flags == SYN
tcp.analysis.retransmission == 1
tcp & tcp
any tcp
any tcp.port
ip.src == 10.0.0.0/33
ip.src == 10.0.0.0/08
ip.src == 010.0.0.1
ip.src == 1.2.3
ip.src == 1.2.3.256
ip.src == fe80::1
ipv6.src == 1.2.3.4
ipv6.src == 2001:db8::/129
ipv6.src == 1:2:3
ip.ttl == 256
ip.id == 0x10000
eth.src == 02:00
eth.src == 02:00:00:00:00:01:02
eth.src == 02:00:00-00:00:01
frame.number == 09
frame.number > 4294967296
frame.time_epoch > 1.
frame.time_epoch > .5
frame.time_epoch > 0x10
frame.time_epoch > 1.1234567891
tcp.prot == 1
0
$tcp
@tcp.port == 80
tcp.port == 80 //x
-w /tmp/x
""".strip().splitlines()
"""What tshark refuses."""

_JOINED = ("and", "or", "&&", "||")
_ORDERED = ("<", "<=", ">", ">=", "gt", "le")
_EQUAL = ("==", "!=", "===", "!==", "~=", "eq", "ne", "any_ne", "all_eq")


class Filters:
    """Random filters about what a packets table holds; `make` gives one."""

    def __init__(self, table, fields, seed):
        self._table = table
        self._fields = list(fields.values())
        self._random = random.Random(seed)

    def make(self, depth=2):
        """A test, or several joined."""
        kind = self._random.random()
        if depth == 0 or kind < 0.35:
            return self._test()
        if kind < 0.5:
            return f"{self._random.choice(('not ', '!'))}({self.make(depth - 1)})"
        parts = [self.make(depth - 1) for _ in range(self._random.choice((2, 2, 3)))]
        parts = [f"({p})" if self._random.random() < 0.5 else p for p in parts]
        return "".join(
            part + (f" {self._random.choice(_JOINED)} " if i < len(parts) - 1 else "")
            for i, part in enumerate(parts)
        )

    def _test(self):
        pick, field = self._random.choice, self._random.choice(self._fields)
        if field.kind == "label" or self._random.random() < 0.1:
            return field.name
        words = [self._word(field) for _ in range(3)]
        form = self._random.random()
        if form < 0.15:
            return f"{field.name} {pick(('in', 'in', 'not in'))} {{{', '.join(words)}}}"
        if form < 0.25 and field.kind not in ("bool", "ether"):
            return f"{field.name} in {{{words[0].partition('/')[0]} .. {words[1].partition('/')[0]}}}"
        name = field.name if form < 0.85 else f"{pick(('any', 'all'))} {field.name}"
        if field.kind == "uint" and form < 0.4:
            name += f" & {words[2]}"
        if "/" in words[0] or self._random.random() < 0.6:
            return f"{name} {pick(_EQUAL)} {words[0]}"
        return f"{name} {pick(_ORDERED)} {words[0]}"

    def _word(self, field):
        """A value that the table has, or one beside it."""
        value = self._value(field)
        match field.kind:
            case "bool":
                return self._random.choice(("0", "1", "True", "False"))
            case "uint":
                number = max(int(value or 0) // field.per + field.plus + self._random.choice((0, 0, 0, 1)), 0)
                number = min(number, (1 << field.width) - 1)
                return self._random.choice((str, hex, bin))(number)
            case "seconds":
                return f"{value // 10**9}.{value % 10**9:09d}" if value and value > 0 else "0.001"
            case "ether":
                return value or "02:00:00:00:00:01"
            case family:
                return self._address(value, family)

    def _address(self, value, family):
        six = family == "ipv6"
        if value is None or (":" in value) != six:
            value = "2001:db8::1" if six else "198.18.0.1"
        if self._random.random() < 0.3:
            value += f"/{self._random.randrange(129 if six else 33)}"
        return value

    def _value(self, field):
        if not field.columns:
            return None
        name = self._random.choice(field.columns)
        if name == "number":
            return int(self._random.choice(self._table.index)) if len(self._table) else None
        column = self._table[name]
        for _ in range(3):
            value = column.iloc[self._random.randrange(len(column))] if len(column) else None
            if not pd.isna(value):
                break
        else:
            return None
        if field.kind == "seconds":
            return value.value if name == "time" else round(float(value) * 1e9)
        return value if isinstance(value, str) else int(value)
