"""The kernel's own counters of a network namespace: the text of a file under /proc/PID/net → {name: value}.

Names are the kernel's, with their file's or protocol's name before a dot: `Tcp.RetransSegs`,
`TcpExt.ListenOverflows`, `dev.eth0.rx_drop`, `conntrack.insert_failed`. Their meanings stand in the kernel's
Documentation/networking/snmp_counter.rst, in proc(5), and in RFC 1213 and 2012 (the MIBs).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_DEVICE_COLUMNS = (
    *("rx_bytes", "rx_packets", "rx_errs", "rx_drop", "rx_fifo", "rx_frame", "rx_compressed", "rx_multicast"),
    *("tx_bytes", "tx_packets", "tx_errs", "tx_drop", "tx_fifo", "tx_colls", "tx_carrier", "tx_compressed"),
)
# RtoMin, MaxConn and the like are settings, not counters, and -1 stands for "no limit".
_SETTINGS = {"Ip.Forwarding", "Ip.DefaultTTL", "Tcp.RtoAlgorithm", "Tcp.RtoMin", "Tcp.RtoMax", "Tcp.MaxConn"}
_TABLE_SIZE = "entries"


def of_protocols(text: str) -> dict[str, int]:
    """`snmp` and `netstat`: pairs of lines, names above their values, each behind its protocol's name."""
    counters = {}
    lines = text.splitlines()
    for head, row in zip(lines[::2], lines[1::2], strict=False):
        protocol, _, names = head.partition(":")
        values = row.partition(":")[2].split()
        for name, value in zip(names.split(), values, strict=False):
            counters[f"{protocol}.{name}"] = int(value)
    return {name: value for name, value in counters.items() if name not in _SETTINGS}


def of_ipv6(text: str) -> dict[str, int]:
    """`snmp6`: a name and a value a line."""
    pairs = (line.split() for line in text.splitlines())
    return {f"snmp6.{pair[0]}": int(pair[1]) for pair in pairs if len(pair) == 2}


def of_interfaces(text: str) -> dict[str, int]:
    """`dev`: a line an interface, eight columns of what it received and eight of what it sent."""
    counters = {}
    for line in text.splitlines():
        interface, colon, values = line.rpartition(":")
        if colon:
            numbers = (int(value) for value in values.split())
            named = zip(_DEVICE_COLUMNS, numbers, strict=False)
            counters.update({f"dev.{interface.strip()}.{name}": value for name, value in named})
    return counters


def of_sockets(text: str) -> dict[str, int]:
    """`sockstat` and `sockstat6`: how many sockets there are, and their memory, at this moment.

    `mem` (pages) is the whole machine's, as TCP's limit is. Left out are the first line, which counts our
    own `ss` too, and `alloc`, which counts every namespace's sockets.
    """
    counters = {}
    for line in text.splitlines():
        protocol, _, rest = line.partition(":")
        words = rest.split() if protocol != "sockets" else []
        for name, value in zip(words[::2], words[1::2], strict=False):
            counters[f"sockstat.{protocol}.{name}"] = int(value)
    counters.pop("sockstat.TCP.alloc", None)
    return counters


def of_conntrack(text: str) -> dict[str, int]:
    """`stat/nf_conntrack`: a line a CPU, in hexadecimal; summed, but for the size of the one table."""
    head, *rows = [line.split() for line in text.splitlines()] or [[]]
    counters: dict[str, int] = {}
    for row in rows:
        for name, value in zip(head, row, strict=False):
            so_far = 0 if name == _TABLE_SIZE else counters.get(f"conntrack.{name}", 0)
            counters[f"conntrack.{name}"] = so_far + int(value, 16)
    return counters


FILES: dict[str, Callable[[str], dict[str, int]]] = {
    "snmp": of_protocols,
    "netstat": of_protocols,
    "snmp6": of_ipv6,
    "dev": of_interfaces,
    "sockstat": of_sockets,
    "sockstat6": of_sockets,
    "stat/nf_conntrack": of_conntrack,
}
"""Files under /proc/PID/net, and who reads them."""
