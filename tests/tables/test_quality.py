from __future__ import annotations

import pytest
from wire import Scene, Wire, shoot

from k8scap.model import Counters, Manifest, Quality
from k8scap.tables.quality import quality
from k8scap.tables.quality_notes import notes


def mixed(wire: Wire) -> None:
    """A whole connection, one from its middle, one without its server's side, and a lone SYN."""
    whole = wire.connection()
    whole.open()
    whole.send(30, "client", "A", seq=1, ack=1, size=9000)
    middle = wire.connection()
    middle.send(40, "client", "PA", seq=1, ack=1, size=10)
    middle.send(41, "server", "A", seq=1, ack=11)
    one_sided = wire.connection()
    one_sided.send(50, "client", "S", seq=0)
    one_sided.send(1050, "client", "A", seq=1, ack=1)
    wire.connection().send(1060, "client", "S", seq=0)


def twice(wire: Wire) -> None:
    c = wire.connection()
    c.open()
    wire.frames[-3:] = [(at + more, frame) for at, frame in wire.frames[-3:] for more in (0, 2000)]


def fine(wire: Wire) -> None:
    wire.connection().open()


SCENES = {"mixed": mixed, "twice": twice, "fine": fine}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scene]:
    return shoot(tmp_path_factory.mktemp("wire") / "scenes.pcap", SCENES)


def manifest(**counters: int) -> Manifest:
    return Manifest(name="web", point="web", counters=Counters(**counters))


def test_what_is_missing_is_counted(scenes: dict[str, Scene]) -> None:
    found = quality(scenes["mixed"].packets, manifests=(), cut_off=False)
    assert (found.frames, found.tcp_conversations) == (9, 4)
    assert (found.missing_handshakes, found.one_sided) == (1, 1)
    assert (found.complete, found.dropped, found.truncated) == (None, None, 0)
    assert any("1 of 4 TCP connections began before the capture" in note for note in found.notes)
    assert any("1 of 4 TCP connections shows one direction only" in note for note in found.notes)
    assert any("up to 9,054 bytes" in note and "offload" in note for note in found.notes)


def test_packets_seen_twice_are_told(scenes: dict[str, Scene]) -> None:
    notes = quality(scenes["twice"].packets, manifests=(), cut_off=False).notes
    assert any(
        note.startswith("50 % of the TCP frames show a packet that was captured already") for note in notes
    )


def test_a_good_capture_has_nothing_to_note(scenes: dict[str, Scene]) -> None:
    whole = manifest(captured=3, received=3, dropped=0, on_disk=3)
    found = quality(scenes["fine"].packets, manifests=(whole,), cut_off=False)
    assert (found.complete, found.dropped, found.notes) == (True, 0, ())


@pytest.mark.parametrize(
    ("counters", "cut_off", "dropped", "said"),
    [
        ({"captured": 3, "dropped": 40, "on_disk": 3}, False, 40, "tcpdump dropped 40 packets"),
        ({"captured": 3, "dropped": 1, "on_disk": 3}, False, 1, "tcpdump dropped 1 packet:"),
        ({"captured": 3, "dropped": 0, "on_disk": 3}, True, 0, "breaks off"),
        ({"captured": 5, "dropped": 0, "on_disk": 3}, False, 0, ""),
    ],
)
def test_it_never_claims_to_be_complete_when_it_is_not(
    scenes: dict[str, Scene], counters: dict[str, int], *, cut_off: bool, dropped: int, said: str
) -> None:
    found = quality(scenes["fine"].packets, manifests=(manifest(**counters),), cut_off=cut_off)
    assert found.complete is False
    assert found.dropped == dropped
    assert any(said in note for note in found.notes) or not said


def test_drops_of_several_points_add_up(scenes: dict[str, Scene]) -> None:
    both = (manifest(captured=2, dropped=3, on_disk=2), manifest(captured=2, dropped=4, on_disk=2))
    assert quality(scenes["fine"].packets, manifests=both, cut_off=False).dropped == 7


def test_frames_cut_by_the_snapshot_length_are_counted(scenes: dict[str, Scene]) -> None:
    packets = scenes["fine"].packets.copy()
    packets["captured_length"] = packets["captured_length"].where(packets.index != 2, 40)
    found = quality(packets, manifests=(), cut_off=False)
    assert found.truncated == 1
    assert any("33 % of the frames were cut short" in note for note in found.notes)


def test_a_long_frame_whose_tcp_header_is_broken_is_told_too() -> None:
    """A stranger's capture: one long frame with TCP's protocol number, and no segment in it."""
    (note,) = notes(Quality(frames=1, tcp_frames=0, super_packets=1, largest_frame=60_000))
    assert note.startswith("100 % of the TCP frames are longer than Ethernet's, up to 60,000 bytes")
