"""What is around: event loops, threads, profiles, and a tshark that is missing, dies, or is a trap."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from reference import VERDICTS, same_rows, verdicts

from k8scap import load
from k8scap.errors import ToolMissingError, UnreadableFileError


def test_it_works_inside_a_running_event_loop():
    async def inside():
        cap = load(VERDICTS)
        return len(cap.packets), cap.dissect(1).tcp.dstport

    assert asyncio.run(inside()) == (38, "80")


def test_it_works_in_a_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(len(load(VERDICTS).packets)))
    thread.start()
    thread.join()
    assert found == [38]


@pytest.mark.parametrize("engine", ["columnar", "pyshark"])
def test_nothing_is_warned_of_or_left_on_the_terminal(engine):
    code = (
        f"import k8scap; c = k8scap.load({str(VERDICTS)!r}, where='tcp', engine={engine!r}); "
        "print(len(c.packets)); c.dissect(3)"
    )
    argv = [sys.executable, "-W", "error", "-X", "dev", "-c", code]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("38\n", "", 0)


def test_the_users_own_wireshark_profile_changes_nothing(tmp_path, monkeypatch):
    (tmp_path / "preferences").write_text("tcp.relative_sequence_numbers: FALSE\nip.defragment: TRUE\n")
    monkeypatch.setenv("WIRESHARK_CONFIG_DIR", str(tmp_path))
    same_rows(load(VERDICTS, engine="pyshark").packets, verdicts())


def test_without_tshark_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissingError, match="tshark") as missing:
        _ = load(VERDICTS, engine="pyshark").packets
    assert (missing.value.exit_code, missing.value.next_step) == (5, "apt-get install tshark")


def test_when_tshark_dies_what_came_is_kept_and_said(monkeypatch, tmp_path):
    dying = tmp_path / "tshark"
    real = shutil.which("tshark")
    dying.write_text(f'#!/bin/sh\n{real} "$@" | head -c 3000\nkill -SEGV $$\n')
    dying.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    cap = load(VERDICTS, engine="pyshark")
    assert 0 < len(cap.packets) < 38
    assert cap.quality.complete is False
    assert any("crashed" in note for note in cap.quality.notes)


def test_the_current_folder_cannot_choose_what_is_run(monkeypatch, tmp_path):
    """pyshark would read the config.ini of the current folder, be it a project's own or somebody's trap."""
    trap = tmp_path / "tshark"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    for text in (f"[tshark]\ntshark_path = {trap}\n", "[server]\nport = 1\n"):
        (tmp_path / "config.ini").write_text(text)
        assert len(load(VERDICTS, columns=["time"], engine="pyshark").packets) == 38
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("engine", ["columnar", "pyshark"])
def test_a_file_that_vanished_meanwhile_is_said_to_be_gone(tmp_path, engine):
    path = tmp_path / "gone.pcap"
    shutil.copy(VERDICTS, path)
    cap = load(path, engine=engine)
    path.unlink()
    with pytest.raises(UnreadableFileError, match="no longer there"):
        _ = cap.packets


def test_an_interrupt_ends_tshark_too(tmp_path):
    stuck = tmp_path / "tshark"
    stuck.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 600\n")
    stuck.chmod(0o755)
    code = f"import k8scap; k8scap.load({str(VERDICTS)!r}, engine='pyshark').packets"
    env = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    reading = subprocess.Popen([sys.executable, "-c", code], env=env, stderr=subprocess.PIPE)
    wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    time.sleep(2)  # until it waits for output
    reading.send_signal(signal.SIGINT)
    assert b"KeyboardInterrupt" in reading.communicate(timeout=60)[1]
    pid = int((tmp_path / "pid").read_text())
    wait_for(lambda: not Path(f"/proc/{pid}").exists())


def wait_for(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_rows_do_not_depend_on_where_the_output_is_cut_in_blocks(monkeypatch):
    monkeypatch.setattr("k8scap.parser.reference.tshark.BLOCK", 701)
    same_rows(load(VERDICTS).packets, verdicts())
    assert len(load(VERDICTS).fields("ip.src", "tcp.seq").dropna()) == 38
