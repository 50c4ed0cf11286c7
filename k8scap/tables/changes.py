"""What differs between two captures: one row a measure and quantile, and one a conversation's two ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k8scap.schema import Column
from k8scap.tables.differences import Difference, binomial, difference, holm
from k8scap.tables.estimates import mean, quantile, share

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from k8scap.tables.estimates import Estimate, Sample
    from k8scap.tables.observations import Observed, Tables

COLUMNS: tuple[Column, ...] = (
    Column("metric", "str", "what is compared"),
    Column("unit", "str", "of all numbers of the row"),
    Column("who", "str", "whose it is; empty where it is everybody's"),
    Column("before", "float64", "in the first capture", absent="NaN"),
    Column("after", "float64", "in the second", absent="NaN"),
    Column("difference", "float64", "after less before", absent="NaN"),
    Column("low", "float64", "95 % interval of the difference", absent="NaN"),
    Column("high", "float64", "its other end", absent="NaN"),
    Column("p", "float64", "the chance of so much by chance, all rows looked at (Holm)", absent="NaN"),
    Column("verdict", "category", "changed, new, gone, same, or unknown: too few observations to tell"),
    Column("samples_before", "int64", "observations in the first capture"),
    Column("samples_after", "int64", "in the second"),
)

QUANTILES = (0.5, 0.95, 0.99)
SIGNIFICANT = 0.05
"""The chance of one false alarm in a whole comparison."""
MATTERS = 0.05
"""A difference of less than this part of the larger value costs nobody anything, however sure it is."""
MOST_PAIRS = 200
"""Conversations' ends that are listed, those with most conversations: a scan has thousands."""
SCALES = {"%": 100.0}


@dataclass(frozen=True)
class Metric:
    """One measure's quantile, share or rate."""

    name: str
    unit: str
    kind: str
    q: float = 0.0

    def estimate(self, sample: Sample) -> Estimate | None:
        """None where too few connections tell."""
        if self.kind == "time":
            return quantile(sample, self.q)
        return share(sample) if self.kind == "share" else mean(sample)

    def plain(self, sample: Sample) -> float:
        """The number alone, however few made it; NaN for none."""
        import numpy as np

        if not sample.total.sum() > 0:
            return float("nan")
        if self.kind == "time":
            return float(np.quantile(sample.value, self.q))
        return float(sample.value.sum() / sample.total.sum())

    @property
    def scale(self) -> float:
        return SCALES.get(self.unit, 1.0)


def metrics(measure: Observed) -> list[Metric]:
    if measure.kind != "time":
        return [Metric(measure.name, measure.unit, measure.kind)]
    return [Metric(f"{measure.name} p{100 * q:g}", measure.unit, "time", q) for q in QUANTILES]


def differs(found: Difference, p: float) -> bool:
    """Whether it is more than chance (`p` as it counts among all), and enough to matter."""
    larger = max(found.first.value, found.second.value)
    return p < SIGNIFICANT and abs(found.value) >= MATTERS * larger


def is_same(found: Difference) -> bool:
    """Whether no difference shows, or none that matters, although the samples reach far enough."""
    return found.is_bounded and (found.low <= 0 <= found.high or not differs(found, 0.0))


def row(metric: Metric, first: Sample, second: Sample, found: Difference | None, p: float) -> dict[str, Any]:
    """The numbers of one row; without `found`, those that can be told without it."""
    scale = metric.scale
    sizes = [round(float(s.value.sum() if metric.kind == "rate" else s.total.sum())) for s in (first, second)]
    values = [metric.plain(sample) * scale for sample in (first, second)]
    numbers = {
        "first": values[0],
        "second": values[1],
        "difference": values[1] - values[0],
        "p": float("nan"),
    }
    numbers |= {
        "low": float("nan"),
        "high": float("nan"),
        "samples_first": sizes[0],
        "samples_second": sizes[1],
    }
    verdict = "unknown"
    if found is not None:
        numbers |= {"first": found.first.value * scale, "second": found.second.value * scale}
        numbers |= {"difference": found.value * scale, "low": found.low * scale, "high": found.high * scale}
        numbers["p"] = p
        verdict = "changed" if differs(found, p) else "same" if is_same(found) else "unknown"
    return {"metric": metric.name, "unit": metric.unit, "verdict": verdict, **numbers}


def compared(metric: Metric, first: Sample, second: Sample) -> Difference | None:
    one, other = metric.estimate(first), metric.estimate(second)
    return None if one is None or other is None else difference(one, other)


def changes(before: Sequence[Observed], after: Sequence[Observed], pairs: pd.DataFrame) -> pd.DataFrame:
    """`COLUMNS`: every metric that either capture has observations of, then the conversations of `pairs`.

    A pair's conversations are `new` or `gone` where one capture has none, and that is not chance: each
    conversation would have fallen into either by the captures' lengths.
    """
    theirs = {measure.name: measure for measure in after}
    both = [(m, b.sample, theirs[b.name].sample) for b in before if b.name in theirs for m in metrics(b)]
    both = [(m, first, second) for m, first, second in both if len(first) or len(second)]
    found = [compared(*each) for each in both]
    known = iter(holm([f.p for f in found if f is not None]))
    ps = [float("nan") if f is None else next(known) for f in found]
    rows = [row(*each, f, p) | {"who": ""} for each, f, p in zip(both, found, ps, strict=True)]
    return table(COLUMNS, [*rows, *_pair_rows(pairs)], first="before", second="after")


def table(
    columns: Sequence[Column], rows: Sequence[dict[str, Any]], *, first: str, second: str
) -> pd.DataFrame:
    """Rows as a table of `columns`, whose two sides have these names; infinite limits are absent."""
    import numpy as np

    from k8scap.tables.assembly import assemble

    names = {"first": first, "second": second}
    names |= {f"samples_{side}": f"samples_{name}" for side, name in list(names.items())}
    values: dict[str, Any] = {
        names.get(key, key): [each[key] for each in rows] for key in (rows[0] if rows else ())
    }
    for column in columns:
        values.setdefault(column.name, [])
        if column.dtype == "float64":
            numbers = np.asarray(values[column.name], dtype=np.float64)
            values[column.name] = np.where(np.isfinite(numbers), numbers, np.nan)
    return assemble(columns, values)


def paired(before: Tables, after: Tables) -> pd.DataFrame:
    """How many conversations each two ends had, in both captures: columns who, first, second, share.

    Ends are workloads where names know them, else names or addresses; `share` is the part of both captures'
    time that is the second's.
    """
    import pandas as pd

    counts = [_ends(tables).value_counts() for tables in (before, after)]
    spans = [_seconds(tables) for tables in (before, after)]
    both = pd.concat(counts, axis="columns", keys=["first", "second"]).fillna(0).astype("int64")
    both["share"] = spans[1] / sum(spans) if sum(spans) > 0 else 0.5
    most = both[["first", "second"]].sum(axis="columns").sort_values(ascending=False, kind="stable")
    return both.loc[most.index[:MOST_PAIRS]].rename_axis("who").reset_index()


def _ends(tables: Tables) -> pd.Series:
    known = tables.conversations
    sides = {}
    for end in ("src", "dst"):
        who = known.get(f"{end}_name", known[end]).astype("object")
        workload = known.get(f"{end}_workload")
        sides[end] = who if workload is None else workload.astype("object").fillna(who)
    port = known["dst_port"].astype("object").map(lambda port: f":{port}" if port == port else "")  # noqa: PLR0124
    return (
        sides["src"].astype("str")
        + " → "
        + sides["dst"].astype("str")
        + port.where(known["dst_port"].notna(), "")
    )


def _seconds(tables: Tables) -> float:
    time = tables.packets["time"]
    return float((time.max() - time.min()).total_seconds()) if len(time) else 0.0


def _pair_rows(pairs: pd.DataFrame) -> Iterator[dict[str, Any]]:
    lonely = pairs[(pairs["first"] == 0) | (pairs["second"] == 0)]
    numbers = list(zip(lonely["who"], lonely["first"], lonely["second"], lonely["share"], strict=True))
    chances = holm([binomial(int(second), int(first + second), share) for _, first, second, share in numbers])
    for (who, first, second, _), p in zip(numbers, chances, strict=True):
        certain = "new" if second else "gone"
        yield {
            "metric": "conversations",
            "unit": "",
            "verdict": certain if p < SIGNIFICANT else "unknown",
            "first": first,
            "second": second,
            "difference": second - first,
            "p": p,
            "low": float("nan"),
            "high": float("nan"),
            "samples_first": first,
            "samples_second": second,
            "who": who,
        }
