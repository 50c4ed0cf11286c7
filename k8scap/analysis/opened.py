"""Recordings opened for reading: frames as a table, any Wireshark field, single frames dissected."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from k8scap.errors import UsageError
from k8scap.names import Names
from k8scap.parser.engines import Selection, iter_packets, read_packets
from k8scap.parser.filters import both, check_filter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from k8scap.model import Manifest
    from k8scap.parser.learnt_names import LearntNames
    from k8scap.parser.source import Source
    from k8scap.recording import Recording


class Opened:
    """What was captured at one or more points, under the names that are known."""

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        names: Names,
        learnt: LearntNames | None = None,
        selection: Selection | None = None,
        engine: str = "columnar",
        packets: pd.DataFrame | None = None,
    ) -> None:
        self._sources = tuple(sources)
        self._selection = selection or Selection()
        self._engine = engine
        self._told = names
        self._learnt = learnt
        if packets is not None:
            self.packets = packets

    @cached_property
    def names(self) -> Names:
        """Who the addresses were: the names given, the manifests', and those learnt where that was wanted."""
        return self._told.over(Names(self._learnt.entries)) if self._learnt else self._told

    @property
    def sources(self) -> tuple[Source, ...]:
        """What can be read of each point, as `points` has them."""
        return self._sources

    @property
    def selection(self) -> Selection:
        """What of the recordings was asked for."""
        return self._selection

    @property
    def is_whole(self) -> bool:
        """Whether it holds every frame of its files: nothing was selected."""
        return not self._selection.where and self._selection.between is None

    @cached_property
    def frames_read(self) -> int:
        """How many frames the files hold, whatever was selected of them; they are read for it."""
        whole = Selection(columns=("length",), decode_as=self._selection.decode_as)
        return sum(len(piece) for piece in iter_packets(self._sources, 1_000_000, whole, engine=self._engine))

    def pieces(self, columns: Sequence[str], chunk: int) -> Iterator[pd.DataFrame]:
        """Some columns of the packets table, piece by piece; of the table itself where it has been read."""
        packets = self.__dict__.get("packets")
        if packets is not None and set(columns) <= set(packets.columns):
            yield packets[list(columns)]
            return
        selection = replace(self._selection, columns=tuple(columns))
        yield from iter_packets(self._sources, chunk, selection, engine=self._engine)

    @property
    def engine(self) -> str:
        """The one that was asked for."""
        return self._engine

    @property
    def recordings(self) -> tuple[Recording, ...]:
        return tuple(source.recording for source in self._sources)

    @property
    def points(self) -> tuple[str, ...]:
        return tuple(source.point for source in self._sources)

    @property
    def manifests(self) -> tuple[Manifest, ...]:
        """Those of the recordings that have one, each under its point's name here."""
        return tuple(replace(s.manifest, point=s.point) for s in self._sources if s.manifest)

    @property
    def manifest(self) -> Manifest | None:
        return next(iter(self.manifests), None)

    @cached_property
    def packets(self) -> pd.DataFrame:
        """One row a frame, indexed by `number`; columns and dtypes as in `schema.PACKETS`."""
        return read_packets(self._sources, self._selection, engine=self._engine)

    def iter_packets(self, chunk: int = 1_000_000) -> Iterator[pd.DataFrame]:
        """The packets table in pieces, for files larger than memory: `chunk` frames are read for each.

        The pieces follow one another as the rows of `packets` do, and hold the same values; a piece's
        categories are those met so far. A file that grows is read to its present end. Raises UsageError for
        a chunk smaller than 1.
        """
        if chunk < 1:
            raise UsageError("A chunk holds one frame at the least.", next_step="cap.iter_packets(100_000)")
        return iter_packets(self._sources, chunk, self._selection, engine=self._engine)

    def named(self, table: pd.DataFrame) -> pd.DataFrame:
        """A table with who its addresses were at each row's time; see `tables.naming`.

        `src_name` and `dst_name` stand behind `src` and `dst`; workload, node and zone of both, where any
        name knows one, behind all other columns. A capture's other tables have them already; `packets` is
        as declared, and gets them by `cap.named(cap.packets)`. Raises SchemaError where src or dst is
        missing.
        """
        from k8scap.tables.naming import naming

        return naming(table, self.names)

    def fields(self, *names: str, where: str = "") -> pd.DataFrame:
        """Any Wireshark fields, as strings; several occurrences in a frame are joined by commas.

        Returns a row for every frame that `where` (a Wireshark display filter) lets pass, indexed by
        `number`, one column a field, NaN where the frame lacks it; with several points, `point` first.
        Raises UsageError for an unknown field, naming the near ones, and FilterError.
        """
        import pandas as pd

        check_filter(where)
        parts = {source.point: self._fields(source, names, where) for source in self._sources}
        if len(parts) == 1:
            return next(iter(parts.values()))
        for point, part in parts.items():
            points = pd.Categorical([point] * len(part), categories=list(parts))
            part.insert(0, "point", pd.Series(points, index=part.index))
        return pd.concat(parts.values())

    def dissect(self, number: int, point: str | None = None) -> Any:
        """Frame `number` as a pyshark packet: `cap.dissect(12).http.host`.

        Raises UsageError where there is no such frame, or where there are several points and none is named.
        """
        from k8scap.parser.reference.dissect import read_packet

        return read_packet(self.source(point), number, decode_as=self._selection.decode_as)

    def _fields(self, source: Source, names: Sequence[str], where: str) -> pd.DataFrame:
        from k8scap.parser.reference.dissect import read_fields

        chosen = both(self._selection.display_filter, where)
        return read_fields(source, names, where=chosen, decode_as=self._selection.decode_as)

    def source(self, point: str | None = None) -> Source:
        """The point's files, for reading; of the only point where none is named. Raises UsageError."""
        if point is None and len(self._sources) == 1:
            return self._sources[0]
        for source in self._sources:
            if source.point == point:
                return source
        named = "none was named" if point is None else f"{point} is none of them"
        raise UsageError(
            f"This capture has the points {', '.join(self.points)}, and {named}.",
            next_step=f"cap.dissect(number, point={self.points[0]!r})",
        )
