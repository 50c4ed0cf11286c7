"""Who speaks to whom: addresses as codes of one dtype, connections as dense numbers, and who began."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

NO_PORT = -1
SYN, ACK = 0x02, 0x10


@dataclass(frozen=True, eq=False)
class Endpoints:
    """The ends of each frame, one array element a frame.

    `src` and `dst` are codes into `addresses` (-1 where there is none), `point` codes into `points`,
    ports are `NO_PORT` where there is none.
    """

    src: Ints
    dst: Ints
    src_port: Ints
    dst_port: Ints
    point: Ints
    addresses: pd.CategoricalDtype
    points: pd.CategoricalDtype

    def take(self, rows: Ints | Bools | slice) -> Endpoints:
        """Those of some frames."""
        return Endpoints(
            self.src[rows],
            self.dst[rows],
            self.src_port[rows],
            self.dst_port[rows],
            self.point[rows],
            self.addresses,
            self.points,
        )

    def turned(self, turn: Bools) -> Endpoints:
        """With the two ends exchanged where `turn` is true."""
        import numpy as np

        return Endpoints(
            np.where(turn, self.dst, self.src),
            np.where(turn, self.src, self.dst),
            np.where(turn, self.dst_port, self.src_port),
            np.where(turn, self.src_port, self.dst_port),
            self.point,
            self.addresses,
            self.points,
        )

    def columns(self) -> dict[str, Any]:
        """The columns point, src, src_port, dst, dst_port of a derived table."""
        import numpy as np
        import pandas as pd

        from k8scap.tables.assembly import ABSENT

        def port(ports: Ints) -> Ints:
            return np.where(ports == NO_PORT, ABSENT, ports)

        return {
            "point": pd.Categorical.from_codes(self.point, dtype=self.points),
            "src": pd.Categorical.from_codes(self.src, dtype=self.addresses),
            "src_port": port(self.src_port),
            "dst": pd.Categorical.from_codes(self.dst, dtype=self.addresses),
            "dst_port": port(self.dst_port),
        }


def endpoints(packets: pd.DataFrame) -> Endpoints:
    """The ends of the frames of a packets table."""
    import pandas as pd

    from k8scap.tables.assembly import integers

    points = packets["point"].astype("category")
    addresses, src, dst = _one_dtype(packets["src"], packets["dst"])
    return Endpoints(
        src,
        dst,
        integers(packets["src_port"], absent=NO_PORT),
        integers(packets["dst_port"], absent=NO_PORT),
        _codes(points),
        addresses,
        pd.CategoricalDtype(points.cat.categories, ordered=points.cat.ordered),
    )


def _one_dtype(src: pd.Series, dst: pd.Series) -> tuple[pd.CategoricalDtype, Ints, Ints]:
    import pandas as pd

    source, destination = src.astype("category"), dst.astype("category")
    if source.dtype == destination.dtype:
        dtype = pd.CategoricalDtype(source.cat.categories)
    else:
        dtype = pd.CategoricalDtype(source.cat.categories.union(destination.cat.categories))
        source, destination = source.astype(dtype), destination.astype(dtype)
    return dtype, _codes(source), _codes(destination)


def _codes(column: pd.Series) -> Ints:
    import numpy as np

    return np.asarray(column.cat.codes).astype(np.int64)


def capture_order(packets: pd.DataFrame) -> Ints:
    """Positions of the frames by capture point and frame number, whatever order the table has."""
    import numpy as np

    number = frame_numbers(packets)
    point = _codes(packets["point"].astype("category"))
    if len(point) and (point == point[0]).all() and (number[1:] > number[:-1]).all():
        return np.arange(len(number))
    order: Ints = np.lexsort((number, point))
    return order


def chosen_rows(packets: pd.DataFrame, mask: Bools) -> tuple[Ints, Ints | slice]:
    """Positions of the frames of `mask` in capture order; and the same as a slice, where that is all."""
    order = capture_order(packets)
    rows = order[mask[order]]
    whole = len(rows) == len(packets) and bool((rows[1:] > rows[:-1]).all())
    return rows, slice(None) if whole else rows


def frame_numbers(packets: pd.DataFrame) -> Ints:
    """`number`, be it the index or a column."""
    import numpy as np

    numbers = packets["number"] if "number" in packets.columns else packets.index.get_level_values("number")
    return numbers.to_numpy(dtype=np.int64)


def dense(*keys: Ints) -> Ints:
    """Equal rows of keys → equal numbers from 0 on, numbered by the keys' order."""
    import numpy as np

    code = np.zeros(len(keys[0]), dtype=np.int64)
    for key in keys:
        rank, size = _ranked(key)
        if size > 1:
            code = _ranked(code * size + rank)[0]
    return code


def _ranked(values: Ints) -> tuple[Ints, int]:
    """Each value's place among the distinct ones, and how many there are; without a sort where it can be."""
    import numpy as np

    if not len(values):
        return values.astype(np.int64), 0
    low, high = int(values.min()), int(values.max())
    if low == high:
        return np.zeros(len(values), dtype=np.int64), 1
    if high - low > 4 * len(values) + 65_536:
        distinct, rank = np.unique(values, return_inverse=True)
        return rank.astype(np.int64), len(distinct)
    there = np.zeros(high - low + 1, dtype=np.int64)
    there[values - low] = 1
    if there.all():
        return values - low, high - low + 1
    place = np.cumsum(there) - 1
    return place[values - low], int(place[-1]) + 1


def group_starts(group: Ints) -> Ints:
    """Where each group begins, for groups that stand together."""
    import numpy as np

    if not len(group):
        return np.zeros(0, dtype=np.int64)
    return np.flatnonzero(np.concatenate(([True], group[1:] != group[:-1]))).astype(np.int64)


def group_bounds(group: Ints) -> tuple[Ints, Ints]:
    """Index of the first and of the last frame of each group, for groups that are numbered densely."""
    import numpy as np

    groups, place = int(group.max()) + 1 if len(group) else 0, np.arange(len(group))
    first, last = np.empty(groups, dtype=np.int64), np.empty(groups, dtype=np.int64)
    last[group] = place  # of several values for one place the last one stays
    first[group[::-1]] = place[::-1]
    return first, last


def from_initiator(group: Ints, first: Ints, ends: Endpoints, flags: Ints) -> Bools:
    """Whether each frame was sent by who began its conversation.

    `group` numbers the conversations densely, frames of one in capture order; `first` is each one's first
    frame; `flags` are TCP's (-1 where the frame is not TCP's). The sender of the first SYN began; without
    one the receiver of the first SYN-ACK; in the midst of a TCP connection the one with the higher port,
    which is likelier the ephemeral one; else who was seen first.
    """
    import numpy as np

    src, port = ends.src[first].copy(), ends.src_port[first].copy()
    turn = (flags[first] >= 0) & (ends.src_port[first] < ends.dst_port[first])
    src[turn], port[turn] = ends.dst[first][turn], ends.dst_port[first][turn]
    syns = np.flatnonzero((flags >= 0) & (flags & SYN != 0))
    for both, turned in ((SYN | ACK, True), (SYN, False)):
        rows = syns[flags[syns] & (SYN | ACK) == both]
        groups, earliest = np.unique(group[rows], return_index=True)
        chosen = rows[earliest]
        src[groups] = (ends.dst if turned else ends.src)[chosen]
        port[groups] = (ends.dst_port if turned else ends.src_port)[chosen]
    answer: Bools = (ends.src == src[group]) & (ends.src_port == port[group])
    return answer
