"""What a finding shows for itself: frame numbers, and a display filter that brings them up in Wireshark."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_FRAMES = 50
"""A finding lists so many frames at most; `frame_count` says how many there are."""


def distinct(numbers: Iterable[object]) -> list[int]:
    """Frame or stream numbers in order, each once, the absent ones left out."""
    return sorted({int(n) for n in numbers if n == n and n is not None})  # type: ignore[call-overload]  # noqa: PLR0124


def display_filter(frames: Iterable[object], *, streams: Iterable[object] = (), otherwise: str = "") -> str:
    """The frames themselves while they fit in a filter, else their TCP streams, else `otherwise`.

    Where there is nothing that covers all of them, the first MAX_FRAMES.
    """
    numbers, conversations = distinct(frames), distinct(streams)
    if 0 < len(numbers) <= MAX_FRAMES:
        return member_of("frame.number", numbers)
    if 0 < len(conversations) <= MAX_FRAMES:
        return member_of("tcp.stream", conversations)
    return otherwise or member_of("frame.number", numbers[:MAX_FRAMES])


def member_of(field: str, numbers: Iterable[int]) -> str:
    """`tcp.stream in {3, 5}`."""
    return f"{field} in {{{', '.join(str(n) for n in numbers)}}}"


def address_filter(field: str, address: object) -> str:
    """`ip.addr == 10.1.2.3` or `ipv6.addr == 2001:db8::1`; `field` is addr, src or dst."""
    version = ip_address(str(address)).version
    return f"{'ip' if version == 4 else 'ipv6'}.{field} == {address}"
