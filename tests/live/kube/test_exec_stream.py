"""The exec protocol byte by byte (RFC 6455; k8s.io/apimachinery's remotecommand), and what is no such."""

import json
import os
import random
import socket
import struct
import threading
import time

import pytest

from k8scap.errors import ConnectionLostError
from k8scap.live.kube.exec_stream import STDERR, STDOUT, ExecProcess, ExecStream, Status

OK = json.dumps({"metadata": {}, "status": "Success"}).encode()


def frame(payload, *, opcode=2, final=True, mask=False, length=None):
    size = len(payload) if length is None else length
    head = bytes([(0x80 if final else 0) | opcode])
    bit = 0x80 if mask else 0
    if size < 126:
        head += bytes([bit | size])
    elif size < 65536:
        head += bytes([bit | 126]) + struct.pack("!H", size)
    else:
        head += bytes([bit | 127]) + struct.pack("!Q", size)
    return head + payload


class Peer:
    """What the reader asks of an open websocket: the socket below, and control frames on their way out."""

    def __init__(self, sock):
        self.sock = sock
        self.sent = []

    def settimeout(self, seconds):
        self.sock.settimeout(seconds)

    def ping(self):
        self.sent.append("ping")

    def pong(self, data):
        self.sent.append(("pong", data))

    def shutdown(self):
        self.sock.close()


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    peer = Peer(ours)
    yield peer, theirs
    ours.close()
    theirs.close()


def pieces(stream):
    found = []
    while piece := stream.next(time.monotonic() + 5):
        found.append(piece)
    return found


def test_channels_and_the_status_at_the_end(ends):
    peer, theirs = ends
    theirs.sendall(
        frame(b"\x01") + frame(b"\x02") + frame(b"\x01out") + frame(b"\x02err") + frame(b"\x03" + OK)
    )
    stream = ExecStream(peer, what="x")

    assert pieces(stream) == [(STDOUT, b"out"), (STDERR, b"err")]
    assert stream.status == Status(0)


@pytest.mark.parametrize("size", [0, 1, 124, 125, 126, 127, 65534, 65535, 65536, 300_000, 2_000_000])
def test_frames_of_every_length(ends, size):
    peer, theirs = ends
    data = os.urandom(size)
    sent = frame(b"\x01" + data) + frame(b"\x03" + OK)
    threading.Thread(target=theirs.sendall, args=(sent,), daemon=True).start()

    assert b"".join(piece for _, piece in pieces(ExecStream(peer, what="x"))) == data


@pytest.mark.parametrize("step", [1, 2, 3, 7])
def test_bytes_that_trickle(ends, step):
    peer, theirs = ends
    sent = frame(b"\x01abc") + frame(b"beat", opcode=9) + frame(b"\x01" + b"d" * 200) + frame(b"\x03" + OK)

    def trickle():
        for at in range(0, len(sent), step):
            theirs.sendall(sent[at : at + step])
            time.sleep(0.0005)

    threading.Thread(target=trickle, daemon=True).start()
    assert pieces(ExecStream(peer, what="x")) == [(STDOUT, b"abc"), (STDOUT, b"d" * 200)]
    assert peer.sent == [("pong", b"beat")]


def test_a_message_that_a_proxy_cut_into_fragments(ends):
    peer, theirs = ends
    parts = [
        frame(b"\x01ab", final=False), frame(b"x", opcode=9), frame(b"cd", opcode=0, final=False),
        frame(b"ef", opcode=0), frame(b"\x03" + OK),
    ]  # fmt: skip
    theirs.sendall(b"".join(parts))

    assert pieces(ExecStream(peer, what="x")) == [(STDOUT, b"abcdef")]


@pytest.mark.parametrize(
    "sent",
    [
        b"", b"\x82", frame(b"\x01abc")[:-1], frame(b"\x01abc", length=1 << 40), frame(b"\x01a", mask=True),
        bytes([0xF2, 1, 1]), frame(b"x" * 126, opcode=9), frame(b"", opcode=8),
        b"HTTP/1.1 502 Bad Gateway\r\n\r\n",
    ],
)  # fmt: skip
def test_what_is_no_end_of_a_command_is_a_lost_connection(ends, sent):
    peer, theirs = ends
    theirs.sendall(sent)
    theirs.close()

    with pytest.raises(ConnectionLostError, match="broke off"):
        pieces(ExecStream(peer, what="x"))


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (OK, 0),
        (b'{"status":"Failure","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}', 3),
        (b'{"status":"Failure","message":"no such container"}', None),
        (b'{"status":"Failure","details":{"causes":[{"reason":"ExitCode","message":"many"}]}}', None),
        (b"", None), (b"\xff\xfe", None), (b"[]", None), (b"null", None), (b'{"details":7}', None),
        (b"[" * 100_000, None),
    ],
)  # fmt: skip
def test_statuses(raw, code):
    assert Status.read(raw).code == code


def test_noise_neither_hangs_nor_gets_through():
    chance = random.Random(5)
    for _ in range(300):
        ours, theirs = socket.socketpair()
        noise = chance.randbytes(chance.randrange(0, 400))
        good = frame(b"\x01abc") if chance.random() < 0.5 else b""
        theirs.sendall(good + noise)
        theirs.close()
        stream = ExecStream(Peer(ours), what="x")
        try:
            while stream.next(time.monotonic() + 2):
                pass
        except ConnectionLostError:
            pass
        else:
            assert stream.status is not None
        ours.close()


def test_a_silent_server_is_pinged_and_a_deadline_holds(ends, monkeypatch):
    monkeypatch.setattr("k8scap.live.kube.exec_stream._PING_SECONDS", 0.05)
    peer, _ = ends
    stream = ExecStream(peer, what="x")

    with pytest.raises(TimeoutError):
        stream.next(time.monotonic() + 0.4)
    assert peer.sent.count("ping") >= 3


def test_stderr_comes_as_lines_beside_stdout(ends):
    peer, theirs = ends
    theirs.sendall(
        frame(b"\x02one\ntw")
        + frame(b"\x01data")
        + frame(b"\x02o\nthree")
        + frame(b"\x02" + b"y" * 100_000 + b"\n")
        + frame(b"\x03" + OK)
    )
    process = ExecProcess(ExecStream(peer, what="x"), send_signal=lambda _: None, on_end=lambda: None)

    assert process.stdout.read1(2) + process.stdout.read1() + process.stdout.read1() == b"data"
    lines = list(process.stderr)
    assert lines[:2] == [b"one\n", b"two\n"]
    assert all(len(line) < 10_000 for line in lines)
    assert process.wait() == 0
