"""Who is the odd one out: each pod, node … of one capture against the rest of its kind."""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Any

from k8scap.schema import Column
from k8scap.tables.changes import Metric, compared, differs, metrics, row, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from k8scap.tables.differences import Difference
    from k8scap.tables.estimates import Sample
    from k8scap.tables.observations import Observed

COLUMNS: tuple[Column, ...] = (
    Column("metric", "str", "what is compared"),
    Column("unit", "str", "of all numbers of the row"),
    Column("who", "str", "whose it is"),
    Column("end", "category", "server or client: on which side of its connections it stands"),
    Column("value", "float64", "its own", absent="NaN"),
    Column("rest", "float64", "of all others, but for those that stand out themselves", absent="NaN"),
    Column("difference", "float64", "its own less the rest's", absent="NaN"),
    Column("low", "float64", "95 % interval of the difference", absent="NaN"),
    Column("high", "float64", "its other end", absent="NaN"),
    Column("p", "float64", "the chance of so much by chance, all rows looked at (Bonferroni)", absent="NaN"),
    Column("verdict", "category", "changed: it differs; same; unknown: too few observations to tell"),
    Column("samples_value", "int64", "its observations"),
    Column("samples_rest", "int64", "the others'"),
)

GROUPINGS = ("pod", "workload", "node", "zone", "server")
MOST_GROUPS = 100
"""Those with most observations are compared; more of them would leave nothing to be found in any."""


@dataclass(frozen=True, eq=False)
class Contest:
    """One metric of all groups on one side; `odd` are those that stand out, with what they were found by."""

    metric: Metric
    end: str
    samples: dict[str, Sample]
    found: dict[str, Difference | None]
    odd: tuple[str, ...] = ()

    def rest(self, who: str) -> Sample:
        """All others' observations, without those that stand out themselves, where some are left."""
        others = [name for name in self.samples if name != who]
        usual = [name for name in others if name not in self.odd]
        return _joined(self.samples[name] for name in usual or others)

    def against(self, who: str) -> Difference | None:
        return compared(self.metric, self.rest(who), self.samples[who])


def outliers(measures: Sequence[Observed], by: str) -> pd.DataFrame:
    """`COLUMNS`: each group against the rest, for every metric but rates (load differs by right).

    `by` is one of `GROUPINGS`; "server" is a server's name and port. What has a server and a client is
    looked at by both, where there are two groups or more. One that is far off would make all others differ
    from a rest that holds it: so whoever stands out furthest is taken out first, and the others are
    compared again without it.
    """
    contests = [
        contest for measure in measures if measure.kind != "rate" for contest in _contests(measure, by)
    ]
    tests = sum(found is not None for contest in contests for found in contest.found.values())
    rows = [each for contest in contests for each in _rows(_settled(contest, tests), tests)]
    return table(COLUMNS, rows, first="value", second="rest")


def _contests(measure: Observed, by: str) -> list[Contest]:
    contests = []
    for end in ("server",) if by == "server" else ("server", "client"):
        samples = _grouped(measure, by, end)
        if len(samples) < 2:
            continue
        for metric in metrics(measure):
            contest = Contest(metric, end, samples, {})
            contests.append(replace(contest, found={who: contest.against(who) for who in samples}))
    return contests


def _grouped(measure: Observed, by: str, end: str) -> dict[str, Sample]:
    import numpy as np

    labels = measure.whose(end, "name" if by in {"pod", "server"} else by)
    if labels is None:
        return {}
    labels = labels.astype("object")
    ports = measure.whose(end, "port")
    if by == "server" and ports is not None:
        labels = labels.astype("str") + ":" + ports.astype("str")
    counts = labels.value_counts().head(MOST_GROUPS)
    return {str(who): measure.sample.take(np.asarray(labels == who)) for who in counts.index}


def _settled(contest: Contest, tests: int) -> Contest:
    """Whoever stands out, furthest first, taken out of the others' rest."""
    while len(contest.odd) < len(contest.samples) - 1:
        standing = {
            who: found
            for who, found in contest.found.items()
            if who not in contest.odd and found is not None and differs(found, min(1.0, found.p * tests))
        }
        if not standing:
            return contest
        values = [contest.metric.plain(sample) for sample in contest.samples.values()]
        middle = median(values)
        worst = max(standing, key=lambda who: (abs(standing[who].second.value - middle), standing[who].value))
        contest = replace(contest, odd=(*contest.odd, worst))
        left = [who for who in contest.samples if who not in contest.odd]
        if len(left) < 2:
            return contest
        contest = replace(contest, found=contest.found | {who: contest.against(who) for who in left})
    return contest


def _rows(contest: Contest, tests: int) -> Iterable[dict[str, Any]]:
    for who, sample in contest.samples.items():
        found = contest.found[who]
        p = float("nan") if found is None else min(1.0, found.p * tests)
        numbers = row(contest.metric, contest.rest(who), sample, found, p)
        numbers |= {
            "first": numbers["second"],
            "second": numbers["first"],
            "samples_first": numbers["samples_second"],
            "samples_second": numbers["samples_first"],
        }
        yield numbers | {"who": who, "end": contest.end}


def _joined(samples: Iterable[Sample]) -> Sample:
    import numpy as np

    from k8scap.tables.estimates import Sample

    parts = list(samples)
    return Sample(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("value", "total", "cluster"))
    )
