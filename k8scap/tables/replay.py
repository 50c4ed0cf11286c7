"""One packets table's TCP, replayed once for all the tables that are made of it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from k8scap.schema import require
from k8scap.tables.segments import COLUMNS_NEEDED, segments

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from k8scap.tables.coverage import Coverage
    from k8scap.tables.endpoints import Endpoints
    from k8scap.tables.handshakes import Handshakes
    from k8scap.tables.judging import Judged
    from k8scap.tables.segments import Segments

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]


class Replay:
    """What several tables ask of the same packets, each made when it is first asked for.

    The packets must not change meanwhile.
    """

    def __init__(self, packets: pd.DataFrame) -> None:
        self.packets = packets

    @classmethod
    def of(cls, packets: pd.DataFrame, replay: Replay | None, *, what: str) -> Replay:
        """`replay` where it is of these packets, else a new one.

        Raises SchemaError, saying that `what` needs them, where columns are missing.
        """
        require(packets, COLUMNS_NEEDED, what=what)
        return replay if replay is not None and replay.packets is packets else cls(packets)

    @cached_property
    def sightings(self) -> Segments:
        """All segments, second sightings of one packet among them."""
        return segments(self.packets, twice=True, ends=self.ends)

    @cached_property
    def seen_before(self) -> Bools:
        """Which of the `sightings` show a packet once more."""
        from k8scap.tables.sightings import seen_before

        return seen_before(self.sightings)

    @cached_property
    def segments(self) -> Segments:
        """The segments, each packet once."""
        return self.sightings.take(~self.seen_before) if self.seen_before.any() else self.sightings

    @cached_property
    def coverage(self) -> Coverage:
        from k8scap.tables.coverage import coverage

        return coverage(self.segments)

    @cached_property
    def handshakes(self) -> Handshakes:
        return self.segments.handshakes

    @cached_property
    def events(self) -> Ints:
        """Indices of the segments that were sent again; see `recovery.events` and `unseen`."""
        import numpy as np

        from k8scap.tables.recovery import events

        return np.union1d(events(self.segments, self.coverage), self.unseen[0])

    @cached_property
    def unseen(self) -> tuple[Ints, Ints]:
        """Repeats that look like new data, and the segment before each; see `unseen`."""
        from k8scap.tables.unseen import unseen

        return unseen(self)

    @cached_property
    def kinds(self) -> npt.NDArray[np.str_]:
        """What each of the `events` is; see `recovery.kinds`."""
        from k8scap.tables.recovery import kinds, verdicts

        found = self.segments
        return kinds(found, self.coverage, self.events, verdicts(self.packets, found.row[self.events]))

    @cached_property
    def judged(self) -> Judged:
        """The class of each late or repeated segment; see `judging.judge`."""
        from k8scap.tables.judging import judge

        return judge(self)

    @cached_property
    def samples(self) -> tuple[Ints, Ints, Ints]:
        """The round-trip samples; see `round_trips.samples`."""
        from k8scap.tables.round_trips import samples

        return samples(self.segments, self.coverage)

    @cached_property
    def spoken(self) -> Ints:
        """Indices of the segments that bring new payload."""
        import numpy as np

        brings = self.coverage.carries & (self.segments.payload > 0) & (self.coverage.fresh > 0)
        return np.flatnonzero(brings).astype(np.int64)

    @cached_property
    def ends(self) -> Endpoints:
        """The two ends of each frame of the packets table."""
        from k8scap.tables.endpoints import endpoints

        return endpoints(self.packets)

    @cached_property
    def stream(self) -> Ints:
        """Each frame's stream number."""
        from k8scap.tables.assembly import integers

        return integers(self.packets["stream"])
