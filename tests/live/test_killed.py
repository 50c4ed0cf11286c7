"""Whenever and however a capturing process ends: nothing is left running, and its files open."""

import os
import random
import signal
import subprocess
import time

import pytest
from outside import count_packets, processes_with, python, tshark_complaint, wait_until

from k8scap.recording import read_manifest

AT_ONCE = 3  # captures that run, and are killed, side by side
CAPTURE = """
    import sys
    from k8scap import live
    print("imported", flush=True)
    running = live.watch(sys.argv[1], output=sys.argv[2], name="web", command=sys.argv[3:])
    print("started", flush=True)
    running.wait()
    """
ENDING = """
    import sys
    from k8scap import live
    print("imported", flush=True)
    cap = live.capture(sys.argv[1], output=sys.argv[2], name="web", progress=False)
    print(cap.manifest.ended_by, flush=True)
    """


def in_namespace(namespace, *, except_for=()):
    """The commands that run in it."""
    pids = subprocess.check_output(["ip", "netns", "pids", namespace.name], text=True).split()
    return [pid for pid in pids if int(pid) not in except_for]


def start(code, pair, folder, *command):
    folder.mkdir()
    return python(
        code, pair.target, str(folder), *command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def check_nothing_runs(pair, sender, *folders):
    ours = {sender.pid} if sender else set()
    assert wait_until(lambda: not in_namespace(pair.here, except_for=ours))
    for folder in folders:
        assert wait_until(lambda folder=folder: not processes_with(str(folder)))


def check_what_is_there(folder):
    """Every file opens in tshark without complaint; a manifest does not claim what is not so."""
    for file in folder.glob("*.pcap"):
        assert tshark_complaint(file) == ""
    manifest = read_manifest(folder / "web.json")
    if manifest is None:
        assert list(folder.iterdir()) == []
        return None
    assert manifest.state != "running"
    assert manifest.counters.on_disk == count_packets(*folder.glob("*.pcap"))
    assert {path.name for path in folder.iterdir()} == {"web.json", *(f.name for f in manifest.files)}
    return manifest


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda n: n.name)
def test_killed_at_any_moment(pair, tmp_path, number, seed):
    rng = random.Random(seed * 100 + number)
    sender = pair.keep_sending(pause=0.0005)
    folders = [tmp_path / str(n) for n in range(AT_ONCE)]
    captures = [start(ENDING, pair, folder) for folder in folders]
    for capture in captures:
        capture.stdout.readline()
    for capture in captures:
        time.sleep(rng.uniform(0, 0.5))
        capture.send_signal(number)
    for capture in captures:
        capture.communicate(timeout=30)

    check_nothing_runs(pair, sender, *folders)
    for folder in folders:
        check_what_is_there(folder)


def run_until_it_records(pair, folder, *command, code=CAPTURE):
    capture = start(code, pair, folder, *command)
    file = folder / "web.pcap"
    assert wait_until(lambda: file.exists() and file.stat().st_size > 20_000, seconds=20)
    return capture


def test_ctrl_c_keeps_all_that_came(pair, tmp_path):
    sender = pair.keep_sending()
    capture = run_until_it_records(pair, tmp_path / "a", code=ENDING)
    capture.send_signal(signal.SIGINT)
    said, complaint = capture.communicate(timeout=30)

    manifest = check_what_is_there(tmp_path / "a")
    assert (said, complaint) == ("imported\ninterrupted\n", "")
    assert (manifest.state, manifest.ended_by) == ("complete", "interrupted")
    check_nothing_runs(pair, sender, tmp_path / "a")


def test_sigterm_keeps_all_that_came(pair, tmp_path):
    sender = pair.keep_sending()
    capture = run_until_it_records(pair, tmp_path / "a", code=ENDING)
    capture.send_signal(signal.SIGTERM)
    said, complaint = capture.communicate(timeout=30)

    manifest = check_what_is_there(tmp_path / "a")
    assert (said, complaint) == ("imported\nterminated\n", "")
    assert (manifest.state, manifest.ended_by) == ("complete", "terminated")
    check_nothing_runs(pair, sender, tmp_path / "a")


def test_kill_9_leaves_whole_records_and_a_manifest_that_says_so(pair, tmp_path):
    sender = pair.keep_sending(size=1400, pause=0)
    capture = run_until_it_records(pair, tmp_path / "a", "sleep", "86399.25")
    capture.kill()
    capture.communicate(timeout=30)

    check_nothing_runs(pair, sender, tmp_path / "a")
    manifest = check_what_is_there(tmp_path / "a")
    assert (manifest.state, manifest.ended_by, manifest.counters.captured) == ("incomplete", "killed", None)
    assert count_packets(tmp_path / "a" / "web.pcap") > 0
    assert wait_until(lambda: not processes_with("sleep 86399.25"))


def test_kill_9_ends_a_tcpdump_that_has_nothing_to_write(pair, tmp_path):
    capture = start(CAPTURE, pair, tmp_path / "a")
    assert [capture.stdout.readline() for _ in range(2)] == ["imported\n", "started\n"]
    assert in_namespace(pair.here) != []
    capture.kill()
    capture.communicate(timeout=30)

    check_nothing_runs(pair, None, tmp_path / "a")
    assert check_what_is_there(tmp_path / "a").counters.on_disk == 0


def test_a_script_that_just_ends_closes_its_captures(pair, tmp_path):
    sender = pair.keep_sending()
    code = (
        "import sys, time\nfrom k8scap import live\nlive.watch(sys.argv[1], output=sys.argv[2], name='web')\n"
    )
    capture = start(code, pair, tmp_path / "a")

    assert capture.communicate(timeout=30) == ("", "")
    manifest = check_what_is_there(tmp_path / "a")
    assert (manifest.state, manifest.ended_by) == ("complete", "terminated")
    check_nothing_runs(pair, sender, tmp_path / "a")


def test_a_forked_child_of_the_killed_process_does_not_keep_its_files_open(pair, tmp_path):
    sender = pair.keep_sending()
    code = """
    import os, sys, time
    from k8scap import live
    running = live.watch(sys.argv[1], output=sys.argv[2], name="web")
    child = os.fork()
    if child == 0:
        time.sleep(20)
        os._exit(0)
    print(child, flush=True)
    running.wait()
    """
    capture = start(code, pair, tmp_path / "a")
    child = int(capture.stdout.readline())
    try:
        capture.kill()
        capture.wait()
        assert wait_until(lambda: read_manifest(tmp_path / "a" / "web.json").state == "incomplete")
        assert wait_until(lambda: not in_namespace(pair.here, except_for={sender.pid}))
        check_what_is_there(tmp_path / "a")
    finally:
        os.kill(child, signal.SIGKILL)
        capture.communicate()
