"""A bundle for a vendor: the finding is in it, and no secret that was planted beside it."""

import json
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from scapy.all import ICMP, IP, TCP, Ether, PcapReader, Raw, wrpcap

import k8scap
from k8scap.errors import UsageError
from k8scap.sharing.evidence import frames_of
from k8scap.sharing.recordings import Contents, write_part

EXAMPLE = Path(__file__).parents[2] / "notebooks" / "captures" / "packet-loss.pcap"
IN_CONVERSATION = b"Authorization: Bearer hunter2 "
IN_ANOTHER = b"GET /private-page HTTP/1.1"
SECRETS = (
    b"hunter2", b"private-page", b"payroll-db", b"10.77.0.99", b"letmein", b"node-7", b"kaboom",
    b"sidecar-cmd",
)  # fmt: skip
"""In the payload, in another conversation, in the manifest's names, sockets, notes, nodes, events."""


def k8scap_command(*words, cwd=None):
    argv = [sys.executable, "-m", "k8scap", *map(str, words)]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=90, cwd=cwd)


def tshark(path, *fields, where=""):
    wanted = [word for field in fields for word in ("-e", field)]
    argv = ["tshark", "-n", "-r", path, *(["-Y", where] if where else []), "-T", "fields", *wanted]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def incident(tmp_path_factory):
    """The recorded example, with secrets in its payload and in its manifest."""
    folder = tmp_path_factory.mktemp("incident")
    frames = []
    for frame in PcapReader(str(EXAMPLE)):
        if TCP in frame and frame[TCP].payload:
            text = IN_CONVERSATION if 5001 in {frame.sport, frame.dport} else IN_ANOTHER
            size = len(frame[TCP].payload)
            frame[TCP].remove_payload()
            frame[TCP].add_payload(Raw((text * (size // len(text) + 1))[:size]))
            del frame[TCP].chksum
        frames.append(frame)
    path = folder / "incident.pcap"
    wrpcap(str(path), frames, nano=True)
    manifest = json.loads(EXAMPLE.with_suffix(".json").read_text())
    manifest |= {
        "name": "incident",
        "point": "incident",
        "filter": "(host 10.77.0.99 or host 198.18.0.20) or src port 5001",
        "command": ["tcpdump", "--", "letmein"],
        "notes": ["The command curl -u admin:letmein ended with exit code 0."],
        "events": [{"reason": "BackOff", "message": "kaboom"}],
        "dataplane": {"cni": "Cilium", "mesh": ["sidecar-cmd"]},
        "files": [{"name": "incident.pcap", "bytes": path.stat().st_size, "records": len(frames)}],
    }
    manifest["names"] += [
        {"address": "10.77.0.99", "name": "payroll-db", "kind": "pod", "node": "node-7"},
        {"address": "198.18.0.20", "name": "server", "kind": "host", "node": "node-7"},
    ]
    manifest["target"] |= {"node": "node-7", "image": "registry.example/payroll-db"}
    manifest["evidence"]["start"]["dev.cali-payroll-db.rx_bytes"] = 5
    manifest["evidence"]["start"]["sockets"] = [{"local": "198.18.0.10:1", "peer": "10.77.0.99:5432"}]
    path.with_suffix(".json").write_text(json.dumps(manifest))
    return path


@pytest.fixture(scope="module")
def whole(incident):
    return k8scap.load(incident)


@pytest.fixture(scope="module")
def bundle(incident, tmp_path_factory):
    out = tmp_path_factory.mktemp("shared") / "bundle"
    done = k8scap_command("share", incident, "--finding", "1", "-o", out)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{out}\n"
    return out


def planted(folder):
    """Which of the secrets stand in which file, whatever their case."""
    return {
        (file.name, secret)
        for file in folder.rglob("*")
        if file.is_file()
        for secret in SECRETS
        if secret.lower() in file.read_bytes().lower()
    }


def test_nothing_that_was_planted_leaks(incident, bundle):
    assert {secret for _, secret in planted(incident.parent)} == set(SECRETS)
    assert planted(bundle) == set()
    for file in bundle.iterdir():
        assert str(incident.parent).encode() not in file.read_bytes()


def test_dns_names_do_not_leak_either(incident, bundle):
    asked = {name for (name,) in tshark(incident, "dns.qry.name", where="dns") if name}
    assert asked
    for name in asked:
        for label in name.encode().split(b"."):
            written = bytes([len(label)]) + label
            assert all(written not in file.read_bytes() for file in bundle.glob("*.pcapng"))


def test_the_hashes_hold_and_all_is_private(bundle):
    names = {file.name for file in bundle.iterdir()}
    assert names == {"incident.pcapng", "incident.json", "report.html", "README.txt", "SHA256SUMS"}
    subprocess.run(["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=bundle, check=True, capture_output=True)
    listed = {line.split()[1] for line in (bundle / "SHA256SUMS").read_text().splitlines()}
    assert listed == names - {"SHA256SUMS"}
    assert {file.stat().st_mode & 0o777 for file in bundle.iterdir()} == {0o600}
    assert bundle.stat().st_mode & 0o777 == 0o700


def test_the_conversation_is_there_whole_with_its_lengths(incident, bundle):
    fields = ("frame.time_epoch", "frame.len", "tcp.seq_raw", "tcp.len", "tcp.options.timestamp.tsval")
    there = tshark(incident, *fields, where="tcp.port == 5001")
    assert tshark(bundle / "incident.pcapng", *fields) == there
    payload = [int(row[0]) for row in tshark(bundle / "incident.pcapng", "tcp.len")]
    captured = [int(row[0]) for row in tshark(bundle / "incident.pcapng", "frame.cap_len")]
    assert sum(payload) > 100_000
    assert max(captured) <= 20 + 60


def test_the_finding_is_found_again_by_who_gets_it(whole, bundle):
    first = whole.findings[0].to_dict()
    told = k8scap_command("diagnose", bundle / "incident.pcapng", "--format", "json")
    again = json.loads(told.stdout)[0]
    for key in ("rule", "title", "source", "destination", "affected", "total", "seconds_lost", "first_seen"):
        assert again[key] == first[key]
    commented = tshark(bundle / "incident.pcapng", "frame.number", where='frame.comment contains "k8scap"')
    assert len(commented) == again["frame_count"]


def test_who_reads_it_is_told_what_it_is_and_what_is_missing(bundle):
    told = (bundle / "README.txt").read_text()
    for words in ("packet-loss", "sha256sum -c", "what applications said", "k8scap diagnose incident.pcapng"):
        assert words in told
    manifest = json.loads((bundle / "incident.json").read_text())
    assert {entry["name"] for entry in manifest["names"]} == {"client", "server"}
    assert manifest["filter"] == "(host … or host 198.18.0.20) or src port 5001"
    assert manifest["dataplane"] == {"cni": "Cilium"}
    assert manifest["evidence"]["end"]["Ip.InReceives"] > 0


def test_payload_goes_along_where_it_is_asked_for(whole, tmp_path):
    ((point, packets),) = frames_of(whole, {1: whole.findings[0]}).items()
    contents = Contents(payload=True, dns=True, note="payload kept")
    write_part(whole, point, packets, tmp_path / "part.pcapng", contents=contents)
    assert planted(tmp_path) == {("part.pcapng", b"hunter2")}


def test_each_point_keeps_its_own_frames(incident, tmp_path):
    for point in ("near", "far"):
        shutil.copy(incident, tmp_path / f"{point}.pcap")
    cap = k8scap.load(tmp_path / "near.pcap", tmp_path / "far.pcap")
    lost = [f for f in cap.findings if f.status == "found" and f.affected > 5]
    there = len(tshark(incident, "frame.number", where="tcp.port == 5001"))
    shared = frames_of(cap, dict(enumerate(lost, start=1)))
    assert {point: len(packets) for point, packets in shared.items()} == {"near": there, "far": there}


def test_what_is_there_is_not_overwritten_and_only_what_was_found_is_shared(whole, bundle):
    with pytest.raises(UsageError, match="is there already"):
        k8scap.share(whole, findings=1, output=bundle)
    with pytest.raises(UsageError, match="no finding 99 here, of 1 to") as refusal:
        k8scap.share(whole, findings=99)
    assert shlex.split(refusal.value.next_step) == ["k8scap", "diagnose", str(whole.recordings[0].files[0])]
    ruled_out = next(finding for finding in whole.findings if finding.status == "ruled_out")
    with pytest.raises(UsageError, match=ruled_out.rule):
        k8scap.share(whole, findings=ruled_out)


def test_icmp_errors_about_the_conversation_come_along_in_a_zip_too_others_do_not(tmp_path):
    def syn(port, peer):
        return IP(src="198.18.0.1", dst=peer) / TCP(sport=port, dport=80, flags="S", seq=100)

    def refusal(packet):
        return IP(src="198.18.0.254", dst="198.18.0.1") / ICMP(type=3, code=1) / packet

    refused, other = syn(40000, "198.18.0.2"), syn(40001, "198.18.0.3")
    answer = IP(src="198.18.0.3", dst="198.18.0.1") / TCP(sport=80, dport=40001, flags="SA", seq=5, ack=101)
    frames = []
    for at in (0, 1, 3, 7):
        frames.append((at, refused))
        frames.append((at + 0.01, refusal(refused)))
    frames += [(0.5, other), (0.51, answer), (0.52, refusal(other))]
    written = []
    for at, packet in sorted(frames, key=lambda one: one[0]):
        frame = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / packet.copy()
        frame.time = 1_700_000_000 + at
        written.append(frame)
    wrpcap(str(tmp_path / "refused.pcap"), written)
    cap = k8scap.load(tmp_path / "refused.pcap")
    number = 1 + next(i for i, f in enumerate(cap.findings) if "198.18.0.2" in f.destination)
    out = k8scap.share(cap, findings=number, output=tmp_path / "all.zip")
    assert out.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(out) as archive:
        archive.extractall(tmp_path)
    told = tshark(tmp_path / "all" / "refused.pcapng", "ip.dst", "icmp.type")
    assert sorted(told) == sorted([["198.18.0.2", ""]] * 4 + [["198.18.0.1,198.18.0.2", "3"]] * 4)
