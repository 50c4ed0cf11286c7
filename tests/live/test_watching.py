"""A capture's packets while it runs: its table grows with the file, and is what `load` makes of it."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from outside import count_packets, wait_until

import k8scap
from k8scap import live
from k8scap.live.session.progress import size_text
from k8scap.live.watching import growing_table, points
from k8scap.live.watching.view import look
from k8scap.model import Manifest

ASKS = """
import socket, sys, threading
listener = socket.create_server(("127.0.0.1", 8080))
def serve(connection):
    while asked := connection.recv(65536):
        connection.sendall(asked * 20)
def accept():
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
threading.Thread(target=accept, daemon=True).start()
print("ready", flush=True)
for line in sys.stdin:
    for _ in range(int(line)):
        with socket.create_connection(("127.0.0.1", 8080)) as server:
            for _ in range(5):
                server.sendall(bytes(1400))
                left = 28000
                while left:
                    left -= len(server.recv(left))
    print("done", flush=True)
"""
CAPTURES = Path(__file__).parents[1] / "data/captures"
AT_ONCE = {"snaplen": 1200}  # up to 4 kB, tcpdump hands packets over without waiting for more
WIRESHARKS = ("retransmission", "lost_segment", "duplicate_ack", "window_full", "window_update", "keep_alive")


@pytest.fixture
def talk(namespace):
    """Has connections ask and answer on the namespace's loopback, as many as it is called with."""
    process = namespace.start(
        sys.executable, "-c", ASKS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    process.stdout.readline()

    def talk(connections):
        process.stdin.write(f"{connections}\n")
        process.stdin.flush()
        assert process.stdout.readline() == "done\n"

    yield talk
    process.stdin.close()
    process.stdout.close()


def tshark_says(file, *fields):
    argv = ["tshark", "-n", "-r", str(file), "-T", "fields", *(w for f in fields for w in ("-e", f))]
    lines = subprocess.check_output(argv, text=True, stderr=subprocess.DEVNULL).splitlines()
    return [line.split("\t") for line in lines]


# ---- the table ----


def test_the_table_grows_and_is_what_load_makes_of_the_file(namespace, talk, tmp_path):
    running = live.watch(f"netns/{namespace.name}", interface="lo", output=tmp_path, name="web", **AT_ONCE)
    assert len(running.packets) == 0
    seen = []
    for connections in (1, 3, 2):
        talk(connections)
        least = sum(seen[-1:]) + 10 * connections
        assert wait_until(lambda least=least: len(running.packets) > least)
        seen.append(len(running.packets))
    cap = running.stop()

    pd.testing.assert_frame_equal(running.packets, cap.packets, check_index_type="equiv")
    assert len(running.packets) == count_packets(tmp_path / "web.pcap")


def test_tcp_analysis_goes_on_across_the_seams(namespace, talk, tmp_path):
    lossy = ("-m", "statistic", "--mode", "nth", "--every", "60", "--packet", "0")
    namespace.run("iptables", "-A", "INPUT", "-p", "tcp", *lossy, "-j", "DROP")
    running = live.watch(f"netns/{namespace.name}", interface="lo", output=tmp_path, name="web", **AT_ONCE)
    seen = 0
    for _ in range(6):
        talk(2)
        assert wait_until(lambda seen=seen: len(running.packets) > seen)
        seen = len(running.packets)
    running.request_stop()
    running.wait()
    table = running.packets

    fields = ("tcp.stream", "tcp.seq", "tcp.ack", *(f"tcp.analysis.{name}" for name in WIRESHARKS))
    told = tshark_says(tmp_path / "web.pcap", *fields)
    assert [[str(n) for n in row] for row in table[["stream", "seq", "ack"]].to_numpy().tolist()] == [
        row[:3] for row in told
    ]
    for place, name in enumerate(WIRESHARKS, start=3):
        assert table[name].tolist() == [bool(row[place]) for row in told]
    assert table["retransmission"].any()
    rtts = [row[0] for row in tshark_says(tmp_path / "web.pcap", "tcp.analysis.ack_rtt") if row[0]]
    assert table["ack_rtt"].dropna().tolist() == pytest.approx([float(rtt) for rtt in rtts], abs=1e-9)


def test_bytes_that_were_read_are_not_read_again(pair, tmp_path):
    running = live.watch(pair.target, output=tmp_path, name="web", **AT_ONCE)
    pair.send(3000, size=1400)
    assert wait_until(lambda: len(running.packets) == 3000)
    read = bytes_read()
    for _ in range(20):
        assert len(running.packets) == 3000
    assert bytes_read() - read < (tmp_path / "web.pcap").stat().st_size / 2
    running.stop()


def bytes_read():
    """By this process, tcpdump's pipe and files alike."""
    return int(Path("/proc/self/io").read_text().split()[1])


def test_a_ring_is_followed_from_file_to_file(pair, tmp_path):
    running = live.watch(pair.target, output=tmp_path, name="web", **AT_ONCE, ring=(3, 40_000))
    kept = tmp_path / "kept"
    kept.mkdir()
    sent = 0
    for _ in range(6):
        sent += pair.send(60, size=1000)
        assert wait_until(lambda sent=sent: len(running.packets) == sent)
        for file in tmp_path.glob("web.*.pcap"):  # what the ring lets go of lives on under another name
            with contextlib.suppress(FileExistsError, FileNotFoundError):
                os.link(file, kept / file.name)
    cap = running.stop()
    for file in tmp_path.glob("web.*.pcap"):
        with contextlib.suppress(FileExistsError):
            os.link(file, kept / file.name)

    assert cap.manifest.counters.rotated_away > 0
    assert len(running.packets) == sent == count_packets(*kept.glob("*.pcap"))
    whole = k8scap.load(*kept.glob("*.pcap")).packets
    apart = ["point", "interface"]  # which a manifest tells, and the links have none beside them
    pd.testing.assert_frame_equal(
        running.packets.drop(columns=apart), whole.drop(columns=apart), check_index_type="equiv"
    )
    left = cap.packets
    assert running.packets["time"].iloc[-len(left) :].tolist() == left["time"].tolist()


def test_what_a_ring_let_go_of_before_it_was_read_is_missing_and_numbers_tell(pair, tmp_path):
    running = live.watch(pair.target, output=tmp_path, name="web", **AT_ONCE, ring=(2, 40_000))
    sent = pair.send(400, size=1000)
    assert wait_until(lambda: running.counters.on_disk + running.counters.rotated_away == sent)
    table = running.packets
    running.stop()

    assert 0 < len(table) < sent
    assert table.index.tolist() == list(range(sent - len(table) + 1, sent + 1))


def test_several_points_stand_one_after_the_other_as_in_load(pair, tmp_path):
    running = live.watch(pair.target, interface=["lo", "eth0"], output=tmp_path, name="web", **AT_ONCE)
    pair.send(30)
    pair.there_address = "127.0.0.1"
    pair.send(5)
    assert wait_until(lambda: len(running.packets) >= 30 + 5)
    cap = running.stop()

    pd.testing.assert_frame_equal(
        running.packets, cap.packets, check_index_type="equiv", check_categorical=False
    )
    assert set(running.packets["interface"]) == {"lo", "eth0"}


def test_old_rows_are_let_go_of_and_the_newest_stay(pair, tmp_path, monkeypatch):
    monkeypatch.setattr(points, "MOST_ROWS", 2000)
    for module in (points, growing_table):
        monkeypatch.setattr(module, "PIECE", 1000)
    running = live.watch(pair.target, output=tmp_path, name="web", **AT_ONCE)
    pair.send(7000)
    assert wait_until(lambda: running.counters.on_disk == 7000)
    table = running.packets
    running.stop()

    assert table.index.tolist() == list(range(5001, 7001))


def test_of_very_many_conversations_the_engine_remembers_the_last(tmp_path):
    whole = (CAPTURES / "verdicts.pcap").read_bytes()
    growing = tmp_path / "verdicts.pcap"
    table = growing_table.GrowingTable(Manifest(name="x", point="verdicts"), most_conversations=2)
    begun_anew = 0
    for end in range(24, len(whole) + 500, 500):
        growing.write_bytes(whole[:end])
        begun_anew += table.read([(growing, 0)], lambda _frames: None)
    rows = growing_table.stacked([piece.table for piece in table.newest(10**6)])

    told = tshark_says(CAPTURES / "verdicts.pcap", "ip.src", "ip.dst", "tcp.srcport", "frame.len")
    columns = ["src", "dst", "src_port", "length"]
    assert begun_anew > 0
    assert rows[columns].astype(str).to_numpy().tolist() == told
    assert rows["stream"].max() < int(
        max(tshark_says(CAPTURES / "verdicts.pcap", "tcp.stream"), key=int_of)[0]
    )


def int_of(row):
    return int(row[0])


# ---- what is seen meanwhile ----


def test_the_busiest_conversation_and_the_totals_are_those_of_tshark(namespace, talk, tmp_path):
    running = live.watch(f"netns/{namespace.name}", interface="lo", output=tmp_path, name="web")
    watcher = running.watcher
    talk(3)
    running.request_stop()
    assert wait_until(lambda: watcher.over, seconds=20)
    seen = look(watcher)

    file = tmp_path / "web.pcap"
    lengths = [(int(stream), int(n)) for stream, n in tshark_says(file, "tcp.stream", "frame.len")]
    streams = {s: [n for stream, n in lengths if stream == s] for s, _ in lengths}
    shown = sorted((row[2], row[4], row[5]) for row in seen["talks"])
    assert shown == sorted(("TCP", f"{len(n):,}", size_text(sum(n))) for n in streams.values())
    assert {row[1] for row in seen["talks"]} == {"127.0.0.1:8080"}
    assert seen["packets"] == f"{count_packets(file):,}"
    assert (seen["running"], seen["dropped"]) == (False, "0")


def test_what_is_found_is_seen_while_it_runs(namespace, tmp_path):
    running = live.watch(f"netns/{namespace.name}", interface="lo", output=tmp_path, name="web", **AT_ONCE)
    watcher = running.watcher
    knock = "import socket\nfor _ in range(20): socket.socket().connect_ex(('127.0.0.1', 9))"
    namespace.run(sys.executable, "-c", knock)
    assert wait_until(lambda: look(watcher)["findings"], seconds=20)
    assert running.running
    rules = [rule for _, rule, _, _ in look(watcher)["findings"]]
    running.stop()

    assert "connection-refused" in rules


def test_whoever_shows_it_may_fail_and_the_table_grows_all_the_same(pair, tmp_path, capfd):
    def fail(_watcher):
        raise RuntimeError("no widget")

    running = live.watch(pair.target, output=tmp_path, name="web", **AT_ONCE)
    running.watcher.tell(fail)
    pair.send(40)
    assert wait_until(lambda: len(running.packets) == 40)
    assert len(running.stop().packets) == 40

    assert "showing the capture failed (RuntimeError: no widget); it goes on." in capfd.readouterr().err


# ---- where there is no table ----


def test_a_capture_into_a_pipe_has_no_table(pair):
    code = (
        "import sys; from k8scap import live\n"
        "running = live.watch(sys.argv[1], output='-')\n"
        "try:\n    running.packets\nexcept Exception as error:\n    print(error, file=sys.stderr)\n"
        "running.stop()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, pair.target], capture_output=True, check=False, timeout=60
    )
    assert "This capture goes to a pipe: there is no file to read on in." in done.stderr.decode()
