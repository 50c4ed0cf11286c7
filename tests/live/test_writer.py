"""A stream in pieces of any size becomes files of whole records, within the limits."""

import os
import random
import struct
import subprocess
import threading
from pathlib import Path

import pytest
from outside import count_packets

from k8scap.live.session.framing import NotPcapError, cut_to_whole_records
from k8scap.live.session.writer import FileSink, PipeSink, Writer

# Written by hand from the format's description: magic (nanoseconds), version 2.4, snaplen, Ethernet.
HEADER = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1)
RECORD_HEADER = 16


def record(length=100, *, second=0):
    return struct.pack("<IIII", second, 500, length, length) + bytes(length)


def stream_of(*lengths):
    return HEADER + b"".join(record(length, second=n) for n, length in enumerate(lengths))


def pieces(data, seed):
    """The data cut at random places, now and then inside a header."""
    rng = random.Random(seed)
    at = 0
    while at < len(data):
        step = rng.choice([1, 7, 16, 24, 300, 5000])
        yield data[at : at + step]
        at += step


def write(sink, data, *, seed=1, until_ns=None, **limits):
    writer = Writer(sink, **limits)
    writer.until_ns = until_ns
    feed(writer, data, seed=seed)
    writer.close()
    return writer


def feed(writer, data, *, seed):
    for piece in pieces(data, seed):
        writer.feed(piece)


@pytest.mark.parametrize("seed", range(10))
def test_the_file_is_the_stream_however_it_was_cut(tmp_path, seed):
    rng = random.Random(seed)
    data = stream_of(*(rng.choice([0, 1, 60, 1514, 65000]) for _ in range(200)))

    writer = write(FileSink(tmp_path, "web", size=None, ring=None), data, seed=seed)

    assert (tmp_path / "web.pcap").read_bytes() == data
    assert writer.sink.records == 200
    assert count_packets(tmp_path / "web.pcap") == 200


def test_a_record_that_has_not_come_whole_is_not_written(tmp_path):
    data = stream_of(100, 100, 100)

    writer = write(FileSink(tmp_path, "web", size=None, ring=None), data[:-1])

    assert writer.sink.records == 2
    assert count_packets(tmp_path / "web.pcap") == 2


def test_so_many_packets_and_not_one_more(tmp_path):
    writer = write(FileSink(tmp_path, "web", size=None, ring=None), stream_of(*[60] * 50), packets=20)

    assert (writer.full, writer.past_limit) == ("packets", 30)
    assert count_packets(tmp_path / "web.pcap") == 20


def test_so_many_bytes_and_not_one_more(tmp_path):
    ten = len(HEADER) + 10 * (RECORD_HEADER + 60)

    exactly = write(FileSink(tmp_path, "exactly", size=ten, ring=None), stream_of(*[60] * 50))
    one_less = write(FileSink(tmp_path, "one-less", size=ten - 1, ring=None), stream_of(*[60] * 50))

    assert (exactly.full, exactly.past_limit) == ("size", 40)
    assert (tmp_path / "exactly.pcap").stat().st_size == ten
    assert (one_less.full, one_less.past_limit) == ("size", 41)
    assert count_packets(tmp_path / "one-less.pcap") == 9


def test_nothing_later_than_the_end(tmp_path):
    until = 6 * 1_000_000_000 + 500  # the seventh record's time to the nanosecond

    writer = write(FileSink(tmp_path, "web", size=None, ring=None), stream_of(*[60] * 10), until_ns=until)

    assert (writer.sink.records, writer.past_limit) == (7, 3)


def test_a_ring_keeps_the_last_files_and_counts_what_it_lets_go(tmp_path):
    three = len(HEADER) + 3 * (RECORD_HEADER + 60)

    writer = write(FileSink(tmp_path, "web", size=None, ring=(2, three)), stream_of(*[60] * 10))

    assert sorted(p.name for p in tmp_path.iterdir()) == ["web.0003.pcap", "web.0004.pcap"]
    assert [(e.name, e.records) for e in writer.sink.entries] == [("web.0003.pcap", 3), ("web.0004.pcap", 1)]
    assert writer.sink.rotated_away == 6
    assert count_packets(*tmp_path.iterdir()) == 4


def test_a_record_larger_than_a_rings_file_gets_one_for_itself(tmp_path):
    writer = write(FileSink(tmp_path, "web", size=None, ring=(3, 1000)), stream_of(60, 5000, 60))

    assert [e.records for e in writer.sink.entries] == [1, 1, 1]


def test_files_are_for_their_owner_only(tmp_path):
    old = os.umask(0)
    try:
        write(FileSink(tmp_path, "web", size=None, ring=None), stream_of(60))
    finally:
        os.umask(old)

    assert (tmp_path / "web.pcap").stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_there_is_not_touched(tmp_path):
    (tmp_path / "web.pcap").write_text("mine")

    with pytest.raises(FileExistsError):
        write(FileSink(tmp_path, "web", size=None, ring=None), stream_of(60))

    assert (tmp_path / "web.pcap").read_text() == "mine"


@pytest.mark.parametrize("room", [100_000, 100_001, 131_071])
def test_on_a_full_disk_the_file_ends_with_its_last_whole_record(small_disk, room):
    folder = small_disk("256k")
    (folder / "ballast").write_bytes(bytes(room))
    sink = FileSink(folder, "web", size=None, ring=None)
    writer = Writer(sink)

    with pytest.raises(OSError, match="No space left"):
        feed(writer, stream_of(*[1400] * 1000), seed=3)
    writer.close()

    assert sink.records == count_packets(folder / "web.pcap") > 50
    assert (folder / "web.pcap").stat().st_size == len(HEADER) + sink.records * (RECORD_HEADER + 1400)


def test_what_is_no_pcap(tmp_path):
    with pytest.raises(NotPcapError):
        write(FileSink(tmp_path, "web", size=None, ring=None), b"Unable to start the tty session, and so on")

    assert list(tmp_path.iterdir()) == []


def test_a_length_that_no_record_has(tmp_path):
    broken = HEADER + record() + struct.pack("<IIII", 0, 0, 0x7FFFFFFF, 60) + bytes(60)

    with pytest.raises(NotPcapError):
        write(FileSink(tmp_path, "web", size=None, ring=None), broken)


def test_a_pipe_gets_the_same_stream():
    data = stream_of(*[1000] * 500)
    reader = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    with reader.stdin as pipe:
        sink = PipeSink(pipe.fileno(), size=None, give_up=lambda: False)
        received = []
        thread = threading.Thread(target=lambda: received.append(reader.stdout.read()))
        thread.start()
        write(sink, data)
    thread.join(10)
    reader.stdout.close()

    assert reader.wait(10) == 0
    assert received == [data]


def test_a_pipe_that_nobody_reads_holds_nobody_up():
    reading, writing = os.pipe()
    sink = PipeSink(writing, size=None, give_up=lambda: True)

    with pytest.raises(BrokenPipeError):
        write(sink, stream_of(*[1000] * 500))

    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("cut", [1, 15, 16, 17, 59, 75])
def test_a_torn_file_is_cut_to_whole_records(tmp_path, cut):
    path = tmp_path / "torn.pcap"
    path.write_bytes(stream_of(*[60] * 5)[:-cut])

    assert cut_to_whole_records(path) == count_packets(path) == 4


def test_a_file_without_a_whole_header_is_removed(tmp_path):
    path = tmp_path / "torn.pcap"
    path.write_bytes(HEADER[:23])

    assert cut_to_whole_records(path) == 0
    assert not path.exists()


def test_a_whole_file_is_left_as_it_is(tmp_path):
    path = Path(tmp_path / "whole.pcap")
    path.write_bytes(stream_of(*[60] * 5))

    assert cut_to_whole_records(path) == 5
    assert path.read_bytes() == stream_of(*[60] * 5)
