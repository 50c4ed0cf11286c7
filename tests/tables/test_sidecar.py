"""Connections that a sidecar splits are joined again, on captures whose every time is the test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from wire import Scene, Wire, shoot

from k8scap.tables.quality import quality
from k8scap.tables.sidecar import COLUMNS, hops

if TYPE_CHECKING:
    import pandas as pd

POD, SERVICE, BACKEND, PEER = "10.0.0.5", "10.96.0.9", "10.1.2.3", "10.2.0.9"


def redirected(wire: Wire, *, at: float = 0, port: int = 41_000, size: int = 100) -> None:
    """The kernel shows requests with the proxy's address, and answers with that of the Service that is meant.

    The proxy connects for 2 ms, holds the request for 30 ms in all, and the answer for 10 ms.
    """
    there = wire.connection(client=POD, client_port=port, server="127.0.0.1", server_port=15_001)
    back = wire.connection(client=POD, client_port=port, server=SERVICE, server_port=80)
    there.send(at, "client", "S", seq=0)
    back.send(at + 0.01, "server", "SA", seq=0, ack=1)
    there.send(at + 0.02, "client", "A", seq=1, ack=1)
    there.send(at + 1, "client", "PA", seq=1, ack=1, size=size)
    back.send(at + 1.01, "server", "A", seq=1, ack=1 + size)
    outer = wire.connection(client=POD, client_port=port + 7, server=BACKEND, server_port=8080)
    outer.open(at + 1.1, rtt=2)
    outer.send(at + 31, "client", "PA", seq=1, ack=1, size=size)
    outer.send(at + 51, "server", "PA", seq=1, ack=1 + size, size=500)
    outer.send(at + 51.01, "client", "A", seq=1 + size, ack=501)
    back.send(at + 61, "server", "PA", seq=1, ack=1 + size, size=500)
    there.send(at + 61.01, "client", "A", seq=1 + size, ack=501)


def incoming(wire: Wire) -> None:
    """A peer asks the pod; the proxy asks the application, from Envoy's own address, and holds the answer."""
    outer = wire.connection(client=PEER, client_port=33_000, server=POD, server_port=8080)
    outer.send(0, "client", "S", seq=0)
    outer.send(0.02, "server", "SA", seq=0, ack=1)
    outer.send(5, "client", "A", seq=1, ack=1)
    outer.send(5.1, "client", "PA", seq=1, ack=1, size=200)
    inner = wire.connection(client="127.0.0.6", client_port=4100, server=POD, server_port=8080)
    inner.open(5.3, rtt=0.02)
    inner.send(5.4, "client", "PA", seq=1, ack=1, size=200)
    inner.send(25.4, "server", "PA", seq=1, ack=201, size=900)
    inner.send(25.41, "client", "A", seq=201, ack=901)
    outer.send(55.1, "server", "PA", seq=1, ack=201, size=900)
    outer.send(60.2, "client", "A", seq=201, ack=901)


def alone(wire: Wire) -> None:
    """A database on localhost, and an unlike connection outside."""
    inner = wire.connection(client="127.0.0.1", server="127.0.0.1", server_port=6379)
    inner.open(0, rtt=0.02)
    inner.send(1, "client", "PA", seq=1, ack=1, size=50)
    inner.send(2, "server", "PA", seq=1, ack=51, size=60_000)
    outer = wire.connection(client=POD, server=BACKEND)
    outer.open(0.5)
    outer.send(30, "client", "PA", seq=1, ack=1, size=400)
    outer.send(60, "server", "PA", seq=1, ack=401, size=100)


def several(wire: Wire) -> None:
    """Three at once, of which two say as much."""
    first = len(wire.frames)
    redirected(wire, port=42_000)
    redirected(wire, at=0.3, port=43_000)
    redirected(wire, at=0.6, port=44_000, size=333)
    wire.frames[first:] = sorted(wire.frames[first:], key=lambda frame: frame[0])


def outside(wire: Wire) -> None:
    wire.connection().open()


SCENES = {
    "redirected": redirected,
    "incoming": incoming,
    "alone": alone,
    "several": several,
    "outside": outside,
}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scene]:
    return shoot(tmp_path_factory.mktemp("wire") / "scenes.pcap", SCENES)


def table(scenes: dict[str, Scene], name: str) -> pd.DataFrame:
    made = hops(scenes[name].packets)
    assert {name: str(dtype) for name, dtype in made.dtypes.items()} == {c.name: c.dtype for c in COLUMNS}
    return made


def test_a_redirected_connection_is_joined_and_its_destination_is_the_one_meant(
    scenes: dict[str, Scene],
) -> None:
    (row,) = table(scenes, "redirected").itertuples()
    assert (row.role, row.src, row.src_port) == ("egress", POD, 41_000)
    assert (row.dst, row.dst_port, row.inner_port) == (SERVICE, 80, 15_001)
    assert (row.request_bytes, row.response_bytes, row.confidence) == (100, 500, 0.95)
    streams = {row.inner_stream, row.answer_stream, row.outer_stream}
    assert len(streams) == 3


def test_the_proxys_time_is_what_neither_the_server_nor_connecting_took(scenes: dict[str, Scene]) -> None:
    (row,) = table(scenes, "redirected").itertuples()
    assert row.exchanges == 1
    assert row.whole_ms == pytest.approx(60)
    assert row.beyond_ms == pytest.approx(20 + 2)
    assert row.proxy_ms == row.proxy_median_ms == pytest.approx(38)


def test_a_connection_that_comes_in_is_joined_to_the_applications(scenes: dict[str, Scene]) -> None:
    (row,) = table(scenes, "incoming").itertuples()
    assert (row.role, row.src, row.dst, row.dst_port) == ("ingress", PEER, POD, 8080)
    assert row.whole_ms == pytest.approx(50)
    assert row.beyond_ms == pytest.approx(20.02)
    assert row.proxy_ms == pytest.approx(29.98)


def test_what_has_no_partner_is_left_alone(scenes: dict[str, Scene]) -> None:
    (row,) = table(scenes, "alone").itertuples()
    assert (row.role, row.confidence, row.exchanges) == ("unknown", 0, 0)
    assert (row.dst, row.dst_port) == ("127.0.0.1", 6379)
    assert table(scenes, "alone")["outer_stream"].isna().all()


def test_of_several_at_once_each_gets_its_own(scenes: dict[str, Scene]) -> None:
    made = table(scenes, "several")
    packets = scenes["several"].packets
    outer_ports = packets[packets["dst_port"] == 8080].groupby("stream")["src_port"].first()
    assert [outer_ports[stream] - 7 for stream in made["outer_stream"]] == made["src_port"].tolist()
    assert made["confidence"].tolist() == [0.7, 0.7, 0.95]


def test_without_lo_there_is_nothing(scenes: dict[str, Scene]) -> None:
    assert table(scenes, "outside").empty


def test_a_redirection_is_no_missing_direction(scenes: dict[str, Scene]) -> None:
    assert quality(scenes["redirected"].packets, manifests=(), cut_off=False).one_sided == 0
