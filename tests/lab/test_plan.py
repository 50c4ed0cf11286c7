"""The plan language: what is written is what is obeyed, and what makes no sense is refused."""

from __future__ import annotations

import contextlib
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP

from k8scap.errors import UsageError
from k8scap.lab.flows import Flow, Flows
from k8scap.lab.packets import ROUTER, rejection, reset_back, reset_on, too_big
from k8scap.lab.plan import Plan, Rule, chance

CLIENT, SERVER = "198.18.0.10", "198.18.0.20"


@pytest.mark.parametrize(
    "text",
    [
        "drop port=5001 connection=2 segment=3",
        "drop to=client dns=broken.lab.test",
        "drop tcp data to=server p=0.02",
        "delay port=80 segment=1 ms=200",
        "reorder to=server segment=4,6 ms=3.5",
        "duplicate to=server segment=5 copy=1 ms=1",
        "mtu bytes=1300 icmp=no",
        "drop syn packet=1",
        "reject port=9000",
        "reject syn port=9000 code=13",
        "reset port=80 to=server idle=1500 both=yes",
        "drop idle=350.5",
        "drop syn port=443 full=64",
        "untranslated port=80 to=client segment=9",
        "damage syn port=80 copy=1",
    ],
)
def test_a_rule_is_written_as_it_was_read(text):
    assert str(Rule.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "lose port=80",
        "drop port=eighty",
        "drop everything",
        "drop colour=red",
        "drop p=2",
        "drop to=nowhere",
        "delay ms=-1",
        "delay ms=inf",
        "mtu",
        "mtu bytes=1300 icmp=perhaps",
        "reject code=4",
        "reset idle=-1",
        "reset both=sides",
        "drop full=-1",
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_in_a_sentence(text):
    with pytest.raises(UsageError) as refusal:
        Rule.parse(text)
    assert refusal.value.exit_code == 2
    assert "docs/lab.md" in refusal.value.next_step


def test_chance_is_the_documented_hash():
    words = b"7 drop tcp data to=server p=0.02 5001 1 server segment 3 1"
    expected = int.from_bytes(blake2b(words, digest_size=8).digest(), "big") / 2**64
    assert chance(7, "drop tcp data to=server p=0.02", 5001, 1, "server", "segment", 3, 1) == expected


def test_chance_is_spread_evenly():
    draws = [chance(1, "place", n) for n in range(20_000)]
    assert sum(draw < 0.02 for draw in draws) == pytest.approx(400, abs=80)  # four standard deviations


def counted(segments, *, start):
    """(segment number, copy) of each (offset, length), where sequence numbers begin at `start`."""
    flow = Flow(number=1, nth=1, protocol=6, server_port=80, to="server")
    flow.place(start, 1, 0)  # the SYN
    return [flow.place((start + 1 + offset) % 2**32, length, length) for offset, length in segments]


def test_a_repeated_segment_bears_its_number_and_its_count():
    assert counted([(0, 100), (100, 100), (0, 100), (200, 50), (0, 100)], start=1000) == [
        (1, 1),
        (2, 1),
        (1, 2),
        (3, 1),
        (1, 3),
    ]


def test_sequence_numbers_may_wrap_around():
    assert counted([(0, 100), (100, 100), (0, 100), (100, 100)], start=2**32 - 150) == [
        (1, 1),
        (2, 1),
        (1, 2),
        (2, 2),
    ]


def test_a_repetition_may_join_segments_or_split_them():
    assert counted([(0, 100), (100, 100), (0, 200), (50, 20), (150, 100)], start=5) == [
        (1, 1),
        (2, 1),
        (1, 2),
        (1, 3),
        (2, 3),
    ]


def tcp(sport, dport, *, flags="S", seq=0, src=CLIENT, dst=SERVER):
    return bytes(IP(src=src, dst=dst) / TCP(sport=sport, dport=dport, flags=flags, seq=seq))


def test_connections_count_in_all_and_for_each_server_port():
    flows = Flows(Plan())
    seen = [flows.of(tcp(sport, dport)) for sport, dport in [(1001, 80), (1002, 5001), (1003, 80)]]
    assert [(flow.number, flow.nth) for flow in seen] == [(1, 1), (2, 1), (3, 2)]
    back = flows.of(tcp(80, 1003, flags="SA", src=SERVER, dst=CLIENT))
    assert (back.number, back.nth, back.to) == (3, 2, "client")


def test_a_port_that_is_used_again_is_another_connection():
    flows = Flows(Plan())
    first = flows.of(tcp(1001, 80, seq=5))
    first.place(5, 1, 0)
    repeated = flows.of(tcp(1001, 80, seq=5))
    again = flows.of(tcp(1001, 80, seq=99))
    assert (repeated.number, again.number, again.nth) == (1, 2, 2)


def test_the_icmp_error_is_one_that_others_can_read():
    packet = bytes(IP(src=CLIENT, dst=SERVER, flags="DF") / UDP(sport=1, dport=2) / (b"x" * 1400))
    answer = IP(too_big(packet, 1300))
    assert (answer.dst, answer[ICMP].type, answer[ICMP].code, answer[ICMP].nexthopmtu) == (CLIENT, 3, 4, 1300)
    quoted = bytes(answer[ICMP].payload)
    assert quoted == packet[:28]
    fresh = IP(bytes(answer))
    del fresh.chksum, fresh[ICMP].chksum
    assert bytes(fresh) == bytes(answer)  # scapy fills in the checksums that we had


@pytest.mark.parametrize(("code", "teller"), [(3, SERVER), (10, str(ROUTER)), (13, str(ROUTER))])
def test_a_rejection_is_an_icmp_error_of_who_would_send_it(code, teller):
    packet = tcp(1001, 9000)
    answer = IP(rejection(packet, code))
    assert (answer.src, answer.dst, answer[ICMP].type, answer[ICMP].code) == (teller, CLIENT, 3, code)
    assert bytes(answer[ICMP].payload) == packet[:28]
    assert checksums_are_right(answer)


def test_an_icmp_error_is_answered_with_none():
    packet = bytes(IP(src=CLIENT, dst=SERVER) / ICMP(type=3, code=3))
    assert rejection(packet, 3) == b""
    assert rejection(bytes(IP(src=CLIENT, dst=SERVER) / ICMP(type=8)), 3) != b""


def test_a_syn_is_reset_as_if_nobody_listened():
    answer = IP(reset_back(tcp(1001, 9000, seq=700)))
    assert (answer.src, answer.dst, answer[TCP].sport, answer[TCP].dport) == (SERVER, CLIENT, 9000, 1001)
    assert (answer[TCP].flags, answer[TCP].seq, answer[TCP].ack) == ("RA", 0, 701)
    assert checksums_are_right(answer)


def test_data_is_reset_on_both_sides_at_the_place_that_each_expects():
    segment = TCP(sport=1001, dport=80, flags="PA", seq=700, ack=9000)
    packet = bytes(IP(src=CLIENT, dst=SERVER) / segment / (b"x" * 40))
    back, on = IP(reset_back(packet)), IP(reset_on(packet))
    assert (back.src, back[TCP].dport, back[TCP].flags, back[TCP].seq) == (SERVER, 1001, "R", 9000)
    assert (on.src, on[TCP].dport, on[TCP].flags) == (CLIENT, 80, "RA")
    assert (on[TCP].seq, on[TCP].ack) == (700, 9000)
    assert checksums_are_right(back)
    assert checksums_are_right(on)


def test_a_reset_is_answered_with_none():
    packet = tcp(1001, 80, flags="R")
    assert (reset_back(packet), reset_on(packet)) == (b"", b"")
    assert reset_back(bytes(IP(src=CLIENT, dst=SERVER) / UDP(sport=1, dport=2))) == b""


def checksums_are_right(packet):
    """scapy fills in the same checksums."""
    fresh = IP(bytes(packet))
    for layer in (IP, ICMP, TCP):
        if layer in fresh:
            del fresh[layer].chksum
    return bytes(fresh) == bytes(packet)


def test_a_connection_is_forgotten_by_its_longest_silence():
    flow = Flows(Plan((Rule.parse("drop idle=100 to=server"),))).of(tcp(1001, 80))
    at = [n * 1_000_000 for n in (1, 91, 180, 281, 282, 290)]
    heard = [side.silence.hear(now) for side, now in zip([flow, flow.peer] * 3, at, strict=True)]
    assert heard == [0, 90, 90, 101, 101, 101]


def test_a_gateway_is_full_until_a_connection_is_closed_by_both_sides_or_reset():
    flows = Flows(Plan((Rule.parse("drop syn port=80 full=2"),)))
    first, second, third = (flows.of(tcp(port, 80)) for port in (1001, 1002, 1003))
    assert flows.of(tcp(1004, 5001)).room is None  # no rule asks
    free = []
    for side, flags in [(first, "S"), (second, "S"), (first, "FA"), (first.peer, "FA"), (second.peer, "R")]:
        side.room.hear(side, int(TCP(flags=flags).flags))
        free.append(third.room.others(third))
    assert free == [1, 2, 2, 1, 0]


def test_an_open_connection_has_its_place():
    flow = Flows(Plan((Rule.parse("drop syn port=80 full=1"),))).of(tcp(1001, 80))
    flow.room.hear(flow, int(TCP(flags="S").flags))
    assert flow.room.others(flow) == 0


WORDS = st.sampled_from(
    ["drop", "mtu", "tcp", "data", "=", "port", "ms", "p", "to", "1", "-", ",", "nan", "inf", " ", "1e9"]
)


@given(st.lists(WORDS, max_size=8))
def test_a_rule_is_read_or_refused_and_never_a_surprise(words):
    with contextlib.suppress(UsageError):
        rule = Rule.parse("".join(words))
        assert Rule.parse(str(rule)) == rule
