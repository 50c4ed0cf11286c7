"""IP addresses as text."""

from __future__ import annotations

import socket


def canonical(address: str) -> str:
    """An address as packets tables write it: IPv6 as in RFC 5952, without a zone; other text as it is."""
    text = address.strip()
    if ":" not in text:
        return text
    packed = _packed(text.partition("%")[0])
    return address if packed is None else socket.inet_ntop(socket.AF_INET6, packed)


def is_address(text: str) -> bool:
    return _packed(text.strip().partition("%")[0]) is not None


def _packed(text: str) -> bytes | None:
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except (OSError, ValueError):  # ValueError: a zero byte, or a letter that is not ASCII
        return None
