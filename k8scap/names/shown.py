"""How an entry's name is written: as kubectl would, harmless, and of a length that fits a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from k8scap.model import NameEntry

LEARNT = ("pcapng", "dns", "tls")
"""Sources within a capture file, the best first; names from there are marked with it."""

LONGEST = 253
"""Letters in the longest name that DNS and Kubernetes know."""


def shown(entry: NameEntry) -> str:
    """`shop/checkout-7d9f`, `shop/svc/redis`, `node/worker-1`, `redis.example.com (dns)`; others as they are.

    Empty where nothing is left of the name: characters that are not printable are taken out, and a name
    is cut where none may be longer.
    """
    name = plain(entry.name)
    if not name:
        return ""
    kind = {"service": "svc/", "node": "node/"}.get(entry.kind, "")
    namespace = "" if entry.kind == "node" else plain(entry.namespace)
    mark = f" ({entry.source})" if entry.source in LEARNT else ""
    return f"{namespace}{'/' if namespace else ''}{kind}{name}{mark}"


def plain(text: str) -> str:
    """Text without control characters, direction marks and lone surrogates, cut after 253 letters."""
    head = text[: LONGEST + 1]
    kept = head if head.isprintable() else "".join(c for c in head if c.isprintable())
    return kept if len(kept) <= LONGEST else f"{kept[: LONGEST - 1]}…"
