"""Segments that were overtaken, and packets that came twice: what is sure is a row, and nothing else."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import pytest
from wire import Scene, Wire, shoot

from k8scap.tables.duplicates import duplicates
from k8scap.tables.reorderings import reorderings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

    Table = Callable[[pd.DataFrame], pd.DataFrame]


def overtaken(wire: Wire) -> None:
    """The server's first segment (older by IP identification) arrives 3 ms after two later ones."""
    c = wire.connection()
    c.open(0, 20)
    c.send(30, "client", "PA", seq=1, ack=1, size=10)
    c.send(50, "server", seq=101, ack=11, size=100, ip_id=702)
    c.send(51, "server", seq=201, ack=11, size=100, ip_id=703)
    c.send(53, "server", seq=1, ack=11, size=100, ip_id=701)
    c.send(54, "client", seq=11, ack=301)


def sent_again(wire: Wire) -> None:
    """The same picture, but the late one was sent last: it was lost before."""
    c = wire.connection()
    c.open(0, 20)
    c.send(30, "client", "PA", seq=1, ack=1, size=10)
    c.send(50, "server", seq=101, ack=11, size=100, ip_id=702)
    c.send(51, "server", seq=201, ack=11, size=100, ip_id=703)
    c.send(75, "server", seq=1, ack=11, size=100, ip_id=704)


def sent_again_with_swapped_ids(wire: Wire) -> None:
    """The same, 8 s later, by a sender whose identifications do not count up as others do."""
    c = wire.connection()
    c.open(0, 20)
    c.send(30, "client", "PA", seq=1, ack=1, size=10)
    c.send(50, "server", seq=101, ack=11, size=100, ip_id=0xA279)
    c.send(51, "server", seq=201, ack=11, size=100, ip_id=0xA379)
    c.send(8050, "server", seq=1, ack=11, size=100, ip_id=0x81DC)


def hole_that_closes(wire: Wire) -> None:
    """Beyond the capture: the server lacks 1 to 101, says so, and has it 4 ms later, though sent once."""
    c = wire.connection()
    c.open(0, 20)
    for n in range(3):
        c.send(30 + n, "client", seq=1 + 100 * n, ack=1, size=100)
    c.send(51, "server", seq=1, ack=1, sack=(101, 201))
    c.send(55, "server", seq=1, ack=301)


def hole_that_is_filled(wire: Wire) -> None:
    """The same report, and the segment is sent again: a loss."""
    c = wire.connection()
    c.open(0, 20)
    for n in range(3):
        c.send(30 + n, "client", seq=1 + 100 * n, ack=1, size=100)
    c.send(51, "server", seq=1, ack=1, sack=(101, 301))
    c.send(52, "client", seq=1, ack=1, size=100)
    c.send(72, "server", seq=1, ack=301)


def doubled_beyond(wire: Wire) -> None:
    """The server reports bytes 101 to 201 as received twice; the client sent them once."""
    c = wire.connection()
    c.open(0, 20)
    for n in range(3):
        c.send(30 + n, "client", seq=1 + 100 * n, ack=1, size=100)
    c.send(52, "server", seq=1, ack=301)
    c.send(53, "server", seq=1, ack=301, sack=(101, 201))


def doubled_where_the_capture_has_gaps(wire: Wire) -> None:
    """The same report; of what the client sent before the capture lacks a segment, and perhaps a repeat."""
    c = wire.connection()
    c.open(0, 20)
    for n in (0, 1, 3):
        c.send(30 + n, "client", seq=1 + 100 * n, ack=1, size=100)
    c.send(52, "server", seq=1, ack=401)
    c.send(53, "server", seq=1, ack=401, sack=(101, 201))


def doubled_where_nobody_looked(wire: Wire) -> None:
    """A capture of one direction: what the reports speak of was not captured at all."""
    c = wire.connection()
    c.send(52, "server", seq=1, ack=301)
    c.send(53, "server", seq=1, ack=301, sack=(101, 201))


def repeated_without_need(wire: Wire) -> None:
    """The same report of what the client did send twice."""
    c = wire.connection()
    c.open(0, 20)
    c.send(30, "client", seq=1, ack=1, size=100)
    c.send(240, "client", seq=1, ack=1, size=100)
    c.send(250, "server", seq=1, ack=101)
    c.send(260, "server", seq=1, ack=101, sack=(1, 101))


def kept_alive(wire: Wire) -> None:
    """A keep-alive repeats one byte; the server reports it, as many do."""
    c = wire.connection()
    c.open(0, 20)
    c.send(30, "client", "PA", seq=1, ack=1, size=100)
    c.send(50, "server", seq=1, ack=101)
    c.send(15_000, "client", seq=100, ack=1, size=1)
    c.send(15_020, "server", seq=1, ack=101, sack=(100, 101))


def seen_twice(wire: Wire) -> None:
    """Every packet is captured at two interfaces, 2 µs apart: nobody received anything twice."""
    c = wire.connection()
    c.open(0, 20)
    for n, sender in enumerate(("client", "server", "client"), start=1):
        for later in (0, 0.002):
            at, seq = 30 * n + later, 1 if n < 3 else 101
            c.send(at, sender, "PA", seq=seq, ack=101 if n > 1 else 1, size=100, ip_id=900 + n)


SCENES = (overtaken, sent_again, sent_again_with_swapped_ids, hole_that_closes, hole_that_is_filled,
          doubled_beyond, doubled_where_the_capture_has_gaps, doubled_where_nobody_looked,
          repeated_without_need, kept_alive, seen_twice)  # fmt: skip


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Scene]:
    path = tmp_path_factory.mktemp("disorder") / "scenes.pcap"
    return shoot(path, {scene.__name__: scene for scene in SCENES})


def test_a_segment_that_was_sent_earlier_and_came_later(scenes: Mapping[str, Scene]) -> None:
    row = reorderings(scenes["overtaken"].packets).iloc[0]
    assert (row["number"], row["src_port"], row["shown"]) == (7, 80, "arrived")
    assert (row["late_ms"], row["overtaken_by"]) == (3.0, 2)


def test_a_hole_that_its_receiver_reported_and_that_closed_by_itself(scenes: Mapping[str, Scene]) -> None:
    table = reorderings(scenes["hole_that_closes"].packets)
    assert len(table) == 1
    row = table.iloc[0]
    assert (row["number"], row["dst_port"], row["shown"], row["late_ms"]) == (7, 80, "reported", 4.0)


def test_bytes_that_came_twice_and_were_sent_once(scenes: Mapping[str, Scene]) -> None:
    table = duplicates(scenes["doubled_beyond"].packets)
    assert len(table) == 1
    row = table.iloc[0]
    assert (row["number"], row["dst_port"], row["seq"], row["bytes"]) == (8, 80, 101, 100)
    assert not row["seen_twice"]


@pytest.mark.parametrize("scene", sorted(scene.__name__ for scene in SCENES))
def test_nothing_else_is_called_reordered_or_doubled(scenes: Mapping[str, Scene], scene: str) -> None:
    packets = scenes[scene].packets
    assert len(reorderings(packets)) == (scene in {"overtaken", "hole_that_closes"})
    assert len(duplicates(packets)) == (scene == "doubled_beyond")


@pytest.mark.parametrize("table", [reorderings, duplicates])
@pytest.mark.parametrize("scene", ["overtaken", "doubled_beyond", "kept_alive"])
def test_the_columns_are_those_declared(scenes: Mapping[str, Scene], table: Table, scene: str) -> None:
    made = table(scenes[scene].packets)
    declared = import_module(table.__module__).COLUMNS
    assert {name: str(dtype) for name, dtype in made.dtypes.items()} == {c.name: c.dtype for c in declared}
