"""The protocol hierarchy: how many frames and bytes each stack of protocols has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.schema import Column

if TYPE_CHECKING:
    import pandas as pd

COLUMNS: tuple[Column, ...] = (
    Column("protocol", "str", "the path from the outermost protocol, joined by colons: eth:ip:tcp:http"),
    Column("depth", "int64", "how many protocols the path has"),
    Column("packets", "int64", "frames whose protocols begin with this path"),
    Column("bytes", "int64", "their lengths on the wire", "bytes"),
)

_NO_LAYER = frozenset({"ethertype"})
_QUOTES = frozenset({"icmp", "icmpv6"})
"""What stands behind these are headers that an error quotes, not what the frame carries."""


def protocols(frames: pd.DataFrame) -> pd.DataFrame:
    """The hierarchy of frames: `COLUMNS`, paths before what they carry.

    Up to the application protocol it is what `tshark -q -z io,phs` prints; above, tshark lists items there
    that are no layers (`tcp.segments`, a second `tls`), and this does not.
    `frames` has `frame.protocols` (Wireshark's, strings; NaN counts nowhere) and `length` (bytes). A frame
    counts once for each path that its protocols begin with. Raises SchemaError where columns are missing.
    """
    from k8scap.schema import require
    from k8scap.tables.assembly import assemble

    require(frames, ("frame.protocols", "length"), what="protocols")
    stacks = frames.groupby("frame.protocols", sort=False, observed=True)["length"].agg(["size", "sum"])
    totals: dict[tuple[str, ...], list[int]] = {}
    for stack, size, length in zip(stacks.index, stacks["size"], stacks["sum"], strict=True):
        layers = _layers(str(stack))
        for depth in range(1, len(layers) + 1):
            total = totals.setdefault(layers[:depth], [0, 0])
            total[0] += int(size)
            total[1] += int(length)
    paths = _outermost_first(totals)
    values = {
        "protocol": [":".join(path) for path in paths],
        "depth": [len(path) for path in paths],
        "packets": [totals[path][0] for path in paths],
        "bytes": [totals[path][1] for path in paths],
    }
    return assemble(COLUMNS, values)


def _layers(stack: str) -> tuple[str, ...]:
    layers = [layer for layer in stack.split(":") if layer not in _NO_LAYER]
    quoting = next((n for n, layer in enumerate(layers) if layer in _QUOTES), len(layers))
    return tuple(layers[: quoting + 1])


def _outermost_first(totals: dict[tuple[str, ...], list[int]]) -> list[tuple[str, ...]]:
    """Parents before children; of siblings the one with more frames first."""
    return sorted(
        totals,
        key=lambda path: [(-totals[path[:depth]][0], path[depth - 1]) for depth in range(1, len(path) + 1)],
    )
