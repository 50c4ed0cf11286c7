"""Where a capture stands, what its clock did and who sent wrong checksums, on captures made by hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from scapy.layers.inet import IP, TCP
from wire import SERVER, Scene, Wire, shoot

from k8scap.tables.quality import quality
from k8scap.tables.sightings import duplicates

if TYPE_CHECKING:
    from k8scap.model import Quality


def handshake(wire: Wire, *, toward_server: float, toward_client: float) -> None:
    for n in range(3):
        c = wire.connection()
        c.send(100 * n, "client", "S", seq=0)
        c.send(100 * n + toward_server, "server", "SA", seq=0, ack=1)
        c.send(100 * n + toward_server + toward_client, "client", "A", seq=1, ack=1)


def stamped(wire: Wire, *, jumps: dict[int, float]) -> None:
    """A segment every 200 ms by the client's own clock; the capture's clock jumps before some of them."""
    c = wire.connection()
    shift = 0.0
    for n in range(20):
        shift += jumps.get(n, 0.0)
        at = 200 * n
        options = (("Timestamp", (at + 1000, 0)),)
        c.send(at + shift, "client", "A", seq=1 + 10 * n, ack=1, size=10, options=options)


def quiet(wire: Wire) -> None:
    """Nobody says anything for a minute: the sender's own clock says so, too."""
    c = wire.connection()
    for at in (0, 200, 60_200, 60_400, 60_600, 60_800):
        c.send(at, "client", "A", seq=1 + at, ack=1, size=10, options=(("Timestamp", (at + 1000, 0)),))


def left_to_the_card(wire: Wire, *, sender: str) -> None:
    """All that one side sends has an unfinished checksum."""
    c = wire.connection()
    c.open(0, rtt=20)
    for n in range(5):
        c.send(30 + 50 * n, "client", "PA", seq=1 + 10 * n, ack=1 + 10 * n, size=10)
        c.send(60 + 50 * n, "server", "PA", seq=1 + 10 * n, ack=11 + 10 * n, size=10)
    for place, (at, frame) in enumerate(wire.frames[-13:], len(wire.frames) - 13):
        packet = IP(frame[14:])
        if (packet.src == SERVER) == (sender == "server"):
            packet[TCP].chksum = 0x1234
            wire.frames[place] = (at, frame[:14] + bytes(packet))


def twice(wire: Wire) -> None:
    handshake(wire, toward_server=20, toward_client=0.02)
    wire.frames[-9:] = [(at + more, frame) for at, frame in wire.frames[-9:] for more in (0, 2000)]


SCENES = {
    "client": lambda wire: handshake(wire, toward_server=20, toward_client=0.02),
    "server": lambda wire: handshake(wire, toward_server=0.05, toward_client=20),
    "middle": lambda wire: handshake(wire, toward_server=10, toward_client=14),
    "one machine": lambda wire: handshake(wire, toward_server=0.03, toward_client=0.02),
    "steady": lambda wire: stamped(wire, jumps={}),
    "set on": lambda wire: stamped(wire, jumps={7: 3_600_000}),
    "set back": lambda wire: stamped(wire, jumps={7: -2500}),
    "set on and back": lambda wire: stamped(wire, jumps={5: 5000, 15: -5000}),
    "quiet": quiet,
    "client's card": lambda wire: left_to_the_card(wire, sender="client"),
    "server's card": lambda wire: left_to_the_card(wire, sender="server"),
    "twice": twice,
}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scene]:
    return shoot(tmp_path_factory.mktemp("wire") / "scenes.pcap", SCENES)


def measured(scenes: dict[str, Scene], name: str) -> Quality:
    return quality(scenes[name].packets, manifests=(), cut_off=False)


@pytest.mark.parametrize("side", ["client", "server", "middle"])
def test_the_handshakes_halves_tell_the_side(scenes: dict[str, Scene], side: str) -> None:
    assert measured(scenes, side).side == side


def test_where_both_are_near_the_side_is_unknown(scenes: dict[str, Scene]) -> None:
    assert measured(scenes, "one machine").side == ""


@pytest.mark.parametrize(
    ("client", "server", "side"), [(64, 57, "client"), (57, 128, "server"), (57, 60, "middle")]
)
def test_hop_counts_tell_where_the_handshake_does_not(
    scenes: dict[str, Scene], client: int, server: int, side: str
) -> None:
    packets = scenes["one machine"].packets
    ttl = packets["src"].astype("object").map({SERVER: server}).fillna(client)
    changed = packets.assign(ttl=pd.array(ttl, dtype="Int16"))
    assert quality(changed, manifests=(), cut_off=False).side == side


@pytest.mark.parametrize(
    ("scene", "jumps"), [("steady", 0), ("quiet", 0), ("set on", 1), ("set back", 1), ("set on and back", 2)]
)
def test_jumps_of_the_clock_are_told_from_quiet_times(
    scenes: dict[str, Scene], scene: str, jumps: int
) -> None:
    found = measured(scenes, scene)
    assert found.clock_jumps == jumps
    assert any("clock jumped" in note for note in found.notes) == bool(jumps)


def test_wrong_checksums_are_counted_by_direction(scenes: dict[str, Scene]) -> None:
    ours, theirs = measured(scenes, "client's card"), measured(scenes, "server's card")
    assert (ours.side, ours.bad_checksums_sent, ours.bad_checksums_received) == ("client", 7, 0)
    assert (theirs.side, theirs.bad_checksums_sent, theirs.bad_checksums_received) == ("client", 0, 6)
    assert any("card was to finish" in note for note in ours.notes)
    assert any("6 TCP frames came in with a wrong checksum" in note for note in theirs.notes)


def test_the_records_own_direction_is_believed_first(scenes: dict[str, Scene]) -> None:
    packets = scenes["server's card"].packets
    out = pd.Categorical(["out"] * len(packets))
    found = quality(packets.assign(direction=out), manifests=(), cut_off=False)
    assert (found.bad_checksums_sent, found.bad_checksums_received) == (6, 0)


def test_second_sightings_are_counted_and_pointed_at(scenes: dict[str, Scene]) -> None:
    packets = scenes["twice"].packets
    assert (measured(scenes, "twice").duplicates, measured(scenes, "twice").tcp_frames) == (9, 18)
    assert duplicates(packets).tolist() == [False, True] * 9


def test_it_is_plain_json(scenes: dict[str, Scene]) -> None:
    told = json.loads(json.dumps(measured(scenes, "client").to_dict()))
    assert (told["side"], told["frames"], told["notes"]) == ("client", 9, [])
