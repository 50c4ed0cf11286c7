"""`k8scap capture … -w - | tshark -i -`: packets are shown as they come, and closing it ends the capture."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Pair

PATIENCE = 20.0
LATEST = 2.0
"""Seconds: the kernel hands packets over each second, and Wireshark's dumpcap twice in one."""


def capture(*words: str, **options: Any) -> subprocess.Popen[Any]:
    argv = [sys.executable, "-m", "k8scap", "capture", *words, "-w", "-"]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def reading(capturing: subprocess.Popen[Any], *words: str) -> subprocess.Popen[Any]:
    """A tshark on the capture's stdout, and nobody else."""
    fields = ["-T", "fields", "-e", "frame.time_epoch", "-e", "udp.dstport"]
    process = subprocess.Popen(
        ["tshark", "-n", "-l", *words, *fields],
        stdin=capturing.stdout,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # with its dumpcap
    )
    capturing.stdout.close()
    return process


def ended(process: subprocess.Popen[Any]) -> tuple[int, bytes]:
    code = process.wait(PATIENCE)
    with process.stderr:
        return code, process.stderr.read()


def lateness(shown: subprocess.Popen[Any]) -> float:
    """Seconds from a packet's time to its line."""
    when, port = shown.stdout.readline().split("\t")
    assert port.strip() == "4000"
    return time.time() - float(when)


def tcpdumps_of(pair: Pair) -> list[str]:
    namespace = pair.here.path.stat().st_ino
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            inside = (folder / "ns/net").stat().st_ino == namespace
            if inside and (folder / "comm").read_text().strip() == "tcpdump":
                found.append(folder.name)
        except OSError:
            continue
    return found


@pytest.fixture(params=[("-i", "-"), ("-r", "-")], ids=["tshark -i -", "tshark -r -"])
def watched(pair: Pair, request: Any) -> Iterator[tuple[Pair, subprocess.Popen[Any], subprocess.Popen[Any]]]:
    capturing = capture(pair.target, "--seconds", "60", "--quiet")
    shown = reading(capturing, *request.param)
    yield pair, capturing, shown
    for process in (shown, capturing):
        process.kill()
        process.wait()
    shown.stdout.close()


def test_packets_are_shown_as_they_come_and_closing_the_reader_ends_it(watched):
    pair, capturing, shown = watched
    sender = pair.keep_sending(pause=0.1)
    while lateness(shown) > LATEST:
        """What came while tshark started."""
    assert max(lateness(shown) for _ in range(15)) < LATEST
    sender.kill()
    os.killpg(shown.pid, signal.SIGKILL)
    assert ended(capturing) == (0, b"")
    assert tcpdumps_of(pair) == []


def test_a_reader_that_leaves_ends_it_though_no_packet_comes(pair):
    capturing = capture(pair.target, "--seconds", "60", "--quiet")
    assert len(capturing.stdout.read(24)) == 24  # tcpdump's header: it listens
    capturing.stdout.close()
    began = time.monotonic()
    assert ended(capturing) == (0, b"")
    assert time.monotonic() - began < 8
    assert tcpdumps_of(pair) == []


def test_errors_are_told_and_the_reader_gets_an_empty_stream(pair):
    capturing = capture("netns/nope")
    with capturing.stdout:
        assert capturing.stdout.read() == b""
    code, said = ended(capturing)
    assert code == 3
    assert b"There is no network namespace nope" in said
    refused = capture(pair.target, "-f", "udp prt 4000")
    with refused.stdout:
        assert refused.stdout.read() == b""
    assert ended(refused)[0] == 2
