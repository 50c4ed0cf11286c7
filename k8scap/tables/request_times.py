"""Where requests and answers stand in a packets table, and how long an answer took."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]


class Places:
    """A packets table in capture order: what follows speaks of places in it, from 0 on.

    `row` are positions in the table itself, `time` nanoseconds since 1970, `talk` numbers what is sent in one
    direction of one TCP conversation (-1: other frames), `payload` is in bytes.
    """

    def __init__(self, packets: pd.DataFrame) -> None:
        import numpy as np

        from k8scap.tables.assembly import integers, nanoseconds
        from k8scap.tables.endpoints import capture_order, endpoints, frame_numbers

        self.row = capture_order(packets)
        ends = endpoints(packets)
        self.columns = ends.take(self.row)
        self.number = frame_numbers(packets)[self.row]
        self.time = nanoseconds(packets["time"])[self.row]
        self.payload = integers(packets["payload_length"], absent=0)[self.row]
        tcp = packets["protocol"].eq("TCP").to_numpy(bool)
        self.stream = np.where(tcp, integers(packets["stream"], absent=-1), -1)[self.row]
        self._points = {name: code for code, name in enumerate(ends.points.categories)}
        self._key = (self.columns.point << 40) + self.number

    def of(self, points: Sequence[str], numbers: Sequence[int]) -> Ints:
        """Places of the frames of these points and numbers; -1 for those that are not in the table."""
        import numpy as np

        codes = np.array([self._points.get(point, -1) for point in points], np.int64)
        wanted = (codes << 40) + np.array(numbers, np.int64)
        if not len(self._key):
            return np.full(len(wanted), -1, np.int64)
        place = np.minimum(np.searchsorted(self._key, wanted), len(self._key) - 1)
        return np.where(self._key[place] == wanted, place, -1)

    def last_sent(self, asked: Ints, until: Ints) -> Ints:
        """The last place before `until` where the sender of `asked` sent any payload; `asked` if none."""
        import numpy as np

        from k8scap.tables.endpoints import dense

        mine = np.flatnonzero((self.payload > 0) & np.isin(self._conversation, self._conversation[asked]))
        both = np.concatenate((mine, asked))
        ends = self.columns
        talk = dense(self._conversation[both], ends.src[both], ends.src_port[both])
        size = len(self.row) + 1
        order = np.argsort(talk[: len(mine)] * size + mine)
        sorted_keys = (talk[: len(mine)] * size + mine)[order]
        found = np.searchsorted(sorted_keys, talk[len(mine) :] * size + until) - 1
        there = (found >= 0) & (sorted_keys[np.maximum(found, 0)] // size == talk[len(mine) :])
        last = mine[order[np.maximum(found, 0)]] if len(mine) else asked
        return np.where(there, np.maximum(last, asked), asked)

    def next_asked(self, asked: Ints) -> Ints:
        """For requests in capture order: the place of the next one in the same conversation, else the end."""
        import numpy as np

        conversation = self._conversation[asked]
        order = np.argsort(conversation, kind="stable")
        following = np.full(len(asked), len(self.row), np.int64)
        same = conversation[order[1:]] == conversation[order[:-1]]
        following[order[:-1][same]] = asked[order[1:][same]]
        return following

    @property
    def _conversation(self) -> Ints:
        """One number for each TCP conversation of each point, -1 for other frames."""
        import numpy as np

        return np.where(self.stream >= 0, (self.columns.point << 32) + self.stream, -1)


def latencies(places: Places, asked: Ints, answered: Ints, *, direct: Bools) -> Ints:
    """Nanoseconds from each request to its answer (`answered` -1: ABSENT).

    A request ends with its sender's last payload before the answer, or before the next request where that
    comes first; where `direct` says so it is taken to end where it was `asked`, since others are on their way
    meanwhile.
    """
    import numpy as np

    from k8scap.tables.assembly import ABSENT

    there = answered >= 0
    ends = asked.copy()
    turns = np.flatnonzero(there & ~direct)
    until = np.minimum(places.next_asked(asked), np.where(there, answered, len(places.row)))[turns]
    ends[turns] = places.last_sent(asked[turns], until)
    return np.where(there, places.time[answered] - places.time[ends], ABSENT) if len(asked) else asked
