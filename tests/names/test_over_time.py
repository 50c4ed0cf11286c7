"""Who an address was: written as kubectl writes it, and at the right time."""

import random
import time as clock
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from k8scap.model import NameEntry
from k8scap.names import Names

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(minutes):
    return NOON + timedelta(minutes=minutes)


def entry(name, start=None, end=None, address="198.18.0.1", **more):
    times = {"start": None if start is None else at(start), "end": None if end is None else at(end)}
    return NameEntry(address=address, name=name, **times, **more)


def column(names, *rows, address="198.18.0.1"):
    """The names of an address at these minutes, asked for as a column, and one by one."""
    times = pd.Series([at(row) for row in rows]).astype("datetime64[ns, UTC]")
    found = names.column(pd.Series([address] * len(rows), dtype="category"), times)
    assert list(found) == [names.of(address, at(row)) for row in rows]
    return list(found)


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (entry("checkout-7d9f", kind="pod", namespace="shop"), "shop/checkout-7d9f"),
        (entry("redis", kind="service", namespace="shop"), "shop/svc/redis"),
        (entry("worker-1", kind="node"), "node/worker-1"),
        (entry("web", kind="container", source="docker"), "web"),
        (entry("redis.example.com", kind="external", source="dns"), "redis.example.com (dns)"),
        (entry("example.com", kind="external", source="tls"), "example.com (tls)"),
        (entry("printer", source="hosts-file"), "printer"),
        (entry("\x1b[31mred\n\u202e\ud800", kind="pod", namespace="a\x00b"), "ab/[31mred"),
        (entry("\x1b\n", kind="service", namespace="shop"), "198.18.0.1"),
        (entry("x" * 100_000), "x" * 252 + "…"),
    ],
)
def test_a_name_is_written_as_kubectl_writes_it_and_harmless(given, written):
    names = Names([given])
    assert (names.of("198.18.0.1"), column(names, 0)) == (written, [written])


def test_an_address_that_nobody_named_is_its_own_name():
    names = Names([entry("web")])
    addresses = pd.Series(["198.18.0.9", None, "198.18.0.1"], dtype="category", index=[7, 8, 9])
    found = names.column(addresses)
    assert found.astype("object").fillna("absent").to_dict() == {7: "198.18.0.9", 8: "absent", 9: "web"}
    assert found.dtype == "category"
    assert list(Names().column(addresses).dropna()) == ["198.18.0.9", "198.18.0.1"]


def test_an_address_that_changes_hands_has_the_name_of_the_time():
    names = Names([entry("first", None, 10), entry("second", 10, 20), entry("third", 20)])
    assert column(names, -99, 9, 10, 19, 20, 99) == ["first", "first", "second", "second", "third", "third"]
    assert names.of("198.18.0.1") == "third"


def test_where_no_name_holds_the_nearest_does():
    names = Names([entry("first", 10, 20), entry("second", 40, 50)])
    assert column(names, 0, 15, 29, 31, 45, 99) == ["first", "first", "first", "second", "second", "second"]


def test_a_name_that_holds_wins_over_a_near_one_of_a_stronger_layer():
    user, manifest = Names([entry("mine", 10, 20)]), Names([entry("told")])
    assert column(user.over(manifest), 5, 15, 25) == ["told", "mine", "told"]


def test_what_the_user_says_wins_over_the_manifest_and_both_over_what_was_learnt():
    learnt = Names(
        [entry("tls", source="tls"), entry("dns", 5, source="dns"), entry("dns2", 6, source="dns")]
    )
    told = Names([entry("told", 10, 20)])
    assert column(told.over(learnt), 0, 5, 15, 99) == ["told"] * 4
    assert column(Names([entry("user")]).over(told).over(learnt), 15) == ["user"]
    assert column(learnt, 0, 5, 6) == ["tls (tls)", "dns (dns)", "dns2 (dns)"]


def test_a_node_whose_address_its_pods_share_is_the_node():
    proxy = entry("kube-proxy-x", 30, kind="pod", namespace="kube-system")
    assert column(Names([entry("w1", kind="node"), proxy]), 0, 40) == ["node/w1", "node/w1"]
    assert column(Names([proxy, entry("w1", kind="node")]), 0, 40) == ["node/w1", "node/w1"]


def test_of_two_that_hold_the_later_one_counts():
    names = Names([entry("old", 0), entry("new", 10, 20)])
    assert column(names, 5, 15, 25) == ["old", "new", "old"]
    assert column(Names([entry("a"), entry("b")]), 5) == ["b"]


def test_times_that_make_no_sense_are_still_times():
    backwards = Names([entry("backwards", 10, 5), entry("fine", 20)])
    assert column(backwards, 0, 30) == ["backwards", "fine"]
    far = NameEntry(address="198.18.0.1", name="far", start=datetime.max.replace(tzinfo=UTC))
    ancient = NameEntry(address="198.18.0.1", name="ancient", end=datetime.min.replace(tzinfo=UTC))
    assert column(Names([far, ancient, entry("now", 0, 1)]), 0.5) == ["now"]
    naive = NameEntry(address="198.18.0.1", name="naive", start=datetime(2026, 1, 1, 12))  # noqa: DTZ001
    assert column(Names([entry("before", None, 0), naive]), -1, 1) == ["before", "naive"]


def test_a_row_without_a_time_has_the_last_name_known():
    names = Names([entry("first", None, 10), entry("second", 10)])
    found = names.column(pd.Series(["198.18.0.1"]), pd.Series(pd.DatetimeIndex([None], tz="UTC")))
    assert (list(found), names.of("198.18.0.1", pd.NaT)) == (["second"], "second")


@pytest.mark.parametrize("written", ["2001:DB8:0:0::1", "2001:db8::1", " 2001:db8::0001%eth0"])
def test_an_ipv6_address_is_known_however_it_is_written(written):
    assert Names([entry("six", address=written)]).of("2001:db8::1") == "six"


def test_workload_node_and_zone_come_with_the_time_too():
    pod = {"kind": "pod", "namespace": "shop"}
    names = Names(
        [
            entry("a", None, 10, workload="deploy/a", node="w1", **pod),
            entry("b", 10, node="w2", zone="z2", **pod),
            entry("w1", address="198.18.1.1", kind="node", zone="z1"),
        ]
    )
    addresses = pd.Series(["198.18.0.1", "198.18.0.1", "198.18.1.1", "198.18.9.9"], dtype="category")
    times = pd.Series([at(0), at(20), at(0), at(0)]).astype("datetime64[ns, UTC]")
    details = {which: names.detail(which, addresses, times) for which in names.known_details}
    found = {which: detail.astype("object").fillna("").tolist() for which, detail in details.items()}
    assert found == {
        "workload": ["deploy/a", "", "", ""],
        "node": ["w1", "w2", "w1", ""],
        "zone": ["z1", "z2", "z1", ""],
    }
    assert Names([entry("x")]).known_details == ()


def by_hand(entries, address, time):
    """The rule in one reading: strongest of those that hold, else the nearest in time."""
    mine = [(i, e) for i, e in enumerate(entries) if e.address == address]
    holding = [(i, e) for i, e in mine if (not e.start or e.start <= time) and (not e.end or time < e.end)]
    early = datetime.min.replace(tzinfo=UTC)
    strength = {i: (e.kind == "node", e.start or early, i) for i, e in holding}
    return entries[max(strength, key=strength.get)].name if holding else None


def test_a_hundred_random_histories_read_as_the_rule_says():
    dice = random.Random(4)
    for _ in range(100):
        entries = []
        for n in range(dice.randrange(1, 12)):
            start = dice.choice([None, dice.randrange(50)])
            end = dice.choice([None, (start or 0) + dice.randrange(1, 30)])
            kind = dice.choice(["pod", "pod", "node"])
            address = dice.choice(["198.18.0.1", "198.18.0.2"])
            entries.append(entry(f"n{n}", start, end, address=address, kind=kind))
        names = Names(entries)
        for address in ("198.18.0.1", "198.18.0.2"):
            minutes = [dice.randrange(-10, 90) for _ in range(20)]
            said = [name.removeprefix("node/") for name in column(names, *minutes, address=address)]
            for minute, name in zip(minutes, said, strict=True):
                expected = by_hand(entries, address, at(minute))
                assert expected in (name, None), (entries, address, minute)


def test_a_million_rows_are_named_in_less_than_a_second():
    rows, addresses = 1_300_000, 20_000
    texts = [f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}" for n in range(addresses)]
    entries = [entry(f"pod-{n}", None, n % 50, address=a, kind="pod") for n, a in enumerate(texts)]
    entries += [entry(f"next-{n}", n % 50, address=a, node="w1") for n, a in enumerate(texts) if n % 4 == 0]
    codes = np.random.default_rng(1).integers(0, addresses, rows)
    column = pd.Series(pd.Categorical.from_codes(codes, categories=texts))
    times = pd.Series(pd.Timestamp(NOON) + pd.to_timedelta(np.arange(rows) % 50, unit="min"))
    began = clock.process_time()
    found = Names(entries).column(column, times)
    assert clock.process_time() - began < 1.0
    changed = (codes % 4 == 0) & (np.arange(rows) % 50 >= codes % 50)
    assert (found.astype("object").str.startswith("next-").to_numpy() == changed).all()
