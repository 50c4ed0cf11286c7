"""The tables against the plainest reading of their definitions: sets of bytes, loops over all pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wire import START, Wire, shoot

from k8scap.tables.retransmissions import retransmissions
from k8scap.tables.round_trips import round_trips

if TYPE_CHECKING:
    from collections.abc import Iterator

ISN = 2**32 - 40
"""So that most connections pass the place where the raw numbers wrap around."""


class Sent(NamedTuple):
    """A segment: by the client or not, its first byte, how many, what it acknowledges."""

    client: bool
    seq: int
    size: int
    ack: int


segments = st.lists(
    st.builds(
        Sent, st.booleans(), st.integers(1, 120), st.sampled_from([0, 2, 5, 9, 30]), st.integers(1, 130)
    ),
    min_size=1,
    max_size=25,
)
quick = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """One segment each way, as loaded."""

    def scene(wire: Wire) -> None:
        c = wire.connection(ip_id=0)
        c.send(0, "client", "A", seq=1, ack=1, size=10)
        c.send(1, "server", "A", seq=1, ack=11, size=10)

    made = shoot(tmp_path_factory.mktemp("wire") / "scene.pcap", {"scene": scene})
    return made["scene"].packets


def table(template: pd.DataFrame, sent: list[Sent], *, step: str = "10ms") -> pd.DataFrame:
    """A packets table of these segments, `step` after one another."""
    packets = template.iloc[[0 if one.client else 1 for one in sent]].copy()
    packets.index = pd.RangeIndex(1, len(sent) + 1, name="number")
    packets["time"] = START + pd.Timedelta(step) * packets.index.to_series()
    for column, values in {
        "seq": [one.seq for one in sent],
        "ack": [one.ack for one in sent],
        "seq_raw": [(one.seq + ISN) % 2**32 for one in sent],
        "ack_raw": [(one.ack + ISN) % 2**32 for one in sent],
        "payload_length": [one.size for one in sent],
    }.items():
        packets[column] = pd.array(values, dtype=packets[column].dtype)
    return packets


def repeats(sent: list[Sent]) -> Iterator[tuple[int, int | None, int]]:
    """(frame, the last frame with any of its bytes, how often its most frequent byte was sent by then)."""
    for number, one in enumerate(sent, 1):
        if not one.size:
            continue
        mine = set(range(one.seq, one.seq + one.size))
        before = [(n, s) for n, s in enumerate(sent[: number - 1], 1) if s.client == one.client]
        held = {n: mine & set(range(s.seq, s.seq + s.size)) for n, s in before}
        carriers = [n for n, _ in before if held[n]]
        copies = max(sum(byte in held[n] for n in carriers) for byte in mine) + 1
        reached = max((s.seq + s.size for _, s in before), default=0)
        if carriers:
            yield number, carriers[-1], copies
        elif one.seq < reached:
            yield number, None, 1


@quick
@given(sent=segments)
def test_events_are_the_segments_whose_bytes_were_seen(template: pd.DataFrame, sent: list[Sent]) -> None:
    found = retransmissions(table(template, sent)).sort_values("number")
    expected = sorted(repeats(sent))
    assert found["number"].tolist() == [number for number, _, _ in expected]
    assert [None if pd.isna(n) else n for n in found["repeats"]] == [before for _, before, _ in expected]
    assert found["copy"].tolist() == [copies for _, _, copies in expected]


def samples(sent: list[Sent]) -> Iterator[tuple[int, int]]:
    """(frame that answered, frame measured), by the definition, read aloud."""
    for number, one in enumerate(sent, 1):
        known = [s.ack for s in sent[: number - 1] if s.client == one.client]
        since = max(known, default=None)
        if since is not None and one.ack <= since:
            continue
        theirs = [(n, s) for n, s in enumerate(sent[: number - 1], 1) if s.client != one.client and s.size]
        covered = [(n, s) for n, s in theirs if s.seq < one.ack and (since is None or s.seq + s.size > since)]
        disturbed = any(_late(sent, n) for n, _ in covered)
        newest = [n for n, s in theirs if s.seq <= one.ack - 1 < s.seq + s.size]
        if newest and not disturbed:
            yield number, newest[0]


def _late(sent: list[Sent], number: int) -> bool:
    """Whether its first byte is below what its side had reached before it."""
    one = sent[number - 1]
    before = [s for s in sent[: number - 1] if s.client == one.client]
    return any(one.seq < s.seq + s.size for s in before)


@quick
@given(sent=segments)
def test_samples_are_of_bytes_sent_once_and_in_order(template: pd.DataFrame, sent: list[Sent]) -> None:
    found = round_trips(table(template, sent))
    assert list(zip(found["number"], found["segment"], strict=True)) == list(samples(sent))
    assert found["rtt_ms"].round(6).tolist() == [10.0 * (n - m) for n, m in samples(sent)]
