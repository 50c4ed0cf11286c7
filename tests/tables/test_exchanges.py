from __future__ import annotations

import pandas as pd
import pytest
from wire import Scene, Wire, shoot

from k8scap.tables.exchanges import exchanges


def keep_alive(wire: Wire) -> None:
    """Two requests on one connection, the first in two segments, and a third that is never answered."""
    c = wire.connection()
    c.open(rtt=10)
    c.send(20, "client", "A", seq=1, ack=1, size=1000)  # 4
    c.send(21, "client", "PA", seq=1001, ack=1, size=500)  # 5
    c.send(31, "server", "A", seq=1, ack=1501)
    c.send(331, "server", "A", seq=1, ack=1501, size=1400)  # 7
    c.send(335, "server", "PA", seq=1401, ack=1501, size=600)  # 8
    c.send(336, "client", "A", seq=1501, ack=2001)
    c.send(1000, "client", "PA", seq=1501, ack=2001, size=80)  # 10
    c.send(1015, "server", "PA", seq=2001, ack=1581, size=90)  # 11
    c.send(2000, "client", "PA", seq=1581, ack=2091, size=70)  # 12
    c.send(2010, "server", "A", seq=2091, ack=1651)


def greeting(wire: Wire) -> None:
    """The server speaks first, as SMTP's and SSH's do."""
    c = wire.connection()
    c.open(rtt=10)
    c.send(40, "server", "PA", seq=1, ack=1, size=30)
    c.send(50, "client", "PA", seq=1, ack=31, size=20)  # 5
    c.send(75, "server", "PA", seq=31, ack=21, size=40)  # 6


def request_lost(wire: Wire) -> None:
    """The request is lost and sent again: the server could think only from then on."""
    c = wire.connection()
    c.open(rtt=10)
    c.send(20, "client", "PA", seq=1, ack=1, size=100)  # 4
    c.send(220, "client", "PA", seq=1, ack=1, size=100)  # 5
    c.send(245, "server", "PA", seq=1, ack=101, size=300)  # 6


def request_repeated_in_vain(wire: Wire) -> None:
    """The server acknowledged, and thinks; a repeat after that does not shorten its thinking."""
    c = wire.connection()
    c.open(rtt=10)
    c.send(20, "client", "PA", seq=1, ack=1, size=100)  # 4
    c.send(30, "server", "A", seq=1, ack=101)
    c.send(230, "client", "PA", seq=1, ack=1, size=100)
    c.send(520, "server", "PA", seq=1, ack=101, size=300)  # 7


def response_repeated(wire: Wire) -> None:
    c = wire.connection()
    c.open(rtt=10)
    c.send(20, "client", "PA", seq=1, ack=1, size=100)  # 4
    c.send(40, "server", "A", seq=1, ack=101, size=1000)  # 5
    c.send(41, "server", "PA", seq=1001, ack=101, size=1000)  # 6
    c.send(250, "server", "A", seq=1, ack=101, size=1000)  # 7, again
    c.send(251, "client", "A", seq=101, ack=2001)


def both_at_once(wire: Wire) -> None:
    """A stream each way, neither waiting for the other."""
    c = wire.connection()
    c.open(rtt=10)
    for n in range(12):
        c.send(20 + n, "client", "PA", seq=1 + 100 * n, ack=1 + 100 * max(n - 5, 0), size=100)
        c.send(20.5 + n, "server", "PA", seq=1 + 100 * n, ack=1 + 100 * max(n - 5, 0), size=100)


def silent(wire: Wire) -> None:
    c = wire.connection()
    c.open()
    c.send(500, "client", "FA", seq=1, ack=1)


SCENES = {
    name: scene
    for name, scene in globals().items()
    if callable(scene) and getattr(scene, "__annotations__", {}).get("wire") == "Wire"
}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scene]:
    return shoot(tmp_path_factory.mktemp("wire") / "scenes.pcap", SCENES)


def told(scene: Scene) -> list[tuple[object, ...]]:
    """(request frame, its bytes, response frame, its bytes, thinking, transfer, total in ms)."""
    columns = [
        "request_frame",
        "request_bytes",
        "response_frame",
        "response_bytes",
        "think_ms",
        "transfer_ms",
        "total_ms",
    ]
    table = exchanges(scene.packets)[columns].astype(object)
    return [tuple(row) for row in table.where(table.notna(), None).to_numpy().tolist()]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "keep_alive",
            [
                (5, 1500, 7, 2000, 310.0, 4.0, 315.0),
                (10, 80, 11, 90, 15.0, 0.0, 15.0),
                (12, 70, None, 0, None, None, None),
            ],
        ),
        ("greeting", [(5, 20, 6, 40, 25.0, 0.0, 25.0)]),
        ("request_lost", [(5, 100, 6, 300, 25.0, 0.0, 225.0)]),
        ("request_repeated_in_vain", [(4, 100, 7, 300, 500.0, 0.0, 500.0)]),
        ("response_repeated", [(4, 100, 5, 2000, 20.0, 1.0, 21.0)]),
        ("both_at_once", []),
        ("silent", []),
    ],
)
def test_an_exchange_is_a_request_and_its_response(
    scenes: dict[str, Scene], name: str, expected: list[tuple[object, ...]]
) -> None:
    assert told(scenes[name]) == expected


def test_times_stand_beside_the_spans(scenes: dict[str, Scene]) -> None:
    scene = scenes["keep_alive"]
    first = exchanges(scene.packets).iloc[0]
    names = ["request_start", "request_end", "response_start", "response_end"]
    assert scene.ms(first[names]) == [20.0, 21.0, 331.0, 335.0]
    assert exchanges(scene.packets)["response_start"].isna().tolist() == [False, False, True]


def test_the_client_is_src(scenes: dict[str, Scene]) -> None:
    table = exchanges(scenes["greeting"].packets)
    assert table[["src", "dst", "dst_port"]].to_numpy().tolist() == [["198.18.0.1", "198.18.0.2", 80]]


def test_exchanges_of_several_points_stay_apart(scenes: dict[str, Scene]) -> None:
    packets = scenes["greeting"].packets
    both = pd.concat([packets.assign(point="b"), packets.assign(point="a")])
    assert exchanges(both)["point"].tolist() == ["a", "b"]
