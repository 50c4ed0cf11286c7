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


def test_the_initial_round_trip_counts_from_the_last_syn(packets):
    table = packets("repeated_syn")
    assert told(table, "initial_rtt") == {4: 0.02}
    assert told(table, "retransmission") == {2: 1}


def test_an_acknowledgment_of_a_repeated_segment_counts_from_its_first_sending(packets):
    table = packets("no_karn")
    assert told(table, "ack_rtt")[6] == 0.21
    assert told(table, "rto") == {5: 0.2}


def test_reordering_by_more_than_a_tiny_round_trip_is_called_a_retransmission(packets):
    table = packets("near_reordering")
    assert (told(table, "retransmission"), told(table, "out_of_order")) == ({6: 1}, {})
    assert told(table, "rto") == {6: 0.00011}


def test_a_hole_filled_within_a_long_round_trip_is_called_out_of_order(packets):
    table = packets("far_hole")
    assert (told(table, "out_of_order"), told(table, "retransmission")) == ({6: 1}, {})


def test_what_is_seen_twice_is_called_sent_twice(packets):
    table = packets("seen_twice")
    assert told(table, "retransmission").keys() == {2, 4, 8, 12}
    assert told(table, "duplicate_ack").keys() == {6, 10, 14}


def test_a_super_packet_acknowledged_in_parts_has_a_round_trip_only_at_its_end(packets):
    table = packets("super_packet")
    assert told(table, "ack_rtt") == {2: 0.01, 7: 0.012}


def test_every_case_has_its_right_answer_written_down():
    made = {n for n, thing in vars(known_wrong).items() if getattr(thing, "__module__", "") == "known_wrong"}
    assert set(known_wrong.RIGHT) == made - {"Connection"}
