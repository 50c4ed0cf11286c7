"""Wireshark's own answers in the six cases where it is known to be wrong: the packets table repeats them.

What is right instead is the business of the tables; `known_wrong.RIGHT` has it.
"""

import known_wrong
import pytest

import k8scap

ENGINES = ("columnar", "pyshark")


@pytest.fixture(params=ENGINES)
def packets(request, tmp_path):
    def made(case):
        path = getattr(known_wrong, case)().write(tmp_path / f"{case}.pcap")
        return k8scap.load(path, engine=request.param).packets

    return made


def told(table, column):
    """A column's cells, by frame, where there are any."""
    cells = table[column]
    return {int(n): round(float(v), 9) for n, v in cells[cells.notna() & (cells != False)].items()}  # noqa: E712


VERDICTS = (
    "retransmission",
    "fast_retransmission",
    "spurious_retransmission",
    "out_of_order",
    "duplicate_ack",
)


def verdicts(table):
    """Which frames each verdict stands on; verdicts on none are left out."""
    return {name: [*told(table, name)] for name in VERDICTS if told(table, name)}


def test_the_initial_round_trip_counts_from_the_last_syn(packets):
    table = packets("repeated_syn")
    assert told(table, "initial_rtt") == {4: 0.02}
    assert told(table, "rto") == {2: 1.0}
    assert verdicts(table) == {"retransmission": [2]}


def test_an_acknowledgment_of_a_repeated_segment_counts_from_its_first_sending(packets):
    table = packets("no_karn")
    assert told(table, "ack_rtt") == {2: 0.01, 6: 0.21}
    assert told(table, "rto") == {5: 0.2}
    assert verdicts(table) == {"retransmission": [5]}


def test_reordering_by_more_than_a_tiny_round_trip_is_called_a_retransmission(packets):
    table = packets("near_reordering")
    assert set(told(table, "initial_rtt").values()) == {0.00003}
    assert told(table, "rto") == {6: 0.00011}
    assert verdicts(table) == {"retransmission": [6]}


def test_a_hole_filled_within_a_long_round_trip_is_called_out_of_order(packets):
    table = packets("far_hole")
    assert set(told(table, "initial_rtt").values()) == {0.1}
    assert told(table, "rto") == {}
    assert verdicts(table) == {"out_of_order": [6]}


def test_what_is_seen_twice_is_called_sent_twice(packets):
    table = packets("seen_twice")
    assert verdicts(table) == {"retransmission": [2, 4, 8, 12], "duplicate_ack": [6, 10, 14]}
    assert told(table, "rto") == dict.fromkeys((2, 4, 8, 12), 0.000002)
    assert set(told(table, "initial_rtt").values()) == {0.001008}


def test_a_super_packet_acknowledged_in_parts_has_a_round_trip_only_at_its_end(packets):
    table = packets("super_packet")
    assert told(table, "ack_rtt") == {2: 0.01, 7: 0.012}
    assert verdicts(table) == {}


def test_every_case_has_its_right_answer_written_down():
    for case, right in known_wrong.RIGHT.items():
        packets = getattr(known_wrong, case)().packets
        times = [packet.time for packet in packets]
        assert times == sorted(times)
        assert {*right.round_trips, *right.loss_class} <= set(range(1, len(packets) + 1))
    assert len(known_wrong.RIGHT) == 6
