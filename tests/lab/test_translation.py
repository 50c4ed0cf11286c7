"""A Service's address in front of a server: what each side gets, held against scapy's own checksums."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.packet import Raw

from k8scap.lab.packets import readdressed
from k8scap.lab.translation import Translation

CLIENT, SERVICE, SERVER = "198.18.0.10", "198.18.0.96", "198.18.0.20"


def packed(address: str) -> bytes:
    return bytes(map(int, address.split(".")))


def service() -> Translation:
    return Translation({packed(SERVICE): packed(SERVER)})


def sent(src: str, dst: str, *, ports: tuple[int, int] = (40_000, 80), payload: bytes = b"odd") -> bytes:
    tcp = TCP(sport=ports[0], dport=ports[1], flags="PA", seq=2**32 - 5, ack=77)
    return bytes(IP(src=src, dst=dst, id=9) / tcp / Raw(payload))


def answered(src: str) -> bytes:
    return sent(src, CLIENT, ports=(80, 40_000))


@pytest.mark.parametrize("payload", [b"", b"odd", b"even", b"\xff" * 1400])
def test_checksums_fit_the_new_addresses(payload: bytes) -> None:
    before = sent(CLIENT, SERVICE, payload=payload)
    assert readdressed(before, destination=packed(SERVER)) == sent(CLIENT, SERVER, payload=payload)


def test_a_datagram_without_a_checksum_gets_none() -> None:
    plain = UDP(sport=5000, dport=53, chksum=0) / Raw(b"question")
    before, after = (bytes(IP(src=CLIENT, dst=dst, id=9) / plain) for dst in (SERVICE, SERVER))
    assert readdressed(before, destination=packed(SERVER)) == after


def test_a_server_gets_what_was_sent_to_its_service_and_the_client_an_answer_from_there() -> None:
    nat = service()
    there = nat.back(sent(CLIENT, SERVICE))
    assert there == sent(CLIENT, SERVICE)  # on the link it bears the Service's address
    assert nat.there(there) == sent(CLIENT, SERVER)
    assert nat.back(answered(SERVER)) == answered(SERVICE)


def test_what_was_never_asked_of_the_service_comes_from_the_server_itself() -> None:
    nat = service()
    nat.back(sent(CLIENT, SERVICE, ports=(40_001, 80)))
    assert nat.back(answered(SERVER)) == answered(SERVER)
    assert nat.there(sent(CLIENT, SERVER)) == sent(CLIENT, SERVER)


def test_a_packet_that_nobody_translates_back_bears_the_servers_address() -> None:
    nat = service()
    nat.back(sent(CLIENT, SERVICE))
    assert nat.bare(nat.back(answered(SERVER))) == answered(SERVER)
