"""The interfaces of a namespace, and which one to capture on."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from k8scap.errors import CaptureBrokenError, InterfaceNotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from k8scap.live.ways import Inside

ANY = "any"  # tcpdump's word for all of them at once


@dataclass(frozen=True)
class Interface:
    """One of a namespace: `addresses` without their prefix length, `default` the one of the default route."""

    index: int
    name: str
    up: bool
    loopback: bool
    addresses: tuple[str, ...]
    default: bool = False


def read_interfaces(inside: Inside) -> tuple[Interface, ...]:
    """All of the namespace's, by index, as `ip addr` and `ip route` show them."""
    entries = _ask(["ip", "-j", "addr", "show"], inside)
    found = [_interface(entry) for entry in entries if "ifname" in entry]
    default = _default(found, inside)
    return tuple(replace(i, default=i.name == default) for i in found)


def choose(asked: Sequence[str], there: Sequence[Interface]) -> tuple[str, ...]:
    """The interfaces asked for, checked; else that of the default route, the only one up, or any.

    Raises InterfaceNotFoundError.
    """
    for name in asked:
        _require(name, there)
    if asked:
        return tuple(asked)
    up = [i for i in there if i.up and not i.loopback]
    chosen = next((i.name for i in up if i.default), None)
    return (chosen or (up[0].name if len(up) == 1 else ANY),)


def _require(name: str, there: Sequence[Interface]) -> None:
    names = [i.name for i in there]
    if name != ANY and name not in names:
        raise InterfaceNotFoundError(
            f"There is no interface {name} in this namespace, only {', '.join(names) or 'none at all'}.",
            next_step=f"try -i {_first_that_is_up(there)}",
        )
    if any(i.name == name and not i.up for i in there):
        raise InterfaceNotFoundError(
            f"The interface {name} is down.", next_step=f"ip link set {name} up, in that namespace"
        )


def _first_that_is_up(there: Sequence[Interface]) -> str:
    return next((i.name for i in there if i.up and not i.loopback), ANY)


def _default(found: Sequence[Interface], inside: Inside) -> str:
    up = [i.name for i in found if i.up and not i.loopback]
    for family in ("-4", "-6") if up else ():
        routes = _ask(["ip", "-j", family, "route", "show", "default"], inside)
        for route in sorted(routes, key=lambda r: int(r.get("metric", 0))):
            if route.get("dev") in up:
                return str(route["dev"])
    return ""


def _ask(argv: Sequence[str], inside: Inside) -> list[dict[str, Any]]:
    done = inside.run(argv)
    try:
        answer = json.loads(done.stdout or b"[]") if done.returncode == 0 else None
    except ValueError:
        answer = None
    if not isinstance(answer, list):
        raise CaptureBrokenError(
            f"{' '.join(argv)} failed in the namespace: {done.error_text or 'no JSON came'}.",
            next_step="ip -V (an iproute2 with -j is needed, from 4.13)",
        )
    return answer


def _interface(entry: dict[str, Any]) -> Interface:
    flags = entry.get("flags", ())
    return Interface(
        index=int(entry["ifindex"]),
        name=str(entry["ifname"]),
        up="UP" in flags,
        loopback="LOOPBACK" in flags,
        addresses=tuple(a["local"] for a in entry.get("addr_info", ()) if "local" in a),
    )
