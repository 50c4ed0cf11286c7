"""What changed between two captures, or who is the odd one out in one, with how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any

from k8scap.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.analysis import Capture
    from k8scap.tables.observations import Tables

SENTENCES_SHOWN = 20
_CERTAIN = ("changed", "new", "gone")
_BETTER_HIGH = ("conversations", "throughput")


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """What `compare` found: `table`, one row a metric and whose it is; `changes`, sentences, worst first.

    `by` says what was compared with its kind; empty where two captures were. The columns are those of
    `k8scap.tables.changes` or `k8scap.tables.outliers`.
    """

    table: pd.DataFrame
    by: str = ""

    @cached_property
    def changes(self) -> list[str]:
        """What is more than chance, worst first: what got slower or fails, what is new or gone, the rest."""
        certain = self.table[self.table["verdict"].isin(_CERTAIN)]
        rows: list[dict[str, Any]] = certain.to_dict("records")  # type: ignore[assignment]
        if self.by:
            rows = [row for row in rows if row["difference"] > 0 or not self._is_mirrored(row)]
        return [_sentence(row, self.by) for row in sorted(rows, key=_badness)]

    @property
    def summary(self) -> str:
        """In one sentence: how much was compared, changed, and could not be told."""
        counts = self.table["verdict"].value_counts()
        certain = sum(int(counts.get(verdict, 0)) for verdict in _CERTAIN)
        verb = "differ" if self.by else "changed"
        return (
            f"{len(self.table)} comparisons: {certain} {verb}, {int(counts.get('same', 0))} show no "
            f"difference beyond chance, {int(counts.get('unknown', 0))} have too few observations to tell"
        )

    def _is_mirrored(self, row: dict[str, Any]) -> bool:
        """Of two that differ from each other both rows say the same; the higher one's is told."""
        table = self.table
        alike = (table["metric"] == row["metric"]) & (table["end"] == row["end"])
        return int(alike.sum()) == 2

    def __repr__(self) -> str:
        head = f"k8scap comparison{f' by {self.by}' if self.by else ''}\n  {self.summary}"
        told = [_printable(sentence) for sentence in self.changes[:SENTENCES_SHOWN]]
        left = len(self.changes) - len(told)
        return "\n".join([head, *(f"  - {line}" for line in told), *([f"  and {left} more"] if left else [])])

    def _repr_html_(self) -> str:
        told = self.changes[:SENTENCES_SHOWN]
        left = len(self.changes) - len(told)
        lines = [*told, *([f"and {left} more"] if left else [])]
        items = "".join(f"<li>{escape(line)}</li>" for line in lines)
        rows = self.table.to_html(
            index=False, escape=True, float_format="{:.4g}".format, na_rep="", max_rows=100
        )
        return (
            f"<div class='k8scap-comparison'><p>{escape(self.summary)}</p><ul>{items}</ul>"
            f"<details><summary>all comparisons</summary>{rows}</details></div>"
        )


def compare(before: Capture, after: Capture | None = None, *, by: str | None = None) -> Comparison:
    """What changed from one capture to another, or (`by`) who differs from its kind within one.

    Compared are latency (round trips of both halves of the path, connect time, the server's wait, DNS
    answers: median, 95th and 99th percentile), lost segments, refused, unanswered and reset connections,
    failed lookups, HTTP 5xx where requests were read, and between two captures the rate of conversations,
    throughput, and whose conversations are new or gone.

    `by` is "pod", "workload", "node", "zone" (as names know them) or "server" (name and port): each is
    compared with the rest. Every difference has a 95 % interval; samples of one connection count as what
    they are, not independent; and what is called changed is so however many rows are looked at: captures
    or pods of the same kind raise nothing in 95 of 100 comparisons. Fewer than five connections on a side
    are too few: `unknown`. Raises UsageError where neither or both of `after` and `by` are given, or names
    do not know what `by` asks for.
    """
    from k8scap.tables.changes import changes, paired
    from k8scap.tables.observations import observed
    from k8scap.tables.outliers import outliers

    if (after is None) == (by is None):
        raise UsageError(
            "compare takes two captures, or one and by=.", next_step='k8scap.compare(cap, by="node")'
        )
    if after is None:
        _check(before, str(by))
        return Comparison(outliers(observed(_tables(before)), str(by)), by=str(by))
    first, second = _tables(before), _tables(after)
    return Comparison(changes(observed(first), observed(second), paired(first, second)))


def _tables(cap: Capture) -> Tables:
    from k8scap.tables.observations import Tables

    return Tables(
        packets=cap.packets,
        conversations=cap.conversations,
        round_trips=cap.round_trips,
        retransmissions=cap.retransmissions,
        exchanges=cap.exchanges,
        lookups=cap.lookups,
        requests=vars(cap).get("requests"),  # those that were read: reading them is tshark's work
    )


def _check(cap: Capture, by: str) -> None:
    from k8scap.tables.outliers import GROUPINGS

    if by not in GROUPINGS:
        raise UsageError(
            f"Nothing can be compared by {by!r}.", next_step=f"by= one of {', '.join(GROUPINGS)}"
        )
    if by in {"workload", "node", "zone"} and by not in cap.names.known_details:
        raise UsageError(
            f"No name of this capture tells a {by}.",
            next_step="kubectl get pods,svc,nodes -A -o json > names.json; load(…, names='names.json')",
        )


def _badness(row: dict[str, Any]) -> tuple[int, float]:
    """Sort key: worse before new and gone before better, the greatest change first."""
    if row["verdict"] != "changed":
        return 1, -abs(row["difference"])
    first, second = (row["rest"], row["value"]) if "rest" in row else (row["before"], row["after"])
    greater = abs(second - first) / max(min(first, second), 1e-3 * max(first, second))
    worse = (second < first) == (row["metric"] in _BETTER_HIGH)
    return (0 if worse else 2), -greater


def _sentence(row: dict[str, Any], by: str) -> str:
    if row["verdict"] in {"new", "gone"}:
        count = int(row["before"] + row["after"])
        when = "after" if row["verdict"] == "new" else "before"
        return f"{row['who']}: {row['verdict']}, {count} conversations {when}, none {_OTHER[when]}"
    unit = f" {row['unit']}"
    if by:
        numbers = f"{row['value']:.3g}{unit}, the rest {row['rest']:.3g}{unit}"
        head = f"{row['who']} ({row['end']}): {row['metric']} {numbers}"
    else:
        numbers = f"{row['before']:.3g}{unit} before, {row['after']:.3g}{unit} after"
        head = f"{row['metric']}: {numbers}"
    return f"{head} ({row['difference']:+.3g}, {_interval(row)}, p {max(row['p'], 1e-6):.2g})"


_OTHER = {"after": "before", "before": "after"}


def _interval(row: dict[str, Any]) -> str:
    low, high = row["low"], row["high"]
    if high != high:  # noqa: PLR0124 - NaN: the sample does not reach that far
        return f"95 % interval from {low:+.3g}"
    return f"95 % interval {low:+.3g} to {high:+.3g}"


def _printable(text: str) -> str:
    """Names come from the wire: they cannot move the terminal's cursor."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
