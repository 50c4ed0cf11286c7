"""The link does what the plan says, and writes it down: held against tshark and the servers' own logs."""

from __future__ import annotations

from collections import Counter
from statistics import median

import pytest

PLAN = (
    "drop port=5001 connection=1 segment=3 copy=1",
    "duplicate port=5001 connection=2 to=client segment=5",
    "reorder port=5001 connection=2 to=client segment=9 ms=15",
    "delay port=8080 connection=2 to=client segment=1 ms=150",
    "drop port=8080 connection=3 syn to=server copy=1",
)
MTU_PLAN = ("mtu bytes=1200 port=5001 connection=1",)
HOLE_PLAN = ("mtu bytes=1400 icmp=no port=5001 connection=1 segment=3,4 copy=1",)
REFUSING_PLAN = (
    "reject port=8080 connection=1 syn to=server code=13",
    "reject port=8080 connection=2 syn to=server",
    "reset port=80 connection=1 to=server idle=60 both=yes",
)


@pytest.fixture
def planned(run):
    return run("clean", plan=PLAN)


@pytest.fixture(scope="module", autouse=True)
def _begin(run):
    for plan in (PLAN, (), MTU_PLAN, HOLE_PLAN, REFUSING_PLAN):
        run.begin("clean", plan=plan)


def stream_of(run, *, port, nth):
    """tshark's frames (dicts) of the nth connection to a port, in its own order of first SYNs."""
    names = ("frame.number", "frame.time_epoch", "tcp.stream", "ip.src", "ip.id")
    names += ("tcp.seq", "tcp.len", "tcp.flags.syn")
    rows = [dict(zip(names, row, strict=True)) for row in run.tshark(*names, where=f"tcp.port == {port}")]
    streams = list(dict.fromkeys(row["tcp.stream"] for row in rows))
    return [row for row in rows if row["tcp.stream"] == streams[nth - 1]]


def data_from(frames, address):
    return [row for row in frames if row["ip.src"] == address and int(row["tcp.len"])]


def test_the_third_data_segment_of_the_first_connection_is_dropped(planned):
    sent = data_from(stream_of(planned, port=5001, nth=1), "198.18.0.10")
    third = sent[2]["tcp.seq"]
    assert [row["tcp.seq"] for row in sent].count(third) == 2
    dropped = [row for row in planned.log if row["action"] == "drop" and row["segment"] == 3]
    assert [str(row["seq"]) for row in dropped] == [third]


def test_what_was_dropped_came_in_the_end(planned):
    uploads = [row for row in planned.served("bulk") if "received_bytes" in row]
    assert [row["received_bytes"] for row in uploads] == [planned.truth["parameters"]["upload_bytes"]]
    assert len(planned.jobs("bulk")) == 2
    assert all("error" not in job for job in planned.truth["hosts"]["client"]["jobs"])


def test_the_duplicate_arrives_twice(planned):
    came = data_from(stream_of(planned, port=5001, nth=2), "198.18.0.20")
    twice = [
        place for place, times in Counter((row["ip.id"], row["tcp.seq"]) for row in came).items() if times > 1
    ]
    in_order = sorted({int(row["tcp.seq"]) for row in came})
    assert [seq for _, seq in twice] == [str(in_order[4])]  # the fifth segment


def test_the_reordered_segment_is_overtaken(planned):
    came = data_from(stream_of(planned, port=5001, nth=2), "198.18.0.20")
    sequence = list(dict.fromkeys(int(row["tcp.seq"]) for row in came))
    late = [seq for seq, before in zip(sequence[1:], sequence, strict=False) if seq < before]
    assert late == [sorted(sequence)[8]]  # the ninth segment


def test_the_delayed_answer_is_late_by_what_was_planned(planned):
    waited = []
    for nth in (1, 2):
        frames = stream_of(planned, port=8080, nth=nth)
        asked = next(row for row in frames if row["ip.src"] == "198.18.0.10" and int(row["tcp.len"]))
        answered = data_from(frames, "198.18.0.20")[0]
        waited.append(float(answered["frame.time_epoch"]) - float(asked["frame.time_epoch"]))
    assert 0.150 - 0.03 < waited[1] - waited[0] < 0.150 + 0.2


def test_a_dropped_syn_is_repeated_after_a_second(planned):
    frames = stream_of(planned, port=8080, nth=3)
    syns = [float(row["frame.time_epoch"]) for row in frames if row["tcp.flags.syn"] in {"1", "True"}]
    assert len(syns) == 3  # two from the client, one answer
    assert syns[1] - syns[0] == pytest.approx(1.0, abs=0.3)


def test_the_round_trip_is_the_planned_one(run):
    quiet = run("clean")
    planned_ms = quiet.truth["path"]["rtt_ms"]
    rtts = quiet.tshark("tcp.analysis.ack_rtt", where="tcp.flags.syn == 1 && tcp.flags.ack == 1")
    measured = [float(rtt) * 1000 for (rtt,) in rtts if rtt]
    assert len(measured) >= 5
    assert min(measured) >= planned_ms
    assert median(measured) < planned_ms + 10


def test_the_log_holds_each_packet_that_was_captured(planned):
    """The capture at the client is exactly what it sent, and what the link passed on to it."""
    names = ("ip.src", "ip.dst", "ip.id", "udp.srcport", "tcp.srcport", "tcp.seq_raw", "tcp.len")
    captured = Counter(planned.tshark(*names))
    expected = Counter(
        (
            row["src"],
            row["dst"],
            f"0x{row['ip_id']:04x}",
            str(row["src_port"]) if row["protocol"] == "udp" else "",
            str(row["src_port"]) if row["protocol"] == "tcp" else "",
            str(row.get("seq_raw", "")),
            str(row["payload_length"]) if row["protocol"] == "tcp" else "",
        )
        for row in planned.log
        if row["src"] == "198.18.0.10" or (row["dst"] == "198.18.0.10" and row["time_out_ns"])
    )
    assert (captured - expected, expected - captured) == (Counter(), Counter())
    assert planned.truth["whole"] is True


def test_the_log_and_the_capture_tell_the_same_times(planned):
    """Packets from the server pass tcpdump within a moment of the link's letting them out."""
    times = {
        (ip_id, seq): float(time)
        for ip_id, seq, time in planned.tshark(
            "ip.id", "tcp.seq_raw", "frame.time_epoch", where="tcp.len > 0"
        )
    }
    late = [
        times[f"0x{row['ip_id']:04x}", str(row["seq_raw"])] - row["time_out_ns"] / 1e9
        for row in planned.connection(port=8080, nth=1, to="client")
        if row["payload_length"]
    ]
    assert late
    assert all(-0.001 < seconds < 0.05 for seconds in late)


def test_no_frame_is_larger_than_a_packet_of_the_wire(planned):
    assert max(int(length) for (length,) in planned.tshark("ip.len")) <= 1500


def test_an_mtu_on_the_way_is_told_to_the_sender(run):
    narrow = run("clean", plan=MTU_PLAN)
    errors = narrow.tshark("icmp.mtu", where="icmp.type == 3 && icmp.code == 4")
    assert {mtu for (mtu,) in errors} == {"1200"}
    passed = [r for r in narrow.connection(port=5001, nth=1, to="server") if r["action"] == "pass"]
    assert max(row["length"] for row in passed) <= 1200
    assert narrow.served("bulk")[0]["received_bytes"] == narrow.truth["parameters"]["upload_bytes"]


def test_a_black_hole_says_nothing(run):
    hole = run("clean", plan=HOLE_PLAN)
    assert hole.tshark("icmp.type", where="icmp") == []
    swallowed = [row for row in hole.log if row["action"] == "mtu"]
    assert [row["segment"] for row in swallowed] == [3, 4]
    assert all(row["length"] > 1400 and row["time_out_ns"] is None for row in swallowed)


def test_a_firewall_refuses_by_icmp(run):
    refused = run("clean", plan=REFUSING_PLAN)
    told = refused.tshark("ip.src", "icmp.code", where="icmp.type == 3")
    assert [(source.split(",")[0], code) for source, code in told] == [
        ("198.19.255.254", "13"),
        ("198.18.0.20", "3"),
    ]
    errors = [job.get("error", "") for job in refused.jobs("web") if job["port"] == 8080]
    assert [error.partition(":")[0] for error in errors[:3]] == ["OSError", "ConnectionRefusedError", ""]


def test_a_connection_that_was_silent_for_long_is_reset_on_both_sides(run):
    """The background's second request on its one connection comes 80 ms after the first."""
    refused = run("clean", plan=REFUSING_PLAN)
    errors = ["error" in job for job in refused.jobs("web") if job["port"] == 80]
    assert errors[:2] == [False, True]
    assert not any(errors[2:])  # on a new connection
    (to_client, to_server) = (
        [row for row in refused.log if row["action"] == "made" and row.get("direction") == f"to-{side}"]
        for side in ("client", "server")
    )
    assert {row["flags"] for row in to_client} == {"R"}
    assert {row["flags"] for row in to_server} == {"RA"}
    resets = refused.tshark("tcp.seq", where="tcp.srcport == 80 && tcp.flags.reset == 1")
    data = data_from(stream_of(refused, port=80, nth=1), "198.18.0.20")
    assert int(resets[0][0]) == int(data[-1]["tcp.seq"]) + int(data[-1]["tcp.len"])
