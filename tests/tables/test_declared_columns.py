"""Every table: exactly its declared columns and dtypes, full or empty, and its input left alone."""

from __future__ import annotations

from importlib import import_module

import pandas as pd
import pytest
from wire import Scene, Wire, shoot

from k8scap.errors import SchemaError

OF_PACKETS = ("conversations", "exchanges", "retransmissions", "round_trips", "throughput")
DNS = ["dns.id", "dns.flags.response", "dns.qry.name", "dns.qry.type", "dns.flags.rcode"]


def scene(wire: Wire) -> None:
    c = wire.connection()
    c.open()
    c.send(21, "client", "PA", seq=1, ack=1, size=100)
    c.send(221, "client", "PA", seq=1, ack=1, size=100)
    c.send(241, "server", "PA", seq=1, ack=101, size=100)


@pytest.fixture(scope="module")
def packets(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    made: dict[str, Scene] = shoot(tmp_path_factory.mktemp("wire") / "scene.pcap", {"scene": scene})
    return made["scene"].packets


def inputs(packets: pd.DataFrame, table: str) -> pd.DataFrame:
    if table == "lookups":
        texts = dict.fromkeys(DNS, "0x0001") | {"dns.flags.response": "0", "dns.qry.name": "redis"}
        return packets.assign(**{"protocol": "UDP", **texts})
    if table == "protocols":
        return packets.assign(**{"frame.protocols": "eth:ethertype:ip:tcp"})
    return packets


@pytest.mark.parametrize("table", [*OF_PACKETS, "lookups", "protocols"])
@pytest.mark.parametrize("frames", [5, 0])
def test_the_columns_are_those_declared(packets: pd.DataFrame, table: str, frames: int) -> None:
    module = import_module(f"k8scap.tables.{table}")
    made = getattr(module, table)(inputs(packets, table).head(frames))
    assert {name: str(dtype) for name, dtype in made.dtypes.items()} == {
        column.name: column.dtype for column in module.COLUMNS
    }
    assert isinstance(made.index, pd.RangeIndex)
    assert bool(len(made)) == bool(frames)


@pytest.mark.parametrize("table", [*OF_PACKETS, "lookups", "protocols"])
def test_the_input_is_left_alone(packets: pd.DataFrame, table: str) -> None:
    given = inputs(packets, table)
    before = given.copy(deep=True)
    getattr(import_module(f"k8scap.tables.{table}"), table)(given)
    pd.testing.assert_frame_equal(given, before)


@pytest.mark.parametrize("table", OF_PACKETS)
def test_number_may_be_a_column_and_the_index_anything(packets: pd.DataFrame, table: str) -> None:
    function = getattr(import_module(f"k8scap.tables.{table}"), table)
    odd = packets.reset_index()
    odd.index = pd.Index(list("uvwxyz"))
    pd.testing.assert_frame_equal(function(odd), function(packets))


@pytest.mark.parametrize("table", [*OF_PACKETS, "lookups", "protocols"])
def test_a_missing_column_is_named(packets: pd.DataFrame, table: str) -> None:
    function = getattr(import_module(f"k8scap.tables.{table}"), table)
    lacking = "length" if table == "protocols" else "src_port"
    with pytest.raises(SchemaError, match=lacking) as caught:
        function(inputs(packets, table).drop(columns=lacking))
    assert caught.value.missing == (lacking,)


@pytest.mark.parametrize("table", [t for t in OF_PACKETS if t != "throughput"])
def test_src_and_dst_share_one_dtype_with_the_packets(packets: pd.DataFrame, table: str) -> None:
    made = getattr(import_module(f"k8scap.tables.{table}"), table)(packets)
    assert made["src"].dtype == made["dst"].dtype == packets["src"].dtype
