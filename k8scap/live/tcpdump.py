"""tcpdump: its argv, a filter widened and compiled before anything starts, and what it says on stderr."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8scap.errors import (
    CaptureBrokenError,
    FilterError,
    InterfaceNotFoundError,
    K8scapError,
    NotPermittedError,
)
from k8scap.live.netns import as_root

if TYPE_CHECKING:
    from collections.abc import Sequence

    from k8scap.live.ways import Inside

# What tells why a connection fails mostly is not in the connection: errors, address resolution, names,
# and the later fragments of its own packets, which bear no ports.
COMPANIONS = ("icmp", "icmp6", "arp", "ip[6:2] & 0x3fff != 0", "ip6 proto 44", "port 53")
BUFFER_KIB = 65536  # holds what 60 MB of TCP at full speed are ahead of us; of 16 MiB, 30 MB lost a fifth
LATEST_SECONDS = 1.0  # after which the kernel hands over what it has packed: tcpdump's own timeout
_SMALL_SNAPLEN = 4096

_LISTENING = re.compile(r"listening on (?P<interface>\S+), link-type (?P<link_type>\S+)")
_COUNT = re.compile(r"(?P<n>\d+) packets? (?P<what>captured|received by filter|dropped by \w+)")
_REFUSED = re.compile(r"permission|not permitted|not allowed", re.IGNORECASE)
_NO_INTERFACE = re.compile(r"no such device|is not up|network is down", re.IGNORECASE)


@dataclass(frozen=True)
class Counts:
    """tcpdump's account so far, or in the end (`final`)."""

    captured: int = 0
    received: int = 0
    dropped: int = 0
    interface_dropped: int = 0
    final: bool = False


def argv(interface: str, *, snaplen: int = 0, filter: str = "") -> list[str]:  # noqa: A002
    """The capture's command: pcap on stdout as it comes, no names looked up.

    -Z root keeps it from changing to a user that stripped images do not have.
    """
    immediate = ["--immediate-mode"] if is_immediate(snaplen) else []
    return [
        "tcpdump", "-i", interface, "-nn", *immediate, "--time-stamp-precision=nano",
        "-s", str(snaplen), "-B", str(BUFFER_KIB), "-U", "-Z", "root", "-w", "-",
        *(("--", filter) if filter else ()),
    ]  # fmt: skip


def is_immediate(snaplen: int) -> bool:
    """Whether tcpdump is asked for every packet at once.

    The kernel then keeps packets in slots as long as the snaplen, and of whole packets (256 KiB a slot)
    the buffer holds 64: a burst of 1,000 lost half of them. Otherwise they are packed, and come within
    LATEST_SECONDS.
    """
    return 0 < snaplen <= _SMALL_SNAPLEN


def effective_filter(
    text: str,
    *,
    exact: bool,
    interface: str,
    inside: Inside,
    narrow: str = "",
    leave_out: str = "",
) -> str:
    """`text` compiled for `interface`, and widened with its companions unless `exact`.

    Companions that this link type cannot express are left out. They stand in front: `vlan` and `mpls` in
    a user's filter change the meaning of all that comes after. `narrow` and `leave_out` are filters of our
    own: what is captured besides must pass the first, and nothing that passes the second is captured; where
    a link type cannot express them they are left out too. Raises FilterError.
    """

    def refusal(expression: str) -> str:
        return _refusal(expression, interface, inside)

    if text and (said := refusal(text)):
        raise FilterError(
            f"tcpdump refuses the filter {text!r} on {interface}: {said}.",
            filter=text,
            next_step="man pcap-filter",
        )
    narrow, leave_out = (own if own and not refusal(own) else "" for own in (narrow, leave_out))
    wide = text
    if text and not exact:
        wide = _widened(text, COMPANIONS)
        if refusal(wide):
            wide = _widened(text, [c for c in COMPANIONS if not refusal(c)])
    return " and ".join(
        [
            *([f"not ({leave_out})"] if leave_out else []),
            *([f"({narrow})"] if narrow else []),
            *([f"({wide})" if leave_out or narrow else wide] if wide else []),
        ]
    )


def _widened(text: str, companions: Sequence[str]) -> str:
    return " or ".join([*companions, f"({text})"]) if companions else text


def _refusal(expression: str, interface: str, inside: Inside) -> str:
    """What tcpdump has against a filter; empty where it compiles."""
    command = ["tcpdump", "-i", interface, "-d", "--", expression]
    try:
        done = inside.run(command, timeout=20)
    except TimeoutError:
        return "it did not compile in 20 s (host names are looked up: write addresses)"
    if done.returncode == 0:
        return ""
    said = [_bare(line) for line in done.error_text.splitlines()]
    if _REFUSED.search(done.error_text) or _NO_INTERFACE.search(done.error_text):
        raise explain(said, interface=interface)
    return said[-1].rstrip(".") if said else f"it ended with {done.returncode}"


def version(inside: Inside) -> dict[str, str]:
    """{"tcpdump": "4.99.3", "libpcap": "1.10.3 (with TPACKET_V3)"}, as far as it tells."""
    done = inside.run(["tcpdump", "--version"])
    text = (done.stdout + done.stderr).decode("utf-8", "replace")
    return dict(re.findall(r"^(tcpdump|libpcap) version (.+)$", text, re.MULTILINE))


def listening(line: str) -> str | None:
    """The link type, where `line` says that the capture has begun."""
    match = _LISTENING.search(line)
    return match["link_type"] if match else None


def counted(line: str, before: Counts) -> Counts | None:
    """The counts with what `line` adds; None where it is no such line.

    On SIGUSR1 all stand on one line behind "tcpdump: ", in the end each has its own.
    """
    found = {m["what"]: int(m["n"]) for m in _COUNT.finditer(line)}
    if not found:
        return None
    return Counts(
        captured=found.get("captured", before.captured),
        received=found.get("received by filter", before.received),
        dropped=found.get("dropped by kernel", before.dropped),
        interface_dropped=found.get("dropped by interface", before.interface_dropped),
        final=not line.startswith("tcpdump:"),
    )


def explain(said: Sequence[str], *, interface: str) -> K8scapError:
    """The error that tcpdump's last words amount to."""
    text = " ".join(_bare(line) for line in said if line).strip().rstrip(".")
    if _NO_INTERFACE.search(text):
        return InterfaceNotFoundError(
            f"tcpdump cannot listen on {interface}: {text}.", next_step="k8scap netns TARGET"
        )
    if _REFUSED.search(text):
        return NotPermittedError(f"tcpdump may not listen on {interface}: {text}.", next_step=as_root())
    return CaptureBrokenError(
        f"tcpdump ended on {interface}: {text or 'it said nothing'}.", next_step="capture again."
    )


def _bare(line: str) -> str:
    return line.strip().removeprefix("tcpdump: ")
