"""A capture written for Wireshark: tshark reads the same frames, and shows names, findings and notes."""

import gzip
import json
import os
import shutil
import struct
import subprocess
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from scapy.all import IP, UDP, Ether, wrpcap

import k8scap
from k8scap.errors import UsageError
from k8scap.model import NameEntry
from k8scap.names import Names

DATA = Path(__file__).parents[1] / "data" / "captures"
VERDICTS = DATA / "verdicts.pcap"
INTERFACES = DATA / "pcapng_with_interfaces.pcapng"
FRAME = (
    "frame.time_epoch", "frame.len", "frame.cap_len", "frame.protocols", "frame.packet_flags_direction",
    "eth.src", "ip.src", "ip.id", "tcp.seq_raw", "udp.port",
)  # fmt: skip
BEGAN = datetime(2026, 1, 31, 10, tzinfo=UTC)


def tshark(path, *fields, options=("-n",)):
    """Rows of fields as tshark has them."""
    wanted = [word for field in fields for word in ("-e", field)]
    done = subprocess.run(
        ["tshark", *options, "-r", path, "-T", "fields", *wanted], capture_output=True, text=True, check=True
    )
    return [line.split("\t") for line in done.stdout.splitlines()]


def capinfos(path):
    done = subprocess.run(["capinfos", "-M", path], capture_output=True, text=True, check=True)
    return done.stdout


@cache
def frames_of(path):
    """A frame as tshark tells it; a direction that nobody knows and no time resolution count as nothing."""
    return [
        ["" if text in {"unknown", "0x00000000"} else text for text in row] for row in tshark(path, *FRAME)
    ]


@pytest.mark.parametrize(
    "name", ["verdicts.pcap", "nanoseconds.pcap", "cooked.pcap", "tunnels.pcap", INTERFACES.name]
)
def test_the_frames_read_as_in_the_file_that_was_opened(tmp_path, name):
    out = k8scap.load(DATA / name).to_pcapng(tmp_path / "out.pcapng", findings=())
    assert frames_of(out) == frames_of(DATA / name)
    assert out.stat().st_mode & 0o777 == 0o600
    assert sorted(tmp_path.iterdir()) == [out]


def test_interfaces_keep_their_names_and_are_described_by_their_point(tmp_path):
    out = k8scap.load(INTERFACES).to_pcapng(tmp_path / "out.pcapng", findings=())
    names = [row[0] for row in tshark(INTERFACES, "frame.interface_name")]
    told = tshark(out, "frame.interface_name", "frame.interface_description")
    assert told == [[name, "pcapng_with_interfaces"] for name in names]


def test_findings_stand_at_their_frames_and_the_file_says_what_made_it(tmp_path):
    cap = k8scap.load(VERDICTS)
    loss = next(f for f in cap.findings if f.rule == "packet-loss")
    out = cap.to_pcapng(tmp_path / "out.pcapng")
    told = {
        int(number): comment for number, comment in tshark(out, "frame.number", "frame.comment") if comment
    }
    assert set(loss.frames) <= told.keys()
    for number in loss.frames:
        assert f"k8scap {loss.severity} packet-loss: {loss.title}" in told[number]
        assert loss.next_step in told[number]
    shown = tshark(out, "frame.number", options=("-n", "-Y", 'frame.comment contains "k8scap"'))
    assert {int(number) for (number,) in shown} == told.keys()
    assert f"k8scap {k8scap_version()}" in capinfos(out)
    assert "verdicts.pcap" in capinfos(out)
    assert str(VERDICTS.parent) not in capinfos(out)


def k8scap_version():
    done = subprocess.run(
        [os.sys.executable, "-m", "k8scap", "--version"], capture_output=True, text=True, check=True
    )
    return done.stdout.split()[-1]


def packet(ticks, data, *comments):
    options = b"".join(
        struct.pack("<HH", 1, len(text)) + text + bytes(-len(text) % 4) for text in comments
    ) + bytes(4)
    head = struct.pack("<IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
    return block(6, head + data + bytes(-len(data) % 4) + options)


def block(kind, body):
    return struct.pack("<II", kind, 12 + len(body)) + body + struct.pack("<I", 12 + len(body))


def name_block(address, name):
    value = bytes(map(int, address.split("."))) + name.encode() + b"\0"
    return block(4, struct.pack("<HH", 1, len(value)) + value + bytes(-len(value) % 4) + bytes(4))


SECRET = b"CLIENT_RANDOM 00"


@pytest.fixture
def annotated(tmp_path):
    """A pcapng with two comments at one frame, names and decryption secrets."""
    datagram = bytes(Ether() / IP(src="198.18.0.1", dst="198.18.0.2") / UDP(sport=4000, dport=4001) / b"x")
    path = tmp_path / "annotated.pcapng"
    path.write_bytes(
        block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
        + block(1, struct.pack("<HHI", 1, 0, 0))
        + name_block("198.18.0.1", "old-name") + name_block("198.18.0.2", "kept-name")
        + block(10, struct.pack("<II", 0x544C534B, len(SECRET)) + SECRET)
        + packet(1_000_000, datagram, b"first", b"second") + packet(2_000_000, datagram)
    )  # fmt: skip
    return path


def test_comments_that_were_there_stay_and_notes_join_them(annotated, tmp_path):
    cap = k8scap.load(annotated)
    out = cap.to_pcapng(
        tmp_path / "out.pcapng", comments={("annotated", 1): "mine", ("annotated", 2): "look\nhere"}
    )
    assert tshark(out, "frame.comment", options=("-n", "-c", "1")) == [["first,second,mine"]]
    assert b"look\nhere" in out.read_bytes()


def test_a_note_at_a_point_that_is_not_there_is_refused(annotated, tmp_path):
    with pytest.raises(UsageError, match="elsewhere is none of them"):
        k8scap.load(annotated).to_pcapng(tmp_path / "out.pcapng", comments={("elsewhere", 1): "mine"})


def test_decryption_secrets_go_along_unless_told_not_to(annotated, tmp_path):
    cap = k8scap.load(annotated)
    assert SECRET in cap.to_pcapng(tmp_path / "with.pcapng", findings=()).read_bytes()
    assert SECRET not in cap.to_pcapng(tmp_path / "without.pcapng", findings=(), secrets=False).read_bytes()


def hosts(path):
    done = subprocess.run(
        ["tshark", "-q", "-r", path, "-z", "hosts"], capture_output=True, text=True, check=True
    )
    return dict(line.split("\t") for line in done.stdout.splitlines() if line and line[0] != "#")


def test_wireshark_shows_who_the_addresses_are_and_our_word_counts(annotated, tmp_path):
    cap = k8scap.load(annotated, names={"198.18.0.1": "shop/checkout-7d9f", "198.18.9.9": "not/in-it"})
    out = cap.to_pcapng(tmp_path / "out.pcapng", findings=())
    assert hosts(out) == {"198.18.0.1": "shop/checkout-7d9f", "198.18.0.2": "kept-name"}
    assert tshark(out, "ip.src_host", options=("-N", "n")) == [["shop/checkout-7d9f"]] * 2
    assert hosts(cap.to_pcapng(tmp_path / "own.pcapng", findings=(), names=False))["198.18.0.1"] == "old-name"


def test_an_address_that_changed_hands_bears_the_name_of_most_of_its_frames(tmp_path):
    frames = [
        Ether() / IP(src="198.18.0.1", dst="198.18.0.2") / UDP(sport=4000, dport=4001) for _ in range(10)
    ]
    for i, frame in enumerate(frames):
        frame.time = BEGAN.timestamp() + i
    wrpcap(str(tmp_path / "moved.pcap"), frames)
    change = BEGAN + timedelta(seconds=2.5)
    names = Names(
        [
            NameEntry(address="198.18.0.1", name="first", kind="pod", namespace="shop", end=change),
            NameEntry(address="198.18.0.1", name="second", kind="pod", namespace="shop", start=change),
        ]
    )
    out = k8scap.load(tmp_path / "moved.pcap", names=names).to_pcapng(tmp_path / "out.pcapng", findings=())
    assert hosts(out) == {"198.18.0.1": "shop/second"}
    assert "198.18.0.1 changed hands" in capinfos(out)
    assert "shop/first (3 frames)" in capinfos(out)


def test_a_selection_has_its_frames_alone_and_tells_their_numbers(tmp_path):
    cap = k8scap.load(VERDICTS).select("tcp.flags.syn == 1")
    out = cap.to_pcapng(tmp_path / "out.pcapng", comments={("verdicts", 1): "opening"}, findings=())
    assert frames_of(out) == [frames_of(VERDICTS)[number - 1] for number in cap.packets.index]
    assert tshark(out, "frame.comment")[0] == ["opening [frame 1 of verdicts]"]
    between = ("2023-11-14T22:13:20.02Z", "2023-11-14T22:13:20.06Z")
    later = k8scap.load(VERDICTS, between=between).to_pcapng(tmp_path / "later.pcapng", findings=())
    times = [float(row[0]) for row in tshark(VERDICTS, "frame.time_epoch")]
    inside = [t for t in times if 1_700_000_000.02 <= t <= 1_700_000_000.06]
    assert [float(row[0]) for row in tshark(later, "frame.time_epoch")] == inside


def test_several_points_are_merged_by_time_each_in_its_own_order(tmp_path):
    """Against mergecap, of points that are long enough to be read in several blocks."""
    files = []
    for point, share in enumerate((0, 0.4)):
        frames = [
            Ether(src=f"02:00:00:00:00:0{point + 1}") / IP(src="198.18.0.1", dst="198.18.0.2", id=i % 65536)
            for i in range(60)
        ]
        for i, frame in enumerate(frames):
            frame.time = BEGAN.timestamp() + i * (1 + point) + share
        files.append(tmp_path / f"point{point}.pcap")
        wrpcap(str(files[-1]), frames)
    out = k8scap.load(*files).to_pcapng(tmp_path / "out.pcapng", findings=())
    merged = tmp_path / "merged.pcapng"
    subprocess.run(["mergecap", "-w", merged, *files], check=True)
    assert frames_of(out) == frames_of(merged)
    told = Counter(row[0] for row in tshark(out, "frame.interface_description"))
    assert told == {"point0": 60, "point1": 60}


def test_rotated_and_packed_files_are_one_point(tmp_path):
    (tmp_path / "ring.0001.pcap.gz").write_bytes(gzip.compress(VERDICTS.read_bytes()))
    shutil.copy(VERDICTS, tmp_path / "ring.0002.pcap")
    cap = k8scap.load(*tmp_path.glob("ring.*"))
    out = cap.to_pcapng(tmp_path / "out.pcapng", findings=(), comments={("ring", 40): "the second's second"})
    assert frames_of(out) == frames_of(VERDICTS) * 2
    told = [row[0] for row in tshark(out, "frame.comment")]
    assert [i + 1 for i, text in enumerate(told) if text] == [40]


def test_its_own_file_is_not_overwritten(tmp_path):
    mine = tmp_path / "mine.pcap"
    mine.write_bytes(VERDICTS.read_bytes())
    with pytest.raises(UsageError, match="kept as it is"):
        k8scap.load(mine).to_pcapng(mine)
    assert mine.read_bytes() == VERDICTS.read_bytes()


def test_a_format_that_only_tshark_knows_is_written_too(tmp_path):
    snoop = tmp_path / "old.snoop"
    subprocess.run(["editcap", "-F", "snoop", VERDICTS, snoop], check=True)
    out = k8scap.load(snoop).to_pcapng(tmp_path / "out.pcapng", findings=())
    assert frames_of(out) == frames_of(snoop)


def test_parquet_gives_the_packets_table_back(tmp_path):
    cap = k8scap.load(VERDICTS, DATA / "tunnels.pcap")
    path = cap.to_parquet(tmp_path / "packets.parquet")
    told, packets = pd.read_parquet(path), cap.packets
    assert told.index.tolist() == packets.index.tolist()
    assert told.columns.tolist() == packets.columns.tolist()
    assert told["time"].dtype == packets["time"].dtype
    assert told["src"].astype("str").tolist() == packets["src"].astype("str").tolist()
    assert told["ack_rtt"].equals(packets["ack_rtt"])
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_command_writes_it_with_the_browsers_marks_and_says_where_there_is_no_wireshark(tmp_path):
    mine, out = tmp_path / "mine.pcap", tmp_path / "out.pcapng"
    mine.write_bytes(VERDICTS.read_bytes())
    marks = [{"number": 3, "note": "here it begins"}, {"number": 5, "note": ""}]
    (tmp_path / "mine.marks.json").write_text(
        json.dumps({"kind": "k8scap marks", "format": 1, "marks": marks})
    )
    argv = [os.sys.executable, "-m", "k8scap", "wireshark", str(mine), "-o", str(out), "--no-findings"]
    bare = {**os.environ, "PATH": ""}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60, env=bare)
    assert done.returncode == 5
    assert "apt-get install wireshark" in done.stderr
    assert frames_of(out) == frames_of(VERDICTS)
    told = {number: text for number, text in tshark(out, "frame.number", "frame.comment") if text}
    assert told == {"3": "here it begins", "5": "marked"}


@pytest.mark.parametrize("where", ["tcp.flags.syn == 1", "tcp.port == 1"])
def test_the_command_says_how_many_frames_it_wrote(tmp_path, where):
    out, read = tmp_path / "out.pcapng", len(frames_of(VERDICTS))
    argv = [os.sys.executable, "-m", "k8scap", "wireshark", str(VERDICTS), "--where", where, "--no-open"]
    argv += ["-o", str(out)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    written = len(tshark(out, "frame.number"))
    none = f"No frame passes the filter {where}: {read:,} frames were read.\n"
    some = f"{written:,} frames pass the filter {where}, and were written.\n"
    assert done.stderr == (some if written else none)
    assert done.stdout == f"{out}\n"
    assert (written > 0) == ("syn" in where)


def test_wireshark_is_opened_on_a_private_file_that_is_gone_afterwards(tmp_path):
    """A Wireshark that writes down what it was given."""
    seen = tmp_path / "seen.json"
    wireshark = tmp_path / "bin" / "wireshark"
    wireshark.parent.mkdir()
    wireshark.write_text(
        f"#!{os.sys.executable}\n"
        "import json, os, sys\n"
        "path = sys.argv[-1]\n"
        "told = [sys.argv[1:], os.stat(path).st_mode & 0o777, os.path.getsize(path)]\n"
        f"json.dump(told, open({str(seen)!r}, 'w'))\n"
    )
    wireshark.chmod(0o755)
    argv = [os.sys.executable, "-m", "k8scap", "wireshark", str(VERDICTS), "--where", "tcp.flags.syn == 1"]
    env = {**os.environ, "PATH": f"{wireshark.parent}:{os.environ['PATH']}"}
    subprocess.run(argv, check=True, timeout=60, env=env)
    words, mode, size = json.loads(seen.read_text())
    assert words[-2] == "-r"
    assert "n" in words[words.index("-N") + 1]
    assert (mode, size > 500) == (0o600, True)
    assert not Path(words[-1]).exists()
