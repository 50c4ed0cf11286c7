"""Packets and bytes over time: one row a bin, conversation and direction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.schema import Column

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Ints = npt.NDArray[np.int64]

_NA = "<NA>"

COLUMNS: tuple[Column, ...] = (
    Column("time", "datetime64[ns, UTC]", "where the bin begins"),
    Column("point", "category", "capture point"),
    Column("stream", "Int32", "Wireshark's stream number, per protocol", absent=_NA),
    Column("protocol", "category", "transport"),
    Column("src", "category", "who sent", absent="NaN"),
    Column("src_port", "Int32", "its port", absent=_NA),
    Column("dst", "category", "to whom", absent="NaN"),
    Column("dst_port", "Int32", "its port", absent=_NA),
    Column("packets", "int64", "frames, as captured"),
    Column("bytes", "int64", "frame lengths on the wire", "bytes"),
    Column("payload", "int64", "TCP or UDP payload, repeats included", "bytes"),
    Column("mbps", "float64", "frame bits per second of the bin", "Mbit/s"),
)

SHORTEST_NS = 1_000_000
MOST_ROWS = 4_000_000
"""What half a gigabyte holds."""

_NEEDED = ("number", "time", "point", "protocol", "src", "dst", "src_port", "dst_port", "stream", "length",
           "payload_length")  # fmt: skip


def throughput(packets: pd.DataFrame, *, interval: str = "100ms") -> pd.DataFrame:
    """Packets, bytes and Mbit/s in bins of `interval` ("1ms" at the least): `COLUMNS`.

    Bins begin at whole multiples of the interval since 1970, UTC. Each direction of each conversation has
    its bins from its first frame to its last, empty ones included; rows stand by point, first frame and
    time. Raises UsageError for an interval that is none, too short, or makes more than 4 million rows;
    SchemaError where columns are missing.
    """
    from k8scap.schema import require

    require(packets, _NEEDED, what="throughput")
    return _table(packets, _nanoseconds(interval))


def _nanoseconds(interval: str) -> int:
    import pandas as pd

    from k8scap.errors import UsageError

    try:
        width = pd.Timedelta(interval)
    except ValueError:
        raise UsageError(f"{interval!r} is no interval.", next_step='throughput("100ms")') from None
    if pd.isna(width) or width.value < SHORTEST_NS:
        raise UsageError(f"The interval {interval} is shorter than 1 ms.", next_step='throughput("1ms")')
    return int(width.value)


def _table(packets: pd.DataFrame, width: int) -> pd.DataFrame:
    import numpy as np

    from k8scap.tables.assembly import assemble, integers, nanoseconds
    from k8scap.tables.endpoints import capture_order, dense, endpoints

    order = capture_order(packets)
    ends, stream = endpoints(packets).take(order), integers(packets["stream"])[order]
    protocol = packets["protocol"].astype("category").array[order]
    keys = (ends.point, np.asarray(protocol.codes), stream, ends.src, ends.src_port, ends.dst, ends.dst_port)
    group, first = _by_first_frame(dense(*keys))
    place, rows = _bins(group, nanoseconds(packets["time"])[order] // width, width)
    owner = rows["group"]

    def total(column: str) -> Ints:
        amounts = integers(packets[column], absent=0)[order]
        return _sums(place, amounts, len(owner))

    size = total("length")
    values: dict[str, Any] = {
        **ends.take(first[owner]).columns(),
        "time": rows["bin"] * width,
        "stream": stream[first[owner]],
        "protocol": protocol[first[owner]],
        "packets": np.bincount(place, minlength=len(owner)),
        "bytes": size,
        "payload": total("payload_length"),
        "mbps": size * 8 / (width / 1e9) / 1e6,
    }
    return assemble(COLUMNS, values)


def _by_first_frame(code: Ints) -> tuple[Ints, Ints]:
    """Groups renumbered by who comes first, and where each comes first."""
    import numpy as np

    _, first, inverse = np.unique(code, return_index=True, return_inverse=True)
    rank = np.argsort(first)
    number = np.empty_like(rank)
    number[rank] = np.arange(len(rank))
    return number[inverse], first[rank]


def _bins(group: Ints, bins: Ints, width: int) -> tuple[Ints, dict[str, Ints]]:
    """The row of each frame, and the group and bin of each row."""
    import numpy as np

    groups = int(group.max()) + 1 if len(group) else 0
    low, high = np.full(groups, 2**62), np.full(groups, -(2**62))
    np.minimum.at(low, group, bins)
    np.maximum.at(high, group, bins)
    sizes = high - low + 1
    _refuse_too_many(int(sizes.sum()), width)
    offset = np.cumsum(sizes) - sizes
    owner = np.repeat(np.arange(groups), sizes)
    rows = {"group": owner, "bin": np.arange(len(owner)) - offset[owner] + low[owner]}
    return offset[group] + bins - low[group], rows


def _refuse_too_many(rows: int, width: int) -> None:
    from k8scap.errors import UsageError

    if rows <= MOST_ROWS:
        return
    longer = width / 1e6 * rows / MOST_ROWS
    raise UsageError(
        f"Bins of {width / 1e6:g} ms make {rows:,} rows, more than {MOST_ROWS:,}.",
        next_step=f'throughput("{10 ** len(str(int(longer)))}ms"), or select fewer conversations first.',
    )


def _sums(place: Ints, amounts: Ints, size: int) -> Ints:
    """Exact sums (bincount's weights are floats, exact up to 2⁵³ bytes)."""
    import numpy as np

    return np.bincount(place, weights=amounts, minlength=size).astype(np.int64)
