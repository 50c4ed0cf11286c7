"""Where an exchange's seconds went: every time in these captures is the test's own choice."""

from __future__ import annotations

import contextlib
import ssl
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from scapy.layers.inet import TCP
from scapy.packet import Raw
from wire import Scene, Wire, shoot

import k8scap
from k8scap.tables.dialogues import dialogues
from k8scap.tables.exchange_parts import PARTS
from k8scap.tables.exchanges import exchanges

if TYPE_CHECKING:
    from pathlib import Path

SYN_OPTIONS = (("MSS", 1460), ("SAckOK", b""))


def plain(wire: Wire) -> None:
    """Connect 20, idle 80, request 5, path 20 and server 100, response 7; then idle 500 and all again."""
    c = wire.connection()
    c.open(0, 20)
    c.send(100, "client", "A", seq=1, ack=1, size=1400)
    c.send(105, "client", "PA", seq=1401, ack=1, size=100)
    c.send(125, "server", "A", seq=1, ack=1501)
    c.send(225, "server", "A", seq=1, ack=1501, size=1400)
    c.send(232, "server", "PA", seq=1401, ack=1501, size=10)
    c.send(732, "client", "PA", seq=1501, ack=1411, size=50)
    c.send(772, "server", "PA", seq=1411, ack=1551, size=50)


def syn_lost(wire: Wire) -> None:
    """The first SYN is lost: 1000 ms of retry, then 20 to connect."""
    c = wire.connection()
    c.send(0, "client", "S", seq=0)
    c.send(1000, "client", "S", seq=0)
    c.send(1020, "server", "SA", seq=0, ack=1)
    c.send(1020, "client", "A", seq=1, ack=1)
    c.send(1021, "client", "PA", seq=1, ack=1, size=10)
    c.send(1051, "server", "PA", seq=1, ack=11, size=10)


def request_lost(wire: Wire) -> None:
    """200 ms until the request is repeated, 20 path, 5 server."""
    c = wire.connection()
    c.open(0, 20)
    c.send(20, "client", "PA", seq=1, ack=1, size=10)
    c.send(220, "client", "PA", seq=1, ack=1, size=10)
    c.send(245, "server", "PA", seq=1, ack=11, size=10)


def response_lost(wire: Wire) -> None:
    """The response's middle is missing; 300 ms of silence end with its repeat."""
    c = wire.connection(stamped=True)
    c.open(0, 20)
    c.send(20, "client", "PA", seq=1, ack=1, size=10, echo=20)
    c.send(45, "server", "A", seq=1, ack=11, size=1000, echo=20)
    c.send(46, "server", "PA", seq=2001, ack=11, size=1000, echo=20)
    c.send(46, "client", "A", seq=11, ack=1001, echo=45, sack=(2001, 3001))
    c.send(346, "server", "A", seq=1001, ack=11, size=1000, echo=46)
    c.send(346, "client", "A", seq=11, ack=3001, echo=346)


def window_shut(wire: Wire) -> None:
    """The server reads nothing from 40 to 540 while the client has more to send."""
    c = wire.connection()
    c.open(0, 20)
    c.send(20, "client", "A", seq=1, ack=1, size=1000)
    c.send(40, "server", "A", seq=1, ack=1001, window=0)
    c.send(540, "server", "A", seq=1, ack=1001, window=60_000)
    c.send(541, "client", "PA", seq=1001, ack=1, size=1000)
    c.send(571, "server", "PA", seq=1, ack=2001, size=10)


def nagle(wire: Wire) -> None:
    """A header, its ACK 20 + 40 ms later, then the body at once."""
    c = wire.connection()
    c.open(0, 20)
    c.send(20, "client", "PA", seq=1, ack=1, size=100)
    c.send(80, "server", "A", seq=1, ack=101)
    c.send(80.1, "client", "PA", seq=101, ack=1, size=50)
    c.send(110.1, "server", "PA", seq=1, ack=151, size=10)


def slow_writer(wire: Wire) -> None:
    """The body comes late because its writer was late: the ACK was there long before."""
    c = wire.connection()
    c.open(0, 20)
    c.send(20, "client", "PA", seq=1, ack=1, size=100)
    c.send(40, "server", "A", seq=1, ack=101)
    c.send(80, "client", "PA", seq=101, ack=1, size=50)
    c.send(110, "server", "PA", seq=1, ack=151, size=10)


def unanswered(wire: Wire) -> None:
    c = wire.connection()
    c.open(0, 20)
    c.send(20, "client", "PA", seq=1, ack=1, size=100)
    c.send(40, "server", "A", seq=1, ack=101)


SCENES = {
    f.__name__: f
    for f in (
        plain,
        syn_lost,
        request_lost,
        response_lost,
        window_shut,
        nagle,
        slow_writer,
        unanswered,
    )
}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scene]:
    return shoot(tmp_path_factory.mktemp("parts") / "scenes.pcap", SCENES)


EXPECTED = {
    "plain": [
        {"connect": 20, "idle": 80, "request": 5, "path": 20, "server": 100, "response": 7},
        {"idle": 500, "path": 20, "server": 20},
    ],
    "syn_lost": [{"syn_retry": 1000, "connect": 20, "idle": 1, "path": 20, "server": 10}],
    "request_lost": [{"connect": 20, "stall": 200, "path": 20, "server": 5}],
    "response_lost": [{"connect": 20, "path": 20, "server": 5, "response": 1, "stall": 300}],
    "window_shut": [
        {"connect": 20, "request": 21, "zero_window": 500, "path": 20, "server": 10},
    ],
    "nagle": [{"connect": 20, "request": 20, "delayed_ack": 40.1, "path": 20, "server": 10}],
    "slow_writer": [{"connect": 20, "request": 60, "path": 20, "server": 10}],
}


@pytest.mark.parametrize("scene", EXPECTED)
def test_each_millisecond_goes_to_its_cause(scenes: dict[str, Scene], scene: str) -> None:
    table = exchanges(scenes[scene].packets)
    for (_, row), expected in zip(table.iterrows(), EXPECTED[scene], strict=True):
        found = {name.removesuffix("_ms"): round(row[name], 3) for name in PARTS if row[name] > 1e-6}
        assert found == pytest.approx(expected)
        assert row["wall_ms"] == pytest.approx(sum(expected.values()))


def test_what_was_not_answered_has_no_parts(scenes: dict[str, Scene]) -> None:
    table = exchanges(scenes["unanswered"].packets)
    assert len(table) == 1
    assert table[[*PARTS, "wall_ms"]].isna().all(axis=None)
    assert scenes["unanswered"].ms(table["begin"]) == [0.0]


def test_http2_is_told_by_its_preface_and_not_judged(tmp_path: Path) -> None:
    wire = Wire()
    c = wire.connection()
    c.open(0, 20)
    words = {4: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)}
    c.send(20, "client", "PA", seq=1, ack=1, size=33)
    c.send(50, "server", "PA", seq=1, ack=34, size=9)
    cap = capture(tmp_path, wire, words)
    assert cap.dialogues["dialogue"].tolist() == ["HTTP/2"]
    assert cap.exchanges.empty
    assert dialogues(cap.packets)["dialogue"].tolist() == ["in turn"]


def test_a_tls_handshake_is_part_of_the_exchange_that_follows(tmp_path: Path) -> None:
    """A real handshake by OpenSSL, at times of our own: its flights at 30 and 60, the request at 70."""
    hello, flight, finished = handshake(alpn=[])
    wire = Wire()
    c = wire.connection()
    c.open(0, 20)
    c.send(30, "client", "PA", seq=1, ack=1, size=len(hello))  # 4
    c.send(60, "server", "PA", seq=1, ack=1 + len(hello), size=len(flight))  # 5
    at, back = 1 + len(hello), 1 + len(flight)
    c.send(70, "client", "PA", seq=at, ack=back, size=len(finished))  # 6
    c.send(190, "server", "PA", seq=back, ack=at + len(finished), size=30)  # 7
    answer = b"\x17\x03\x03\x00\x19" + bytes(25)
    cap = capture(tmp_path, wire, {4: hello, 5: flight, 6: finished, 7: answer})
    assert cap.dialogues[["dialogue", "tls"]].to_numpy().tolist() == [["in turn", True]]
    (row,) = cap.exchanges.to_dict("records")
    told = {name: row[name] for name in PARTS if row[name] > 1e-6}
    assert told == pytest.approx(
        {"connect_ms": 20, "idle_ms": 20, "tls_ms": 30, "path_ms": 20, "server_ms": 100}
    )


@pytest.mark.parametrize(
    ("alpn", "expected"), [(["h2", "http/1.1"], "HTTP/2 possible"), (["http/1.1"], "in turn")]
)
def test_http2_behind_tls_13_is_possible_where_the_client_offers_it(
    tmp_path: Path, alpn: list[str], expected: str
) -> None:
    hello, flight, _ = handshake(alpn=alpn)
    wire = Wire()
    c = wire.connection()
    c.open(0, 20)
    c.send(30, "client", "PA", seq=1, ack=1, size=len(hello))
    c.send(60, "server", "PA", seq=1, ack=1 + len(hello), size=len(flight))
    cap = capture(tmp_path, wire, {4: hello, 5: flight})
    assert cap.dialogues["dialogue"].tolist() == [expected]


def handshake(*, alpn: list[str]) -> tuple[bytes, bytes, bytes]:
    """The three flights of a TLS 1.3 handshake: ClientHello, the server's, Finished."""
    import trustme

    authority = trustme.CA()
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("lab.test").configure_cert(server_context)
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(client_context)
    if alpn:
        server_context.set_alpn_protocols(alpn)
        client_context.set_alpn_protocols(alpn)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname="lab.test")
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    flights = []
    for side, outgoing in ((client, to_server), (server, to_client), (client, to_server)):
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
        flight = outgoing.read()
        outgoing.write(flight)
        flights.append(flight)
    return flights[0], flights[1], flights[2]


def capture(folder: Path, wire: Wire, words: dict[int, bytes]) -> k8scap.Capture:
    """The wire's frames as a file, those of `words` (by number) with these payloads."""
    from scapy.layers.l2 import Ether
    from wire import write_pcap

    frames = []
    for number, (at, frame) in enumerate(wire.frames, start=1):
        packet = Ether(frame)
        if number in words:
            packet[TCP].remove_payload()
            packet = packet / Raw(words[number])
            del packet["IP"].len, packet["IP"].chksum, packet[TCP].chksum
        frames.append((at, bytes(packet)))
    write_pcap(folder / "wire.pcap", frames)
    return k8scap.load(folder / "wire.pcap")


def test_parts_add_up_on_foreign_captures() -> None:
    """Whatever the file, an answered exchange's parts are not negative, and their sum is its wall time."""
    from pathlib import Path

    here = Path(__file__).parents[1] / "data" / "captures"
    corpus = Path(__file__).parents[3] / "shared" / "corpus"
    files = [*here.glob("*.pcap*"), *sorted(corpus.glob("**/*.pcap*"))[::12]]
    assert files
    judged = 0
    for path in files:
        try:
            table = k8scap.load(path).exchanges
        except k8scap.errors.K8scapError:
            continue
        answered = table[table["response_end"].notna()]
        assert (answered[list(PARTS)] >= 0).all(axis=None), path
        assert answered[list(PARTS)].sum(axis=1).to_numpy() == pytest.approx(
            answered["wall_ms"].to_numpy(), abs=1e-3
        ), path
        wall = (answered["response_end"] - answered["begin"]) / pd.Timedelta(milliseconds=1)
        forward = wall >= 0
        assert answered["wall_ms"][forward].to_numpy() == pytest.approx(wall[forward].to_numpy(), abs=1e-3)
        judged += len(answered)
    assert judged > 0
