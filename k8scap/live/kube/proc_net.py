"""A namespace's interfaces and counters by the files of /proc/net, in one command that any image has.

`ip -j` is not in every image (busybox's `ip` has no -j), `grep` is; and a command is a request to the API
server, so that one is better than three. `grep -Hs ""` prints every line of the files that are there, each
behind its file's name.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from k8scap.errors import CaptureBrokenError, ToolMissingError
from k8scap.live.evidence import counters
from k8scap.live.interfaces import Interface

if TYPE_CHECKING:
    from collections.abc import Sequence

    from k8scap.live.ways import Inside

_INTERFACES = ("dev", "igmp", "if_inet6", "route", "ipv6_route")
COUNTERS = tuple(f"/proc/net/{name}" for name in counters.FILES)
_IGMP = re.compile(r"(?P<index>\d+)\s+(?P<name>\S+)\s*:")
_LISTED = re.compile(r"\d+\.(?P<name>\S+)(?: \[(?P<flags>[^\]]*)\])?")
_PSEUDO = frozenset(
    {"any", "nflog", "nfqueue", "usbmon0", "bluetooth-monitor", "dbus-system", "dbus-session"}
)


def read_files(inside: Inside, paths: Sequence[str], *, timeout: float = 30.0) -> dict[str, str]:
    """Path → text, of those that can be read."""
    done = inside.run(["grep", "-Hs", "", *paths], timeout=timeout)
    lines: dict[str, list[str]] = {}
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        path, colon, text = line.partition(":")
        if colon and path in paths:
            lines.setdefault(path, []).append(text)
    return {path: "\n".join(text) + "\n" for path, text in lines.items()}


def read_interfaces(inside: Inside) -> tuple[Interface, ...]:
    """The interfaces, by index; `up` is taken for granted: tcpdump says where it is not so.

    Without `grep` they are those that `tcpdump -D` lists. Raises CaptureBrokenError, ToolMissingError.
    """
    try:
        files = read_files(inside, [f"/proc/net/{name}" for name in _INTERFACES])
    except ToolMissingError:
        return _listed_by_tcpdump(inside)
    text = {name: files.get(f"/proc/net/{name}", "") for name in _INTERFACES}
    names = [line.rpartition(":")[0].strip() for line in text["dev"].splitlines() if ":" in line]
    if not names:
        raise CaptureBrokenError("/proc/net/dev tells of no interface.", next_step="k8scap doctor TARGET")
    return interfaces_of(names, text)


def interfaces_of(names: Sequence[str], text: dict[str, str]) -> tuple[Interface, ...]:
    """From the names and the files' texts (proc(5)): `route` and `ipv6_route` tell which is the default."""
    indexes = {m["name"]: int(m["index"]) for m in _IGMP.finditer(text["igmp"])}
    addresses: dict[str, list[str]] = {}
    for line in text["if_inet6"].splitlines():
        words = line.split()
        if len(words) == 6:
            addresses.setdefault(words[5], []).append(str(ipaddress.IPv6Address(bytes.fromhex(words[0]))))
            indexes.setdefault(words[5], int(words[1], 16))
    default = _default_route(text["route"], text["ipv6_route"])
    found = [
        Interface(
            index=indexes.get(name, 0),
            name=name,
            up=True,
            loopback=name == "lo",
            addresses=tuple(addresses.get(name, ())),
            default=name == default,
        )
        for name in names
    ]
    return tuple(sorted(found, key=lambda i: i.index))


def _default_route(route: str, ipv6_route: str) -> str:
    rows = (line.split() for line in route.splitlines()[1:])
    defaults = [(int(r[6]), r[0]) for r in rows if len(r) >= 8 and r[1] == r[7] == "00000000"]
    if defaults:
        return min(defaults)[1]
    rows = (line.split() for line in ipv6_route.splitlines())
    zero = "0" * 32
    defaults = [(int(r[5], 16), r[9]) for r in rows if len(r) >= 10 and r[0] == zero and r[1] == "00"]
    return next((name for _, name in sorted(defaults) if name != "lo"), "")


def _listed_by_tcpdump(inside: Inside) -> tuple[Interface, ...]:
    listed = inside.run(["tcpdump", "-D"]).stdout.decode("utf-8", "replace")
    found = []
    for number, match in enumerate(_LISTED.finditer(listed), start=1):
        flags = (match["flags"] or "Up").split(", ")
        if match["name"] not in _PSEUDO:
            found.append(
                Interface(
                    index=number,
                    name=match["name"],
                    up="Up" in flags,
                    loopback="Loopback" in flags,
                    addresses=(),
                )
            )
    return tuple(found)
