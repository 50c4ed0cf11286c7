"""Who had an address when: the rule in its plainest form, over entries by chance, second by second."""

import random
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from k8scap.errors import UnreadableFileError
from k8scap.model import NameEntry
from k8scap.names import Names
from k8scap.names.files import read_names

ADDRESS = "10.0.0.1"
T0 = datetime(2026, 1, 1, tzinfo=UTC)
AGES = timedelta(days=9)


def after(seconds):
    return T0 + timedelta(seconds=seconds)


def entries(chance):
    for i in range(chance.randint(1, 6)):
        start, end = sorted(chance.sample(range(20), 2))
        yield NameEntry(
            address=ADDRESS,
            name=f"n{i}",
            kind=chance.choice(["pod", "pod", "pod", "node"]),
            start=None if chance.random() < 0.2 else after(2 * start),
            end=None if chance.random() < 0.2 else after(2 * end),
        )


def expected(known, time):
    """Every name that the rule allows: one, but where two are equally near."""
    span = {e.name: (e.start or T0 - AGES, e.end or T0 + AGES) for e in known}
    holding = [e for e in known if span[e.name][0] <= time < span[e.name][1]]
    if holding:
        nodes = [e for e in holding if e.kind == "node"] or holding
        return {max(nodes, key=lambda e: (span[e.name][0], known.index(e))).name}
    away = {name: start - time if time < start else time - end for name, (start, end) in span.items()}
    return {name for name, distance in away.items() if distance == min(away.values())}


@pytest.mark.parametrize("seed", range(200))
def test_the_rule_holds_at_every_second(seed):
    known = list(entries(random.Random(seed)))
    names = Names(known)
    times = [after(second) for second in range(-3, 43)]
    one_by_one = [names.entry(ADDRESS, time).name for time in times]
    for time, name in zip(times, one_by_one, strict=True):
        assert name in expected(known, time), (time, known)
    column = names.column(pd.Series([ADDRESS] * len(times)), pd.Series(pd.to_datetime(times)))
    assert list(column) == [names.of(ADDRESS, time) for time in times]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [("", "is empty"), (" \n\n", "is empty"), ("---\nkind: List\n", "YAML"), ("apiVersion: v1\n", "YAML")],
)
def test_an_empty_file_and_yaml_are_told_as_what_they_are(tmp_path, content, sentence):
    (tmp_path / "names").write_text(content)
    with pytest.raises(UnreadableFileError, match=sentence):
        read_names(tmp_path / "names")


def test_a_number_that_is_too_long_is_not_called_nested(tmp_path):
    (tmp_path / "names").write_text('{"n": ' + "9" * 10_000 + "}")
    with pytest.raises(UnreadableFileError, match="digits") as refused:
        read_names(tmp_path / "names")
    assert "nested" not in refused.value.message
