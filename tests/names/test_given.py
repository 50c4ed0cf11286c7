"""What a user gives as `names=` and `--names`: it names the addresses, before the manifest does."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from k8scap import load, report
from k8scap.errors import UnreadableFileError, UsageError
from k8scap.model import CaptureManifest, Manifest, NameEntry
from k8scap.names import Names
from k8scap.recording import write_manifest

K8SCAP = str(Path(sys.executable).with_name("k8scap"))
VERDICTS = Path(__file__).parents[1] / "data" / "captures" / "verdicts.pcap"
CLIENT, SERVER = "198.18.0.1", "198.18.0.2"


def k8scap(*words):
    return subprocess.run([K8SCAP, *map(str, words)], capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def pcap(tmp_path):
    """Two ends, and a manifest that knows both."""
    path = tmp_path / "web.pcap"
    path.write_bytes(VERDICTS.read_bytes())
    names = tuple(NameEntry(address=a, name=f"old-{a[-1]}", kind="container") for a in (CLIENT, SERVER))
    write_manifest(tmp_path / "web.json", Manifest(name="web", point="web", names=names))
    return path


@pytest.fixture
def hosts(tmp_path):
    path = tmp_path / "hosts"
    path.write_text(f"{SERVER} redis\n")
    return path


def ends(cap):
    row = cap.conversations.iloc[0]
    return row["src_name"], row["dst_name"]


@pytest.mark.parametrize(
    "wrap", [str, Path, lambda path: [path], lambda path: [str(path)], lambda path: (path,)]
)
def test_a_file_names_addresses_before_the_manifest_does(pcap, hosts, wrap):
    assert ends(load(pcap, names=wrap(hosts))) == ("old-1", "redis")


def test_names_at_hand_do_so_too(pcap):
    assert ends(load(pcap, names={SERVER: "mine"})) == ("old-1", "mine")
    assert ends(load(pcap, names=Names([NameEntry(address=SERVER, name="mine")]))) == ("old-1", "mine")
    assert ends(load(pcap)) == ("old-1", "old-2")


def test_of_several_the_first_is_the_strongest(pcap, hosts):
    assert ends(load(pcap, names=[{SERVER: "first"}, hosts])) == ("old-1", "first")
    assert ends(load(pcap, names=[hosts, {SERVER: "x", CLIENT: "second"}])) == ("second", "redis")


def test_another_manifest_names_addresses(pcap, tmp_path):
    entry = NameEntry(address=SERVER, name="other", kind="pod", namespace="shop")
    write_manifest(tmp_path / "one.json", Manifest(name="one", point="one", names=(entry,)))
    write_manifest(tmp_path / "all.json", CaptureManifest(name="all", names=(entry,)))
    for name in ("one.json", "all.json"):
        assert ends(load(pcap, names=tmp_path / name)) == ("old-1", "shop/other")


@pytest.mark.parametrize("given", [7, [7], {"nobody": "x"}, [{7: "x"}], object()])
def test_what_is_no_source_of_names_is_a_usage_error(given):
    with pytest.raises(UsageError):
        load(VERDICTS, names=given)


def test_a_selection_has_the_names_of_its_capture(pcap, hosts):
    assert ends(load(pcap, names=hosts).select("tcp")) == ("old-1", "redis")


def test_the_command_line_takes_them_for_every_table(pcap, hosts, tmp_path):
    more = tmp_path / "more.csv"
    more.write_text(f"{SERVER},weaker\n{CLIENT},web,pod,shop,deploy/web\n")
    for table in ("packets", "conversations", "latency", "retransmissions"):
        done = k8scap(table, pcap, "--names", hosts, "--names", more, "--format", "json")
        row = json.loads(done.stdout)[0]
        known = {row[end]: (row[f"{end}_name"], row[f"{end}_workload"]) for end in ("src", "dst")}
        assert known == {SERVER: ("redis", None), CLIENT: ("shop/web", "deploy/web")}, table


def test_packets_have_names_on_the_command_line_when_asked_for(pcap):
    plain = json.loads(k8scap("packets", pcap, "--format", "json").stdout)[0]
    assert "src_name" not in plain
    named = json.loads(k8scap("packets", pcap, "--with-names", "--format", "json").stdout)[0]
    assert {named["src_name"], named["dst_name"]} == {"old-1", "old-2"}


def test_a_terminals_table_has_no_names_that_only_repeat_addresses():
    assert "_name" not in k8scap("conversations", VERDICTS).stdout


def test_the_command_lines_errors_are_sentences(pcap, tmp_path):
    bad = tmp_path / "bad.csv"
    bad.write_text("10.0.0.1,a\nnobody,b\n")
    done = k8scap("conversations", pcap, "--names", bad)
    assert (done.returncode, done.stdout) == (7, "")
    assert "line 2" in done.stderr
    assert "Traceback" not in done.stderr
    with pytest.raises(UnreadableFileError):
        load(pcap, names="no-such-file")


def test_hostile_names_are_data(pcap, tmp_path):
    evil = "<script>alert(1)</script>\x1b[2J"
    content = {"kind": "Service", "metadata": {"name": evil, "namespace": "$(reboot)"}}
    (tmp_path / "evil.json").write_text(json.dumps(content | {"spec": {"clusterIP": SERVER}}))
    cap = load(pcap, names=tmp_path / "evil.json")
    assert ends(cap)[1] == "$(reboot)/svc/<script>alert(1)</script>[2J"
    page = report(cap, tmp_path / "report.html").read_text()
    assert "<script>alert" not in page
    assert "\x1b" not in page
    assert "\x1b" not in k8scap("conversations", pcap, "--names", tmp_path / "evil.json").stdout
