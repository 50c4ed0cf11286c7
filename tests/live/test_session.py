"""Captures of real traffic: what was sent is what is on disk, and every limit ends it."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from outside import POWERLESS, count_packets, processes_with, python, tshark_complaint, wait_until

from k8scap import live
from k8scap.errors import (
    CaptureBrokenError,
    FilterError,
    InterfaceNotFoundError,
    TargetNotFoundError,
    TargetNotRunningError,
    TargetSyntaxError,
    ToolMissingError,
    UsageError,
)
from k8scap.recording import read_manifest

JUST_UDP = {"filter": "udp port 4000", "exact_filter": True}


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def times_of(file):
    argv = ["tshark", "-n", "-r", str(file), "-T", "fields", "-e", "frame.time_epoch"]
    return [float(line) for line in subprocess.check_output(argv, stderr=subprocess.DEVNULL).split()]


# ---- what was sent is what is there ----


@pytest.mark.parametrize("snaplen", [0, 200], ids=["whole", "immediate"])
def test_every_packet_sent_is_on_disk(pair, tmp_path, snaplen):
    running = live.watch(pair.target, output=tmp_path, name="web", snaplen=snaplen)
    sent = pair.send(5000)
    cap = running.stop()

    counters = cap.manifest.counters
    assert count_packets(tmp_path / "web.pcap") == sent == counters.captured == counters.on_disk
    assert (counters.dropped, cap.manifest.state, cap.manifest.ended_by) == (0, "complete", "stopped")
    assert tshark_complaint(tmp_path / "web.pcap") == ""
    assert names_in(tmp_path) == ["web.json", "web.pcap"]


def test_on_loopback_too(pair, tmp_path):
    running = live.watch(pair.target, interface="lo", output=tmp_path, name="web", **JUST_UDP)
    pair.there_address = "127.0.0.1"
    sent = pair.send(300)
    cap = running.stop()

    assert cap.manifest.state == "complete"
    # Nobody listens on that side: the answers are ICMP errors, which an exact filter leaves out.
    assert count_packets(tmp_path / "web.pcap") == sent == cap.manifest.counters.captured


def test_the_answers_to_a_closed_port_come_along_unasked(pair, tmp_path):
    pair.port = 4001
    with live.watch(pair.target, output=tmp_path, name="web", filter="udp port 4001") as running:
        pair.send(3, pause=0.01)

    show = ["tshark", "-n", "-r", str(tmp_path / "web.pcap"), "-Y", "icmp.type == 3"]
    assert len(subprocess.check_output(show, stderr=subprocess.DEVNULL).splitlines()) == 3
    assert running.manifests[0].filter == "udp port 4001"
    assert "icmp" in running.manifests[0].effective_filter


def test_a_snaplen_cuts_packets(pair, tmp_path):
    with live.watch(pair.target, output=tmp_path, name="web", snaplen=96):
        pair.send(10, size=1000)

    show = [
        "tshark",
        "-n",
        "-r",
        str(tmp_path / "web.pcap"),
        "-T",
        "fields",
        "-e",
        "frame.cap_len",
        "-e",
        "frame.len",
    ]
    assert set(subprocess.check_output(show, text=True, stderr=subprocess.DEVNULL).splitlines()) == {
        "96\t1042"
    }


def test_it_is_watched_while_it_runs(pair, tmp_path):
    with live.watch(pair.target, output=tmp_path, name="web") as running:
        pair.send(400)
        assert wait_until(lambda: running.counters.on_disk == 400)
        assert wait_until(lambda: running.counters.captured == 400)
        assert running.counters.dropped == 0
        assert running.running
        assert running.files == (tmp_path / "web.pcap",)
        assert running.bytes == (tmp_path / "web.pcap").stat().st_size
        assert count_packets(tmp_path / "web.pcap") == 400

    assert not running.running


def test_what_was_dropped_is_said(pair, tmp_path):
    running = live.watch(pair.target, output=tmp_path, name="web")
    tcpdump = tcpdumps_in(pair)[0]
    os.kill(tcpdump, signal.SIGSTOP)
    sent = pair.send(70_000, size=1400)  # 100 MB, and the kernel keeps 64 MiB
    os.kill(tcpdump, signal.SIGCONT)
    manifest = running.stop().manifest

    counters = manifest.counters
    assert counters.dropped > 0
    assert count_packets(tmp_path / "web.pcap") == counters.captured == sent - counters.dropped
    assert manifest.state == "incomplete"
    assert any(f"dropped {counters.dropped:,} packets" in note for note in manifest.notes)


def test_progress_shows_packets_bytes_and_drops(pair, tmp_path, capfd):
    pair.keep_sending(pause=0.01)

    live.capture(pair.target, seconds=1.6, output=tmp_path, progress=True)
    shown = capfd.readouterr()

    assert re.search(r"capturing: \d/2 s .*[1-9]\d* packets, \d+\.\d kB, 0 dropped", shown.err)
    assert shown.out == ""


@pytest.mark.parametrize("progress", [False, None])
def test_no_progress_where_nobody_looks(pair, tmp_path, capfd, progress):
    live.capture(pair.target, seconds=1.3, output=tmp_path, progress=progress)

    assert capfd.readouterr() == ("", "")


# ---- limits ----


def test_seconds(pair, tmp_path):
    pair.keep_sending(pause=0.002)

    cap = live.capture(pair.target, seconds=1.5, output=tmp_path, name="web", progress=False)

    times = times_of(tmp_path / "web.pcap")
    assert cap.manifest.ended_by == "seconds"
    assert cap.manifest.state == "complete"
    assert 1.3 < times[-1] - times[0] < 1.7


def test_packets(pair, tmp_path):
    pair.keep_sending()

    cap = live.capture(pair.target, packets=50, output=tmp_path, name="web", progress=False)

    assert count_packets(tmp_path / "web.pcap") == 50
    assert (cap.manifest.ended_by, cap.manifest.state) == ("packets", "complete")


def test_size(pair, tmp_path):
    pair.keep_sending()

    cap = live.capture(pair.target, size="20kB", output=tmp_path, name="web", progress=False)

    # Record header, Ethernet, IPv4, UDP and 100 bytes: as many of these as fit behind the file's header.
    each = 16 + 14 + 20 + 8 + 100
    assert (tmp_path / "web.pcap").stat().st_size == 24 + (20_000 - 24) // each * each
    assert (cap.manifest.ended_by, cap.manifest.state) == ("size", "complete")


def test_ring(pair, tmp_path):
    running = live.watch(pair.target, ring=3, size="10kB", output=tmp_path, name="web")
    sent = pair.send(1000)
    cap = running.stop()

    files = sorted(tmp_path.glob("web.*.pcap"))
    counters = cap.manifest.counters
    assert len(files) == 3
    assert all(file.stat().st_size <= 10_000 for file in files)
    assert [file.name for file in files] == [file.name for file in cap.manifest.files]
    assert count_packets(*files) == counters.on_disk == sent - counters.rotated_away
    assert cap.manifest.state == "complete"
    assert names_in(tmp_path) == [*(file.name for file in files), "web.json"]


def test_as_long_as_a_command(pair, tmp_path, capfd):
    code = f"""
import socket
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(500):
    sender.sendto(b"x", ("{pair.there_address}", 4000))
print("I am done")
raise SystemExit(3)
"""
    command = ["nsenter", f"--net={pair.here.path}", "--", sys.executable, "-c", code]

    cap = live.capture(pair.target, command=command, output=tmp_path, name="web", progress=False)

    assert count_packets(tmp_path / "web.pcap") == 500
    assert cap.manifest.ended_by == "command"
    assert any("ended with exit code 3" in note for note in cap.manifest.notes)
    assert capfd.readouterr().out == "I am done\n"


def test_a_command_outlives_a_limit_and_not_a_stop(pair, tmp_path):
    pair.keep_sending()

    running = live.watch(pair.target, packets=5, command=["sleep", "2.5"], output=tmp_path, name="a")
    running.wait()
    assert (running.exit_code, running.manifests[0].ended_by) == (0, "packets")

    running = live.watch(pair.target, command=["sleep", "86399.5"], output=tmp_path, name="b")
    running.stop()
    assert running.exit_code == -signal.SIGTERM
    assert processes_with("sleep 86399.5") == []


def test_a_command_that_is_not_there(pair, tmp_path):
    with pytest.raises(UsageError, match="There is no command k8scap-no-such-command"):
        live.watch(pair.target, command=["k8scap-no-such-command"], output=tmp_path)

    assert names_in(tmp_path) == []


def test_the_end_of_the_target_ends_it(pair, tmp_path):
    process = pair.here.start("sleep", "1000")
    running = live.watch(f"pid/{process.pid}", output=tmp_path, name="web")
    sent = pair.send(10)
    process.kill()
    process.wait()

    assert running.wait(10)
    manifest = running.manifests[0]
    assert (manifest.ended_by, manifest.state) == ("target-gone", "complete")
    assert f"Process {process.pid} has ended. The capture ended with it." in manifest.notes
    assert count_packets(tmp_path / "web.pcap") == sent


def test_an_interface_that_goes_away_breaks_it_off(pair, tmp_path):
    running = live.watch(pair.target, output=tmp_path, name="web")
    sent = pair.send(10)
    wait_until(lambda: running.counters.on_disk == sent)
    pair.here.run("ip", "link", "delete", "eth0")

    with pytest.raises(CaptureBrokenError, match="tcpdump ended by itself") as caught:
        running.result()

    assert caught.value.exit_code == 6
    assert caught.value.files == (str(tmp_path / "web.pcap"),)
    assert count_packets(tmp_path / "web.pcap") == sent
    assert read_manifest(tmp_path / "web.json").state == "incomplete"


def test_tcpdump_killed_by_somebody_else(pair, tmp_path):
    running = live.watch(pair.target, output=tmp_path, name="web")
    sent = pair.send(10)
    wait_until(lambda: running.counters.on_disk == sent)
    os.kill(tcpdumps_in(pair)[0], signal.SIGKILL)

    with pytest.raises(CaptureBrokenError, match="10 packets are kept"):
        running.result()

    manifest = read_manifest(tmp_path / "web.json")
    assert (manifest.state, manifest.ended_by, manifest.counters.captured) == (
        "incomplete",
        "tcpdump-ended",
        None,
    )


def tcpdumps_in(pair):
    pids = subprocess.check_output(["ip", "netns", "pids", pair.here.name], text=True).split()
    return [int(pid) for pid in pids if Path(f"/proc/{pid}/comm").read_text() == "tcpdump\n"]


# ---- interfaces ----


def test_several_interfaces_are_several_points(pair, tmp_path):
    running = live.watch(pair.target, interface=["lo", "eth0"], output=tmp_path, name="web")
    sent = pair.send(20)
    cap = running.stop()

    assert names_in(tmp_path) == ["web.eth0.json", "web.eth0.pcap", "web.lo.json", "web.lo.pcap"]
    assert count_packets(tmp_path / "web.eth0.pcap") == sent
    assert count_packets(tmp_path / "web.lo.pcap") == 0
    assert set(cap.points) == {"web.lo", "web.eth0"}


def test_by_itself_it_takes_the_only_interface_that_is_up(pair, tmp_path):
    pair.here.run("ip", "link", "add", "spare", "type", "veth", "peer", "name", "spare2")

    assert interface_chosen(pair, tmp_path) == "eth0"


def test_by_itself_it_takes_the_default_routes_interface(pair, tmp_path):
    add_second_interface(pair.here)
    pair.here.run("ip", "route", "add", "default", "via", pair.there_address)

    assert interface_chosen(pair, tmp_path) == "eth0"


def test_by_itself_it_takes_all_where_none_stands_out(pair, tmp_path):
    add_second_interface(pair.here)

    assert interface_chosen(pair, tmp_path) == "any"
    manifest = read_manifest(tmp_path / "web.json")
    shown = json.loads(pair.here.run("ip", "-j", "link").stdout)
    assert manifest.link_type == "LINUX_SLL2"
    assert manifest.interfaces == {str(link["ifindex"]): link["ifname"] for link in shown}


def add_second_interface(namespace):
    namespace.run("ip", "link", "add", "second", "type", "veth", "peer", "name", "peer")
    for name in ("second", "peer"):
        namespace.run("ip", "link", "set", name, "addrgenmode", "none")
        namespace.run("ip", "link", "set", name, "up")


def interface_chosen(pair, folder):
    with live.watch(pair.target, output=folder, name="web") as running:
        return running.manifests[0].interface


def test_an_unknown_interface(pair, tmp_path):
    with pytest.raises(InterfaceNotFoundError, match=r"no interface eth7 .* only lo, eth0") as caught:
        live.watch(pair.target, interface="eth7", output=tmp_path / "new")

    assert caught.value.next_step == "try -i eth0"
    assert names_in(tmp_path) == []


def test_an_interface_that_is_down(pair, tmp_path):
    pair.here.run("ip", "link", "add", "spare", "type", "veth", "peer", "name", "spare2")

    with pytest.raises(InterfaceNotFoundError, match="spare is down"):
        live.watch(pair.target, interface="spare", output=tmp_path)


# ---- what stands on disk ----


def test_the_manifest_says_who_where_when_how(pair, tmp_path):
    process = pair.here.start("sleep", "1000")
    running = live.watch(f"pid/{process.pid}", output=tmp_path, name="web", **JUST_UDP)
    at_first = read_manifest(tmp_path / "web.json")
    pair.send(5)
    running.stop()
    manifest = read_manifest(tmp_path / "web.json")

    assert (at_first.state, at_first.pid, at_first.ended) == ("running", os.getpid(), None)
    assert manifest.state == "complete"
    assert manifest.target["pid"] == process.pid
    assert manifest.target["netns"] == pair.here.path.stat().st_ino
    assert (manifest.interface, manifest.link_type) == ("eth0", "EN10MB")
    assert manifest.started < manifest.ended
    assert {"tcpdump", "libpcap", "k8scap", "kernel"} <= manifest.versions.keys()
    assert manifest.command[-2:] == ("--", "udp port 4000")
    assert [(entry.address, entry.name) for entry in manifest.names] == [
        ("198.18.77.1", f"pid/{process.pid}")
    ]


def test_the_hosts_evidence_counts_what_was_sent(pair, tmp_path):
    running = live.watch(pair.target, output=tmp_path, name="web")
    sent = pair.send(25)
    evidence = running.stop().manifest.evidence

    assert evidence["end"]["Udp.OutDatagrams"] - evidence["start"]["Udp.OutDatagrams"] == sent


def test_what_it_makes_is_for_the_owner_only(pair, tmp_path):
    folder = tmp_path / "incident" / "today"
    old = os.umask(0)
    try:
        live.watch(pair.target, output=folder, name="web").stop()
    finally:
        os.umask(old)

    modes = {path.name: path.stat().st_mode & 0o777 for path in [folder.parent, folder, *folder.iterdir()]}
    assert modes == {"incident": 0o700, "today": 0o700, "web.json": 0o600, "web.pcap": 0o600}


def test_what_is_there_is_never_overwritten(pair, tmp_path):
    (tmp_path / "web.pcap").write_text("mine")
    (tmp_path / "web-2.json").write_text("mine too")

    first = live.watch(pair.target, output=tmp_path, name="web")
    second = live.watch(pair.target, output=tmp_path, name="web")
    first.stop()
    second.stop()

    assert (tmp_path / "web.pcap").read_text() == "mine"
    assert (tmp_path / "web-2.json").read_text() == "mine too"
    assert [f.name for f in (*first.files, *second.files)] == ["web-3.pcap", "web-4.pcap"]


def test_by_itself_it_is_named_after_the_target_and_the_time(pair, tmp_path):
    with live.watch(pair.target, output=tmp_path) as running:
        name = running.files[0].name

    assert re.fullmatch(rf"netns-{pair.here.name}-\d{{8}}T\d{{6}}Z\.pcap", name)


def test_it_stays_where_it_began(pair, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    running = live.watch(pair.target, output="here", name="web", ring=2, size="5kB")
    monkeypatch.chdir("/")
    pair.send(100)
    running.stop()

    assert {path.suffix for path in (tmp_path / "here").iterdir()} == {".json", ".pcap"}
    assert count_packets(*running.files) == running.counters.on_disk > 0


def test_a_file_may_be_named(pair, tmp_path):
    live.watch(pair.target, output=tmp_path / "web.pcap").stop()

    assert names_in(tmp_path) == ["web.json", "web.pcap"]


@pytest.mark.parametrize("name", ["", "../up", "a/b", "-x", "web.0001", "a b", ".hidden"])
def test_what_cannot_name_a_recording(pair, tmp_path, name):
    with pytest.raises(UsageError, match="cannot name a recording"):
        live.watch(pair.target, output=tmp_path, name=name)


def test_nothing_is_left_over_from_one_capture_to_the_next(pair, tmp_path):
    live.watch(pair.target, output=tmp_path).stop()
    before = (threading.active_count(), len(list(Path("/proc/self/fd").iterdir())))
    for _ in range(3):
        live.watch(pair.target, output=tmp_path).stop()

    assert (threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))) == before
    assert tcpdumps_in(pair) == []
    assert processes_with(str(tmp_path)) == []


# ---- what keeps it from starting ----


def test_a_bad_filter_leaves_nothing_behind(pair, tmp_path):
    with pytest.raises(FilterError, match="tcpdump refuses the filter '-w/tmp/x'"):
        live.watch(pair.target, filter="-w/tmp/x", output=tmp_path / "new")

    assert names_in(tmp_path) == []
    assert tcpdumps_in(pair) == []


@pytest.mark.parametrize("missing", ["tcpdump", "nsenter", "ip"])
def test_a_tool_that_is_not_there(pair, tmp_path, monkeypatch, missing):
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in {"tcpdump", "nsenter", "setpriv", "ip"} - {missing}:
        (tools / tool).symlink_to(subprocess.check_output(["which", tool], text=True).strip())
    monkeypatch.setenv("PATH", str(tools))

    with pytest.raises(ToolMissingError, match=f"{missing} is not installed here") as caught:
        live.watch(pair.target, output=tmp_path)

    assert caught.value.exit_code == 5
    assert caught.value.next_step.startswith("apt-get install ")


def test_without_the_right_to(pair, tmp_path):
    code = """
        import sys
        from k8scap import live
        from k8scap.errors import K8scapError
        try:
            live.watch(sys.argv[1], output=sys.argv[2])
        except K8scapError as error:
            print(error.exit_code, error)
        """
    powerless = python(code, pair.target, str(tmp_path), run_by=POWERLESS, stdout=subprocess.PIPE, text=True)

    assert powerless.communicate(timeout=60)[0].startswith("4 Entering a network namespace needs root.")
    assert names_in(tmp_path) == []


def test_targets_that_cannot_be_captured(tmp_path):
    zombie = subprocess.Popen(["true"])
    wait_until(lambda: " Z " in Path(f"/proc/{zombie.pid}/stat").read_text())
    with pytest.raises(TargetNotRunningError):
        live.watch(f"pid/{zombie.pid}", output=tmp_path)
    zombie.wait()
    with pytest.raises(TargetNotFoundError):
        live.watch(f"pid/{zombie.pid}", output=tmp_path)
    with pytest.raises(TargetSyntaxError):
        live.watch("deploy/$(reboot)", output=tmp_path)


# ---- stdout ----

TO_STDOUT = """
    import sys
    from k8scap import live
    live.capture(sys.argv[1], packets=int(sys.argv[2]), output="-", progress=False)
    """


def test_the_stream_on_stdout(pair, tmp_path):
    pair.keep_sending()
    with (tmp_path / "stream.pcap").open("wb") as stream:
        capture = python(TO_STDOUT, pair.target, "70", stdout=stream, cwd=tmp_path)
        assert capture.wait(30) == 0

    assert count_packets(tmp_path / "stream.pcap") == 70
    assert names_in(tmp_path) == ["stream.pcap"]


def test_the_stream_through_a_pipe(pair):
    pair.keep_sending()
    capture = python(TO_STDOUT, pair.target, "70", stdout=subprocess.PIPE)
    shown = subprocess.check_output(
        ["tshark", "-n", "-r", "-"], stdin=capture.stdout, stderr=subprocess.DEVNULL, timeout=30
    )
    capture.stdout.close()

    assert capture.wait(30) == 0
    assert len(shown.splitlines()) == 70


def test_a_reader_that_has_read_enough_ends_it(pair):
    pair.keep_sending()
    capture = python(TO_STDOUT, pair.target, "100000", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    head = capture.stdout.read(1000)
    capture.stdout.close()

    assert capture.wait(30) == 0
    assert head[:4] == bytes.fromhex("4d3cb2a1")
    assert capture.stderr.read() == b""
    capture.stderr.close()
    assert tcpdumps_in(pair) == []
