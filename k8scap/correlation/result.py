"""What correlating found: tables, and sentences on them for people."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from k8scap.cards import markup

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from k8scap.cards.answer import Answer
    from k8scap.correlation.leg import Leg


class Correlation:
    """Two or more capture points, compared packet by packet; see `correlate`.

    Every table is made when first asked for, and kept.
    """

    def __init__(self, legs: Sequence[Leg], points: Sequence[str], addresses: pd.Index) -> None:
        self._legs = tuple(legs)
        self.points = tuple(points)
        self._addresses = addresses

    @cached_property
    def packets(self) -> pd.DataFrame:
        """One row a packet that two neighbouring points have, with its delay; see `columns.PACKETS`."""
        from k8scap.correlation import tables

        return tables.packets(self._legs, self.points, self._addresses)

    @cached_property
    def missing(self) -> pd.DataFrame:
        """One row a packet that a point has and its neighbour has not, and why; see `columns.MISSING`."""
        from k8scap.correlation import tables

        return tables.missing(self._legs, self.points, self._addresses)

    @cached_property
    def connections(self) -> pd.DataFrame:
        """Which conversation at one point is which at the other, through NAT; see `columns.CONNECTIONS`."""
        from k8scap.correlation import tables

        return tables.connections(self._legs, self.points, self._addresses)

    @cached_property
    def clocks(self) -> pd.DataFrame:
        """Offset and drift between neighbouring clocks, and how sure they are; see `columns.CLOCKS`."""
        from k8scap.correlation import tables

        return tables.clocks(self._legs, self.points)

    @cached_property
    def paths(self) -> pd.DataFrame:
        """Delay percentiles and loss between neighbouring points, each way; see `columns.PATHS`."""
        from k8scap.correlation import tables

        return tables.paths(self._legs, self.points)

    @cached_property
    def sentences(self) -> tuple[str, ...]:
        """What was found, in words."""
        return tuple(self._say())

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types: `points`, `sentences`, and the small tables' rows by name."""
        import json

        tables = {
            name: json.loads(getattr(self, name).to_json(orient="records", date_format="iso", date_unit="ns"))
            for name in ("clocks", "paths")
        }
        counted = self.missing.value_counts(["point", "absent_at", "verdict", "reason"])
        counts = counted[counted > 0].rename("packets").reset_index()
        missing = json.loads(counts.to_json(orient="records"))
        return {"points": list(self.points), "sentences": list(self.sentences), **tables, "missing": missing}

    def answer(self, question: str) -> Answer:
        """What two ends say to a question about the way between them, on one card."""
        from k8scap.correlation.answering import answered

        return answered(self.paths, self.sentences, question)

    def __repr__(self) -> str:
        return "\n".join(["k8scap correlation", *(f"  {_printable(line)}" for line in self.sentences)])

    def _repr_html_(self) -> str:
        lost = int(self.paths["lost"].sum())
        return markup.page_part(
            markup.card(
                markup.head("Lost between" if lost else "Compared", "k8scap correlation"),
                markup.title(", ".join(self.points)),
                markup.listed(map(markup.escaped, self.sentences)),
                tone="warning" if lost else "",
            )
        )

    def _say(self) -> Iterator[str]:
        met = {name for leg in self._legs if len(leg.matches) for name in (leg.a.name, leg.b.name)}
        for name in self.points:
            if name not in met:
                yield f"{name} has no packet in common with any other point."
        for row in self.paths.to_dict("records"):
            if row["passed"] or row["lost"]:
                yield _of_path(row)
        for row in self.clocks.to_dict("records"):
            if row["packets"]:
                yield from _of_clock(row)
        yield from self._of_missing()
        filters = {point.name: point.filter for leg in self._legs for point in (leg.a, leg.b) if point.filter}
        for name, used in filters.items():
            yield f"{name} was captured with the filter {used!r}: what it left out there may look lost."

    def _of_missing(self) -> Iterator[str]:
        from k8scap.correlation.missing import VERDICTS

        table = self.missing
        for verdict in VERDICTS[1:]:
            rows = table[table["verdict"] == verdict]
            counts = rows.value_counts(["point", "absent_at", "reason"]).rename("count").reset_index()
            for row in counts[counts["count"] > 0].to_dict("records"):
                who = f"{row['count']:,} of {row['point']}'s are not at {row['absent_at']}"
                yield f"{verdict.replace('_', ' ')}: {who}: {row['reason']}."


def _of_path(row: Mapping[Any, Any]) -> str:
    sent = row["passed"] + row["lost"] + row["not_captured"]
    text = f"{row['from_point']} → {row['to_point']}: {row['lost']:,} of {sent:,} packets lost between them"
    text += f" ({row['loss_percent']:.2g} %)" if row["lost"] else ""
    if row["p50_ms"] == row["p50_ms"]:
        text += (
            f"; on the way {row['p50_ms']:.3f} ms in the median, {row['min_ms']:.3f} at the least, "
            f"{row['p99_ms']:.3f} for the slowest hundredth"
        )
    return f"{text}."


def _of_clock(row: Mapping[Any, Any]) -> Iterator[str]:
    a, b = row["point_a"], row["point_b"]
    if row["time"] is None or row["time"] != row["time"]:
        yield f"Which way packets pass {a} and {b} cannot be told, nor how far apart their clocks are."
        return
    if row["offset_ms"] != row["offset_ms"]:
        yield (
            f"How far apart the clocks of {a} and {b} are cannot be told: packets went one way only. "
            "Delays are counted from the fastest packet's."
        )
        return
    way = "ahead of" if row["offset_ms"] >= 0 else "behind"
    yield (
        f"{b}'s clock is {abs(row['offset_ms']):.3f} ms {way} {a}'s (± {row['noise_ms']:.3f}), were the path "
        f"as long one way as the other; were it not, by up to {row['asymmetry_ms']:.3f} ms otherwise: half "
        "of the fastest round trip between them, and captures cannot tell these apart."
    )
    if abs(row["drift_ppm"]) > row["drift_error_ppm"]:
        more = "gains" if row["drift_ppm"] > 0 else "loses"
        yield (
            f"{b}'s clock {more} {abs(row['drift_ppm']):.3g} µs a second on {a}'s "
            f"(± {row['drift_error_ppm']:.2g})."
        )
    if row["stepped"]:
        yield f"A clock was set meanwhile, {a}'s or {b}'s: no one offset fits, and no delay is to be trusted."


def _printable(text: str) -> str:
    """What came from outside cannot move the terminal's cursor."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
