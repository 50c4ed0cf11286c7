"""Comparing traffic whose differences are known: found where there are some, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from traffic import Kind, traffic

from k8scap.tables import changes, outliers
from k8scap.tables.observations import Tables, observed

if TYPE_CHECKING:
    import pandas as pd

PODS = [f"shop/web-{n}" for n in range(8)]


def compared(before: Tables, after: Tables) -> pd.DataFrame:
    return changes.changes(observed(before), observed(after), changes.paired(before, after))


def loud(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["verdict"].isin(["changed", "new", "gone"])]


def by_metric(table: pd.DataFrame) -> pd.DataFrame:
    return table.set_index("metric")


def test_nothing_changed_raises_nothing_in_95_of_100_comparisons() -> None:
    """Each of ten captures with each of twenty."""
    rng = np.random.default_rng(1)
    befores, afters = ([traffic(rng) for _ in range(count)] for count in (10, 20))
    seen = {id(tables): observed(tables) for tables in (*befores, *afters)}
    tables = [
        changes.changes(seen[id(before)], seen[id(after)], changes.paired(before, after))
        for before in befores
        for after in afters
    ]
    assert len(tables) == 200
    assert sum(len(loud(table)) > 0 for table in tables) <= 10


@pytest.mark.parametrize(
    ("what", "metric", "before", "after", "difference"),
    [
        ("path", "server round trip p50", 2.0, 4.0, 2.0),
        ("think", "server wait p50", 10.0, 25.0, 15.0),
        ("loss", "lost segments", 0.005, 0.05, 4.5),
        ("refused", "refused connections", 0.01, 0.4, 39.0),
        ("errors", "HTTP 5xx", 0.01, 0.2, 19.0),
        ("rate", "conversations", 1.0, 4.0, 3.0),
    ],
)
def test_what_was_changed_is_found_by_its_name_and_its_amount(
    what: str, metric: str, before: float, after: float, difference: float
) -> None:
    rng = np.random.default_rng(2)
    table = by_metric(compared(traffic(rng, **{what: before}), traffic(rng, **{what: after})))
    row = table.loc[metric]
    assert row["verdict"] == "changed"
    assert row["low"] <= difference <= row["high"]
    related = {"path": {"round trip", "connect time"}, "rate": {"throughput"}}.get(what, set())
    related |= {metric.removesuffix(" p50")}
    others = loud(table.reset_index())["metric"]
    assert [name for name in others if not any(word in name for word in related)] == []


def test_a_change_that_costs_nobody_anything_is_none() -> None:
    """Three per cent more round trip, with so many connections that it is certain."""
    rng = np.random.default_rng(3)
    table = by_metric(compared(traffic(rng, rate=100.0), traffic(rng, rate=100.0, path=2.06)))
    row = table.loc["server round trip p50"]
    assert row["low"] > 0
    assert row["verdict"] == "same"


def test_few_connections_are_called_too_few() -> None:
    rng = np.random.default_rng(4)
    table = compared(traffic(rng, rate=0.03), traffic(rng, rate=0.03, think=30.0))
    waits = table[table["metric"].str.startswith("server wait")]
    assert waits["verdict"].tolist() == ["unknown"] * 3
    assert waits["low"].isna().all()
    assert waits["before"].notna().all()


def test_who_is_new_and_who_is_gone_is_named() -> None:
    rng = np.random.default_rng(5)
    before = traffic(rng, {"shop/web-1": Kind(), "shop/old-1": Kind(rate=0.5)})
    after = traffic(rng, {"shop/web-1": Kind(), "shop/new-1": Kind(rate=0.5)})
    found = loud(compared(before, after))
    pairs = found[found["verdict"] != "changed"].set_index("who")["verdict"].to_dict()
    assert pairs == {"shop/client → shop/old-1:8080": "gone", "shop/client → shop/new-1:8080": "new"}


def test_fifty_pods_of_one_kind_have_no_odd_one() -> None:
    rng = np.random.default_rng(6)
    pods = {f"shop/web-{n}": Kind(rate=0.3) for n in range(50)}
    tables = [outliers.outliers(observed(traffic(rng, pods)), "pod") for _ in range(2)]
    assert [loud(table)["who"].tolist() for table in tables] == [[], []]


@pytest.mark.parametrize(
    ("what", "metric"), [("think", "server wait p50"), ("path", "server round trip p50")]
)
def test_the_odd_one_is_found_and_only_it(what: str, metric: str) -> None:
    rng = np.random.default_rng(7)
    pods = dict.fromkeys(PODS, Kind(rate=0.5))
    pods["shop/web-3"] = replace(pods["shop/web-3"], **{what: 4 * getattr(Kind(), what)})
    table = outliers.outliers(observed(traffic(rng, pods)), "pod")
    assert set(loud(table)["who"]) == {"shop/web-3"}
    row = table[(table["who"] == "shop/web-3") & (table["metric"] == metric)].iloc[0]
    assert row["verdict"] == "changed"
    assert row["low"] <= 3 * getattr(Kind(), what) <= row["high"]


def test_one_far_off_does_not_make_the_others_differ() -> None:
    """Half of what a pod's rest consists of may be the odd one's: it is taken out."""
    rng = np.random.default_rng(8)
    pods = {f"shop/web-{n}": Kind(rate=1.0, think=500.0 if n == 2 else 10.0) for n in range(3)}
    assert set(loud(outliers.outliers(observed(traffic(rng, pods)), "pod"))["who"]) == {"shop/web-2"}


def test_pods_are_told_by_their_node_and_server_too() -> None:
    rng = np.random.default_rng(9)
    pods = {name: Kind(rate=0.5, think=60.0 if n in {2, 3} else 10.0) for n, name in enumerate(PODS)}
    measures = observed(traffic(rng, pods))
    assert set(loud(outliers.outliers(measures, "node"))["who"]) == {"node-1"}
    assert set(loud(outliers.outliers(measures, "server"))["who"]) == {"shop/web-2:8080", "shop/web-3:8080"}


@pytest.mark.parametrize("module", [changes, outliers])
def test_the_columns_are_those_declared_full_or_empty(module: object) -> None:
    rng = np.random.default_rng(10)
    for kinds in ({"shop/web-1": Kind(), "shop/web-2": Kind()}, None):
        some = traffic(rng, kinds)
        table = compared(some, some) if module is changes else outliers.outliers(observed(some), "pod")
        declared = {column.name: column.dtype for column in module.COLUMNS}
        assert {name: str(dtype) for name, dtype in table.dtypes.items()} == declared
