"""What each application protocol says, in messages made byte by byte from its specification."""

from __future__ import annotations

import contextlib
import ssl
import struct
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from talk import Talk
from wire import Wire, write_pcap

import k8scap

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
END_STREAM, END_HEADERS = 1, 4


@pytest.fixture
def requests_in(tmp_path: Path) -> Callable[..., pd.DataFrame]:
    def read(wire: Wire, *, masked: bool = True) -> pd.DataFrame:
        write_pcap(tmp_path / "made.pcap", wire.frames)
        return k8scap.load(tmp_path / "made.pcap").requests_of(masked=masked)

    return read


def rows(table: pd.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    return list(table[list(columns)].itertuples(index=False, name=None))


# ---- HTTP/2 (RFC 9113, with literals of RFC 7541, 6.2.2) ----


def frame(kind: int, stream: int, payload: bytes = b"", flags: int = 0) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def block(**headers: str) -> bytes:
    coded = b""
    for name, value in headers.items():
        for text in (
            name.replace("_", "-").replace("p-", ":", 1) if name.startswith("p_") else name.replace("_", "-"),
            value,
        ):
            coded += (b"\0" if text is not value else b"") + length(len(text)) + text.encode()
    return coded


def length(size: int) -> bytes:
    """An integer with a prefix of 7 bits (RFC 7541, 5.1)."""
    if size < 127:
        return bytes([size])
    size, coded = size - 127, b"\x7f"
    while size >= 128:
        coded, size = coded + bytes([size % 128 | 128]), size // 128
    return coded + bytes([size])


def headers(stream: int, *, end: bool = True, **given: str) -> bytes:
    return frame(1, stream, block(**given), END_HEADERS | (END_STREAM if end else 0))


def call(stream: int, path: str, kind: str = "application/grpc") -> bytes:
    asked = {
        "p_method": "POST",
        "p_scheme": "http",
        "p_path": path,
        "p_authority": "shop:50051",
        "content_type": kind,
    }
    return headers(stream, end=False, **asked) + frame(0, stream, b"\0\0\0\0\2ab", END_STREAM)


def test_http2_streams_are_told_apart_whatever_order_they_are_answered_in(
    requests_in: Callable[..., pd.DataFrame],
) -> None:
    wire = Wire()
    talk = Talk(wire, 40_001, 8099)
    talk.ask(5, PREFACE + frame(4, 0))
    talk.answer(6, frame(4, 0) + frame(4, 0, flags=1))
    get = {"p_method": "GET", "p_scheme": "http", "p_authority": "shop.test"}
    asked = talk.ask(10, headers(1, **get, p_path="/slow?token=hunter2") + headers(3, **get, p_path="/fast"))
    first = talk.answer(15, headers(3, p_status="404"))
    second = talk.answer(60, headers(1, end=False, p_status="200") + frame(0, 1, b"x" * 9000, END_STREAM))
    table = requests_in(wire)
    assert rows(table, "protocol", "method", "target", "host", "status", "error", "number", "response") == [
        ("HTTP/2", "GET", "/slow?…", "shop.test", "200", "", asked, second),
        ("HTTP/2", "GET", "/fast", "shop.test", "404", "Not Found", asked, first),
    ]
    assert table["latency_ms"].tolist() == pytest.approx([50, 5])


def test_grpc_has_the_status_of_its_trailers(requests_in: Callable[..., pd.DataFrame]) -> None:
    wire = Wire()
    talk = Talk(wire, 40_001, 50_051)
    talk.ask(5, PREFACE + frame(4, 0))
    kind = {"p_status": "200", "content_type": "application/grpc"}
    talk.ask(10, call(1, "/shop.Cart/Get") + call(3, "/shop.Cart/Put") + call(5, "/shop.Cart/Gone"))
    talk.answer(20, headers(1, end=False, **kind) + frame(0, 1, b"\0\0\0\0\1a") + headers(1, grpc_status="0"))
    talk.answer(30, headers(3, **kind, grpc_status="14", grpc_message="no"))
    talk.answer(40, headers(5, p_status="503"))
    talk.ask(50, call(7, "/shop.Cart/Cancelled"))
    talk.ask(60, frame(3, 7, struct.pack(">I", 8)))
    table = requests_in(wire)
    assert rows(table, "protocol", "target", "host", "status", "error") == [
        ("gRPC", "/shop.Cart/Get", "shop:50051", "0", ""),
        ("gRPC", "/shop.Cart/Put", "shop:50051", "14", "UNAVAILABLE"),
        ("gRPC", "/shop.Cart/Gone", "shop:50051", "14", "UNAVAILABLE"),
        ("gRPC", "/shop.Cart/Cancelled", "shop:50051", "", "CANCEL"),
    ]
    assert table["response"].isna().tolist() == [False, False, False, True]


def test_a_block_of_headers_may_go_on_in_another_frame(requests_in: Callable[..., pd.DataFrame]) -> None:
    wire = Wire()
    talk = Talk(wire, 40_001, 8099)
    talk.ask(5, PREFACE + frame(4, 0))
    start = block(p_method="GET", p_scheme="http", p_path="/long", p_authority="shop.test")
    talk.ask(10, frame(1, 1, start, END_STREAM) + frame(9, 1, block(x_pad="p" * 3000), END_HEADERS))
    talk.answer(20, headers(1, p_status="200"))
    assert rows(requests_in(wire), "method", "target", "status") == [("GET", "/long", "200")]


# ---- TLS, by OpenSSL ----


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, datetime, datetime]:
    """A self-signed one that ran out in 2024, its file and its two times."""
    begin, end = datetime(2023, 5, 6, 7, 8, 9, tzinfo=UTC), datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "shop.test")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("shop.test")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "shop.pem"
    plain = serialization.NoEncryption()
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return path, begin, end


def handshake(
    talk: Talk,
    pem: Path,
    version: ssl.TLSVersion,
    *,
    check: bool,
    keys: Path | None = None,
    then: tuple[bytes, bytes] = (b"", b""),
) -> list[int]:
    """OpenSSL's client and server, 10 ms a turn; gives the number of the first frame of each turn.

    `then` is what they say to each other behind it, `keys` the file for the session's secrets.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    client = ssl.create_default_context()
    client.minimum_version = client.maximum_version = version
    if not check:
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    if keys is not None:
        client.keylog_filename = str(keys)
    buffers = [ssl.MemoryBIO() for _ in range(4)]
    ends = {
        "client": client.wrap_bio(buffers[0], buffers[1], server_hostname="shop.test"),
        "server": server.wrap_bio(buffers[2], buffers[3], server_side=True),
    }
    numbers = []
    for turn in range(6):
        mine = "client" if turn % 2 == 0 else "server"
        with contextlib.suppress(ssl.SSLError):  # wants to hear more, or refuses
            ends[mine].do_handshake()
            if then[turn % 2] and turn in (4, 5):
                ends[mine].write(then[turn % 2])
        said = buffers[1 if mine == "client" else 3].read()
        if said:
            buffers[2 if mine == "client" else 0].write(said)
            at = 10 + 10 * turn
            numbers.append(talk.ask(at, said) if mine == "client" else talk.answer(at, said))
    return numbers


def test_a_tls_handshake_tells_whom_what_and_until_when(
    requests_in: Callable[..., pd.DataFrame], certificate: tuple[Path, datetime, datetime]
) -> None:
    wire = Wire()
    pem, begin, end = certificate
    hello, answer, *_ = handshake(Talk(wire, 40_001, 8443), pem, ssl.TLSVersion.TLSv1_2, check=False)
    table = requests_in(wire)
    assert rows(table, "protocol", "method", "host", "status", "error", "number", "response") == [
        ("TLS", "handshake", "shop.test", "TLSv1.2", "", hello, answer)
    ]
    assert table["latency_ms"].tolist() == pytest.approx([10])
    assert [table["not_before"][0], table["not_after"][0]] == [begin, end]


def test_tls_1_3_hides_its_certificate_and_a_refused_one_says_why(
    requests_in: Callable[..., pd.DataFrame], certificate: tuple[Path, datetime, datetime]
) -> None:
    wire = Wire()
    handshake(Talk(wire, 40_001, 8443), certificate[0], ssl.TLSVersion.TLSv1_3, check=False)
    handshake(Talk(wire, 40_002, 8443), certificate[0], ssl.TLSVersion.TLSv1_2, check=True)
    table = requests_in(wire)
    assert rows(table, "status", "error") == [("TLSv1.3", ""), ("TLSv1.2", "unknown_ca")]
    assert table["not_after"].isna().tolist() == [True, False]


def test_with_its_secrets_along_tls_and_what_is_in_it_are_read(
    certificate: tuple[Path, datetime, datetime], tmp_path: Path
) -> None:
    wire = Wire()
    inside = (
        b"GET /inside?token=hunter2 HTTP/1.1\r\nHost: shop.test\r\n\r\n",
        b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n",
    )
    pem, begin, end = certificate
    keys, plain, path = (tmp_path / name for name in ("keys", "made.pcap", "with-keys.pcapng"))
    handshake(Talk(wire, 40_001, 8443), pem, ssl.TLSVersion.TLSv1_3, check=False, keys=keys, then=inside)
    write_pcap(plain, wire.frames)
    argv = ["editcap", "--inject-secrets", f"tls,{keys}", str(plain), str(path)]
    subprocess.run(argv, check=True, capture_output=True)
    assert rows(k8scap.load(plain).requests, "protocol", "status") == [("TLS", "TLSv1.3")]
    table = k8scap.load(path).requests
    assert rows(table, "protocol", "target", "host", "status", "error") == [
        ("TLS", "", "shop.test", "TLSv1.3", ""),
        ("HTTP/1", "/inside?…", "shop.test", "503", "Service Unavailable"),
    ]
    assert [table["not_before"][0], table["not_after"][0]] == [begin, end]


def test_a_handshake_that_the_server_refuses_has_an_answer_and_no_version(
    requests_in: Callable[..., pd.DataFrame],
) -> None:
    wire = Wire()
    talk = Talk(wire, 40_001, 8443)
    client = ssl.create_default_context()
    out = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        client.wrap_bio(ssl.MemoryBIO(), out, server_hostname="other.test").do_handshake()
    talk.ask(10, out.read())
    answer = talk.answer(20, bytes([21, 3, 3, 0, 2, 2, 112]))
    table = requests_in(wire)
    assert rows(table, "host", "status", "error", "response") == [
        ("other.test", "", "unrecognized_name", answer)
    ]


# ---- PostgreSQL (the protocol's chapter in its manual) ----


def pg(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack(">I", len(body) + 4) + body


READY = pg(b"Z", b"I")


def pg_failure(code: str, text: str) -> bytes:
    return pg(b"E", b"SERROR\0C" + code.encode() + b"\0M" + text.encode() + b"\0\0")


def login(talk: Talk) -> None:
    body = struct.pack(">I", 196_608) + b"user\0bob\0\0"
    talk.ask(2, struct.pack(">I", len(body) + 4) + body)
    talk.answer(3, pg(b"R", struct.pack(">I", 0)) + READY)


def test_postgresql_statements_are_masked_and_have_their_sqlstate(
    requests_in: Callable[..., pd.DataFrame],
) -> None:
    wire = Wire()
    talk = Talk(wire, 40_001, 6543)
    login(talk)
    talk.ask(10, pg(b"Q", b"SELECT * FROM t WHERE name = 'hunter2' AND id = 42\0"))
    answered = talk.answer(14, pg(b"C", b"SELECT 0\0") + READY)
    talk.ask(20, pg(b"Q", b"INSERT INTO t2 VALUES ($$hunter2$$, -1.5e3)\0"))
    talk.answer(26, pg_failure("23505", 'duplicate key "hunter2" in t') + READY)
    table = requests_in(wire)
    assert rows(table, "method", "target", "status", "error")[1:] == [
        ("SELECT", "SELECT * FROM t WHERE name = ? AND id = ?", "00000", ""),
        ("INSERT", "INSERT INTO t2 VALUES (?, ?)", "23505", "duplicate key ? in t"),
    ]
    assert table["latency_ms"].tolist()[1:] == pytest.approx([4, 6])
    assert table["response"][1] == answered
    assert "hunter2" not in table.to_csv()
    assert "'hunter2'" in requests_in(wire, masked=False)["target"][1]


def test_a_prepared_statement_is_told_by_its_name(requests_in: Callable[..., pd.DataFrame]) -> None:
    wire = Wire()
    talk = Talk(wire, 40_001, 5432)
    login(talk)
    bind = pg(b"B", b"\0s1\0" + struct.pack(">HHH", 0, 0, 0))
    run, sync = pg(b"E", b"\0" + struct.pack(">I", 0)), pg(b"S")
    talk.ask(10, pg(b"P", b"s1\0UPDATE t SET a = $1\0" + struct.pack(">H", 0)) + bind + run + sync)
    talk.answer(13, pg(b"1") + pg(b"2") + pg(b"C", b"UPDATE 1\0") + READY)
    talk.ask(20, bind + run + bind + run + sync)
    talk.answer(25, pg(b"2") + pg_failure("40001", "could not serialize") + READY)
    table = requests_in(wire)
    assert rows(table, "method", "target", "status")[1:] == [
        ("UPDATE", "UPDATE t SET a = $1", "00000"),
        ("UPDATE", "UPDATE t SET a = $1", "40001"),
        ("UPDATE", "UPDATE t SET a = $1", ""),
    ]


# ---- MySQL ----


def packet(number: int, body: bytes) -> bytes:
    return struct.pack("<I", len(body))[:3] + bytes([number]) + body


GREETING = (
    b"\x0a8.0.36\0" + struct.pack("<I", 7) + b"12345678\0" + struct.pack("<HBHHB", 0xF7FF, 255, 2, 0x800F, 21)
)


def test_mysql_commands_have_their_statement_and_sqlstate(requests_in: Callable[..., pd.DataFrame]) -> None:
    wire = Wire()
    talk = Talk(wire, 40_001, 4406)
    talk.answer(2, packet(0, GREETING + bytes(10) + b"123456789012\0mysql_native_password\0"))
    user = (
        struct.pack("<IIB", 0x000FA68D & ~0x800, 1 << 24, 255)
        + bytes(23)
        + b"bob\0\0"
        + b"mysql_native_password\0"
    )
    talk.ask(3, packet(1, user))
    talk.answer(4, packet(2, b"\0\0\0\2\0\0\0"))
    talk.ask(10, packet(0, b'\x03DELETE FROM t WHERE a = "hunter2" OR b IN (1, 2)'))
    talk.answer(17, packet(1, b"\0\1\0\2\0\0\0"))
    talk.ask(20, packet(0, b"\x03SELEC 1"))
    talk.answer(22, packet(1, b"\xff" + struct.pack("<H", 1064) + b"#42000You have an error near 'hunter2'"))
    table = requests_in(wire)
    assert rows(table, "method", "target", "status", "error") == [
        ("login", "", "00000", ""),
        ("DELETE", "DELETE FROM t WHERE a = ? OR b IN (?, ?)", "00000", ""),
        ("SELEC", "SELEC ?", "42000", "You have an error near ?"),
    ]
    assert table["latency_ms"].tolist() == pytest.approx([1, 7, 2])


def test_a_mysql_server_that_refuses_before_it_greets_was_asked_to_connect(
    requests_in: Callable[..., pd.DataFrame],
) -> None:
    wire = Wire()
    talk = Talk(wire, 40_001, 3306)
    answer = talk.answer(2, packet(0, b"\xff" + struct.pack("<H", 1040) + b"Too many connections"))
    table = requests_in(wire)
    assert rows(table, "method", "status", "error", "src", "dst_port", "response") == [
        ("connect", "HY000", "Too many connections", talk.client, 3306, answer)
    ]


# ---- Redis ----


def resp(*words: str) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words)


def test_redis_commands_show_their_key_and_no_value(requests_in: Callable[..., pd.DataFrame]) -> None:
    wire = Wire()
    talk = Talk(wire, 40_001, 7379)
    talk.ask(10, resp("AUTH", "hunter2"))
    talk.answer(11, b"+OK\r\n")
    talk.ask(20, resp("set", "user:1", "hunter2", "EX", "60"))
    talk.answer(23, b"-OOM command not allowed\r\n")
    talk.ask(30, resp("GET", "user:1") + resp("INCR", "hits") + resp("KEYS", "*"))
    talk.answer(35, b"$7\r\nhunter2\r\n:4\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n")
    talk.ask(40, resp("PING"))
    table = requests_in(wire)
    assert rows(table, "method", "target", "status", "error") == [
        ("AUTH", "?", "OK", ""),
        ("SET", "user:1 ?", "OOM", "OOM command not allowed"),
        ("GET", "user:1", "OK", ""),
        ("INCR", "hits", "OK", ""),
        ("KEYS", "*", "OK", ""),
        ("PING", "", "", ""),
    ]
    assert table["latency_ms"].tolist()[:3] == pytest.approx([1, 3, 5])
    assert requests_in(wire, masked=False)["target"][1] == "user:1 hunter2 EX 60"


# ---- MongoDB (OP_MSG) ----


def bson(**elements: str | float) -> bytes:
    body = b""
    for name, value in elements.items():
        if isinstance(value, str):
            body += b"\2" + name.encode() + b"\0" + struct.pack("<I", len(value) + 1) + value.encode() + b"\0"
        elif isinstance(value, int):
            body += b"\x10" + name.encode() + b"\0" + struct.pack("<i", value)
        else:
            body += b"\1" + name.encode() + b"\0" + struct.pack("<d", value)
    return struct.pack("<I", len(body) + 5) + body + b"\0"


def op_msg(number: int, answers: int, **elements: str | float) -> bytes:
    body = bytes(4) + b"\0" + bson(**elements)
    return struct.pack("<IIII", len(body) + 16, number, answers, 2013) + body


def test_mongodb_commands_meet_their_replies_by_number(requests_in: Callable[..., pd.DataFrame]) -> None:
    wire = Wire()
    talk = Talk(wire, 40_001, 28_017)
    talk.ask(10, op_msg(5, 0, find="orders", **{"$db": "shop"}))
    talk.ask(11, op_msg(6, 0, drop="carts", **{"$db": "shop"}))
    talk.answer(
        20, op_msg(91, 6, ok=0.0, errmsg="not allowed on 'hunter2'", code=13, codeName="Unauthorized")
    )
    talk.answer(30, op_msg(92, 5, ok=1.0))
    table = requests_in(wire)
    assert rows(table, "protocol", "method", "target", "status", "error") == [
        ("MongoDB", "find", "shop.orders", "OK", ""),
        ("MongoDB", "drop", "shop.carts", "13", "Unauthorized"),
    ]
    assert table["latency_ms"].tolist() == pytest.approx([20, 9])


# ---- Kafka ----


def kafka(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


def test_kafka_requests_meet_their_responses_by_number(requests_in: Callable[..., pd.DataFrame]) -> None:
    wire = Wire()
    talk = Talk(wire, 40_001, 9092)
    talk.ask(10, kafka(struct.pack(">hhih", 18, 0, 1, 2) + b"me"))
    talk.answer(12, kafka(struct.pack(">ihihhh", 1, 0, 1, 18, 0, 3)))
    topic = struct.pack(">ih", 1, 6) + b"orders"
    talk.ask(20, kafka(struct.pack(">hhih", 3, 0, 2, 2) + b"me" + topic))
    talk.answer(29, kafka(struct.pack(">iiihh", 2, 0, 1, 3, 6) + b"orders" + struct.pack(">i", 0)))
    table = requests_in(wire)
    assert rows(table, "protocol", "method", "target", "status", "error") == [
        ("Kafka", "ApiVersions", "", "0", ""),
        ("Kafka", "Metadata", "orders", "3", "UNKNOWN_TOPIC_OR_PARTITION"),
    ]
    assert table["latency_ms"].tolist() == pytest.approx([2, 9])
