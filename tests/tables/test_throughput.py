from __future__ import annotations

import pandas as pd
import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.packet import Raw
from wire import CLIENT, SERVER, Scene, Wire, shoot

from k8scap.errors import UsageError
from k8scap.tables.throughput import throughput


def upload(wire: Wire) -> None:
    c = wire.connection()
    c.open(rtt=5)
    for at in (10, 10.9, 11, 14.999):
        c.send(at, "client", "A", seq=1, ack=1, size=946)  # 1,000 bytes on the wire
    c.send(15, "server", "A", seq=1, ack=947)


def others(wire: Wire) -> None:
    wire.put(0, IP(src=CLIENT, dst=SERVER) / UDP(sport=9, dport=10) / Raw(b"x" * 58))  # 100 bytes
    wire.put(1, IP(src=CLIENT, dst=SERVER) / ICMP() / Raw(b"x" * 58))


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scene]:
    return shoot(tmp_path_factory.mktemp("wire") / "scenes.pcap", {"upload": upload, "others": others})


def test_a_bin_holds_its_frames_and_empty_ones_are_kept(scenes: dict[str, Scene]) -> None:
    scene = scenes["upload"]
    table = throughput(scene.packets, interval="1ms")
    sent = table[table["src"] == CLIENT]
    assert scene.ms(sent["time"]) == [float(n) for n in range(15)]
    assert sent["packets"].tolist() == [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 2, 1, 0, 0, 1]
    assert sent["bytes"].tolist()[10:] == [2000, 1000, 0, 0, 1000]
    assert sent["payload"].tolist()[10:] == [1892, 946, 0, 0, 946]
    assert sent["mbps"].tolist()[10:] == [16.0, 8.0, 0.0, 0.0, 8.0]


def test_each_direction_has_its_own_first_and_last(scenes: dict[str, Scene]) -> None:
    scene = scenes["upload"]
    table = throughput(scene.packets, interval="5ms")
    back = table[table["src"] == SERVER]
    assert scene.ms(back["time"]) == [5.0, 10.0, 15.0]
    assert back["packets"].tolist() == [1, 0, 1]


def test_nothing_is_lost_on_the_way(scenes: dict[str, Scene]) -> None:
    for scene in scenes.values():
        table = throughput(scene.packets)
        assert table["bytes"].sum() == scene.packets["length"].sum()
        assert table["packets"].sum() == len(scene.packets)


def test_what_has_no_stream_has_bins_too(scenes: dict[str, Scene]) -> None:
    table = throughput(scenes["others"].packets).set_index("protocol")
    assert table["bytes"].to_dict() == {"UDP": 100, "ICMP": 100}
    assert pd.isna(table.loc["ICMP", "stream"])
    assert table.loc["UDP", "src_port"] == 9


@pytest.mark.parametrize(
    ("interval", "said"),
    [("0.5ms", "shorter than 1 ms"), ("-1s", "shorter than 1 ms"), ("often", "no interval")],
)
def test_an_interval_must_be_one(scenes: dict[str, Scene], interval: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        throughput(scenes["upload"].packets, interval=interval)


def test_too_many_bins_are_refused_with_advice(scenes: dict[str, Scene]) -> None:
    packets = scenes["upload"].packets.copy()
    packets["time"] = packets["time"].where(packets.index != 7, packets["time"] + pd.Timedelta("2h"))
    with pytest.raises(UsageError, match="more than 4,000,000") as caught:
        throughput(packets, interval="1ms")
    assert "10ms" in caught.value.next_step
    assert len(throughput(packets, interval="10ms")) < 4_000_000
