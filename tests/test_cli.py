"""The command line as its user meets it: what it prints, its exit code, never a traceback."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from scapy.all import IP, TCP, Ether, Raw, wrpcap

K8SCAP = str(Path(sys.executable).with_name("k8scap"))


def k8scap(*words, cwd=None):
    return subprocess.run([K8SCAP, *words], capture_output=True, text=True, check=False, cwd=cwd, timeout=60)


@pytest.fixture
def handshake(tmp_path):
    """A connection of three frames, made by hand."""
    there, back = ({"src": "198.18.0.1", "dst": "198.18.0.2"}, {"src": "198.18.0.2", "dst": "198.18.0.1"})
    frames = [
        Ether() / IP(**there) / TCP(sport=40000, dport=80, flags="S", seq=100),
        Ether() / IP(**back) / TCP(sport=80, dport=40000, flags="SA", seq=500, ack=101),
        Ether() / IP(**there) / TCP(sport=40000, dport=80, flags="A", seq=101, ack=501) / Raw(b"hello"),
    ]
    for i, frame in enumerate(frames):
        frame.time = 1_700_000_000 + i * 0.010
    path = tmp_path / "handshake.pcap"
    wrpcap(str(path), frames)
    return path


def test_python_runs_it_as_a_module_too(handshake):
    argv = [sys.executable, "-m", "k8scap", "conversations", str(handshake), "--format", "csv"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == k8scap(*argv[3:]).stdout
    assert "198.18.0.1" in done.stdout


def test_help_names_each_command_and_exit_code():
    done = k8scap("--help")
    assert done.returncode == 0
    for word in (
        "capture",
        "enter",
        "netns",
        "diagnose",
        "report",
        "notebook",
        "lab",
        "docker/NAME",
        "6 the",
    ):
        assert word in done.stdout


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["capture"], 2),
        (["packets", "no-such.pcap"], 7),
        (["report", "."], 7),
        (["capture", "netns/no-such-namespace"], 3),
        (["capture", "pid/999999999"], 3),
        (["enter", "pid/999999999"], 3),
        (["netns", "netns/no-such-namespace"], 3),
        (["capture", "nonsense/x"], 2),
        (["capture", "pid/1;reboot"], 2),
        (["capture", "docker/$(id)"], 2),
        (["lab", "no-such-scenario"], 2),
        (["notebook", "no-such.pcap"], 7),
    ],
)
def test_an_error_is_a_sentence_with_the_next_command(words, code, tmp_path):
    done = k8scap(*words, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith(("k8scap: ", "usage: "))
    assert "next: " in done.stderr or done.stderr.startswith("usage: ")


@pytest.mark.parametrize("content", [b"", b"this is not a capture\n" * 10, bytes(4096)])
def test_what_is_no_capture_is_exit_7(content, tmp_path):
    file = tmp_path / "x.pcap"
    file.write_bytes(content)
    done = k8scap("packets", str(file))
    assert done.returncode == 7
    assert "Traceback" not in done.stderr


def test_a_bad_display_filter_is_exit_2(handshake):
    done = k8scap("packets", str(handshake), "--where", "tcp.port ==")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_packets_as_csv_has_each_frame(handshake):
    done = k8scap("packets", str(handshake), "--format", "csv")
    lines = done.stdout.splitlines()
    assert len(lines) == 1 + 3
    header, last = lines[0].split(","), lines[3].split(",")
    row = dict(zip(header, last, strict=True))
    assert (row["number"], row["src"], row["src_port"], row["payload_length"]) == (
        "3",
        "198.18.0.1",
        "40000",
        "5",
    )
    assert row["time"].startswith("2023-11-14T22:13:20.02")


def test_conversations_as_json_and_where(handshake):
    one = json.loads(k8scap("conversations", str(handshake), "--format", "json").stdout)
    none = json.loads(k8scap("conversations", str(handshake), "--where", "udp", "--format", "json").stdout)
    assert [(c["src"], c["dst"], c["dst_port"], c["packets"]) for c in one] == [
        ("198.18.0.1", "198.18.0.2", 80, 3)
    ]
    assert none == []


def test_parquet_goes_to_a_file_only(handshake, tmp_path):
    import pandas as pd

    refused = k8scap("packets", str(handshake), "--format", "parquet")
    written = k8scap("packets", str(handshake), "--format", "parquet", "-o", str(tmp_path / "p.parquet"))
    assert refused.returncode == 2
    assert written.returncode == 0, written.stderr
    assert len(pd.read_parquet(tmp_path / "p.parquet")) == 3


def test_diagnose_as_json_has_every_rule(handshake):
    done = k8scap("diagnose", str(handshake), "--format", "json")
    findings = json.loads(done.stdout)
    documented = Path(__file__).parents[1] / "docs" / "findings.md"
    rules = {line[3:] for line in documented.read_text().splitlines() if line.startswith("## ")}
    assert {f["rule"] for f in findings} == rules
    assert {f["status"] for f in findings} <= {"ruled_out", "not_judged"}


def test_between_needs_times_that_can_be_read(handshake):
    done = k8scap("packets", str(handshake), "--between", "yesterday", "today")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_the_words_behind_the_dashes_are_the_commands():
    done = k8scap("enter", "pid/999999999", "--", "ls", "--seconds", "-f")
    assert done.returncode == 3


def test_notebooks_are_copied_and_bound_to_the_file(handshake, tmp_path):
    done = k8scap("notebook", str(handshake), "--no-open", "-o", str(tmp_path / "mine"))
    assert done.returncode == 0, done.stderr
    copies = sorted((tmp_path / "mine").glob("*.ipynb"))
    assert [c.stem[:2] for c in copies] == ["01", "02", "03", "04", "05", "06"]
    for copy in copies:
        sources = ["".join(cell["source"]) for cell in json.loads(copy.read_text())["cells"]]
        assert any(str(handshake) in source for source in sources)


def test_a_story_is_asked_for_by_its_short_name(handshake, tmp_path):
    ends = ["notebook", "--story", "both-ends", str(handshake), str(handshake), "--no-open"]
    done = k8scap(*ends, "-o", str(tmp_path / "one"))
    assert done.returncode == 0, done.stderr
    (copy,) = (tmp_path / "one").iterdir()
    assert copy.name == "06_both_ends.ipynb"
    assert copy.read_text().count(str(handshake)) >= 2


def test_an_unknown_story_is_refused_with_those_that_there_are(tmp_path):
    done = k8scap("notebook", "--story", "romance", "--no-open", "-o", str(tmp_path / "none"))
    assert done.returncode == 2
    assert "capture, latency, retransmissions, conversations, post-mortem, both-ends" in done.stderr
    assert not (tmp_path / "none").exists()
