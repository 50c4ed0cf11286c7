"""A capture made by hand, whose every mark in a plot is known beforehand."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "tables"))
mpl.use("Agg")

import matplotlib.pyplot as plt
from wire import Wire, write_pcap

import k8scap

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8scap import Capture


def upload(wire: Wire) -> None:
    """4,000 bytes up: the second segment is lost and asked for again, the last waits for a timer."""
    c = wire.connection(server_port=5001)
    c.open(rtt=10)  # 1 to 3
    for n in range(3):
        c.send(20 + n, "client", "A", seq=1 + 1000 * n, ack=1, size=1000)  # 4, 5 (lost), 6
    c.send(30, "server", "A", seq=1, ack=1001)  # 7
    c.send(32, "server", "A", seq=1, ack=1001, sack=(2001, 3001))  # 8
    c.send(33, "client", "A", seq=1001, ack=1, size=1000)  # 9, again
    c.send(43, "server", "A", seq=1, ack=3001, window=0)  # 10, closed
    c.send(143, "server", "A", seq=1, ack=3001)  # 11
    c.send(144, "client", "PA", seq=3001, ack=1, size=1000)  # 12, lost
    c.send(394, "client", "PA", seq=3001, ack=1, size=1000)  # 13, again
    c.send(404, "server", "A", seq=1, ack=4001)  # 14


def request(wire: Wire) -> None:
    c = wire.connection()
    c.open(500, rtt=10)  # 15 to 17
    c.send(511, "client", "PA", seq=1, ack=1, size=200)  # 18
    c.send(551, "server", "PA", seq=1, ack=201, size=300)  # 19
    c.send(552, "client", "A", seq=201, ack=301)  # 20


@pytest.fixture(scope="session")
def cap(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    wire = Wire()
    upload(wire)
    request(wire)
    path = tmp_path_factory.mktemp("plots") / "drawn.pcap"
    write_pcap(path, wire.frames)
    return k8scap.load(path)


@pytest.fixture(autouse=True)
def _figures_closed() -> Iterator[None]:
    yield
    plt.close("all")
