"""Requests in the application's words, beside pyshark over the whole file.

    python benchmarks/requests_table.py [--packets N] [--runs K] [--plain] [--folder DIR]

It makes a capture in which one frame in a hundred matters: HTTP/1 requests and the first segments of their
answers; the others are bodies of the answers and an opaque bulk transfer. All readers must find the same
requests with the same statuses. pyshark is given a display filter, so that it makes objects only of what is
HTTP; `--plain` also times it without, as its own examples have it. Each run is a process of its own that
times its work without its imports; they take turns, and the medians count.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SEGMENT = 1448
START = 1_767_323_045
READERS = ("k8scap", "pyshark", "pyshark_plain")


def make(path: Path, packets: int) -> int:
    """Write the capture; gives how many of its frames matter."""
    rng = random.Random(1)  # noqa: S311 - a capture, not a secret
    sent = 0
    matters = 0
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1))
        while sent < packets:
            burst = list(_http(matters, rng))
            matters += 2
            bulk = 200 - len(burst)
            for flow, flags, data in [*burst, *[(0, 0x10, b"\x9b" * SEGMENT)] * bulk]:
                _write(file, sent, flow, flags, data)
                sent += 1
    return matters


def _http(which: int, rng: random.Random) -> Iterator[tuple[int, int, bytes]]:
    """A request and its answer on one of 20 connections: positive flows are the client's."""
    flow = which // 2 % 20 + 1
    yield flow, 0x18, b"GET /item/%d HTTP/1.1\r\nHost: shop.test\r\n\r\n" % which
    body = b"b" * SEGMENT * rng.randint(5, 60)
    status = rng.choice([b"200 OK", b"200 OK", b"404 Not Found"])
    answer = b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body
    for at in range(0, len(answer), SEGMENT):
        yield -flow, 0x10, answer[at : at + SEGMENT]


_sequence: dict[int, int] = {}


def _write(file: object, number: int, flow: int, flags: int, data: bytes) -> None:
    client, server = (40_000 + abs(flow), b"\xc6\x12\0\1"), (8088 if flow else 5201, b"\xc6\x12\0\2")
    source, destination = (client, server) if flow >= 0 else (server, client)
    sequence = _sequence.setdefault(flow, 1)
    _sequence[flow] = sequence + len(data)
    tcp = struct.pack(
        ">HHIIBBHHH", source[0], destination[0], sequence & 0xFFFFFFFF, _sequence.get(-flow, 1) & 0xFFFFFFFF,
        0x50, flags, 65_535, 0, 0,
    )  # fmt: skip
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 40 + len(data), number & 0xFFFF, 0x4000, 64, 6, 0)
    frame = b"\2\0\0\0\0\2\2\0\0\0\0\1\x08\0" + ip + source[1] + destination[1] + tcp + data
    file.write(
        struct.pack("<IIII", START + number // 1000, number % 1000 * 1_000_000, len(frame), len(frame))
    )  # type: ignore[attr-defined]
    file.write(frame)  # type: ignore[attr-defined]


def read_k8scap(path: str) -> tuple[float, list[list[str]]]:
    import pyshark  # noqa: F401 - it decides tshark's command; importing it is not what is timed

    import k8scap
    from k8scap.parser.warm_up import compile_if_needed

    compile_if_needed()
    begun = time.perf_counter()
    table = k8scap.load(path).requests
    return time.perf_counter() - begun, [
        list(row) for row in zip(table["target"], table["status"], strict=True)
    ]


def read_pyshark(path: str, *, display_filter: str | None = "http") -> tuple[float, list[list[str]]]:
    import pyshark

    begun = time.perf_counter()
    asked: dict[str, list[str]] = {}
    with pyshark.FileCapture(path, display_filter=display_filter) as capture:
        for packet in capture:
            if "HTTP" not in packet:
                continue
            if hasattr(packet.http, "request_uri"):
                asked[str(packet.number)] = [str(packet.http.request_uri), ""]
            elif hasattr(packet.http, "response_code") and hasattr(packet.http, "request_in"):
                asked[str(packet.http.request_in)][1] = str(packet.http.response_code)
    return time.perf_counter() - begun, list(asked.values())


def read_pyshark_plain(path: str) -> tuple[float, list[list[str]]]:
    return read_pyshark(path, display_filter=None)


def compare(path: Path, readers: list[str], runs: int) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in readers}
    found: dict[str, list[list[str]]] = {}
    for _ in range(runs):
        for name in readers:
            argv = [sys.executable, __file__, "--read", name, str(path)]
            done = subprocess.run(argv, capture_output=True, text=True, check=True)
            answer = json.loads(done.stdout.splitlines()[-1])
            seconds[name].append(answer["seconds"])
            found[name] = answer["found"]
    same = all(sorted(rows) == sorted(found["k8scap"]) for rows in found.values())
    print(f"the same {len(found['k8scap']):,} requests and statuses: {same}")
    ours = median(seconds["k8scap"])
    for name in readers:
        took = median(seconds[name])
        print(f"{name:14} {took:8.2f} s  {took / ours:6.1f} x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packets", type=int, default=200_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--read", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        name, file = arguments.read
        took, found = globals()[f"read_{name}"](file)
        print(json.dumps({"seconds": took, "found": found}))
        return
    path = arguments.folder / f"requests-{arguments.packets}.pcap"
    matters = make(path, arguments.packets)
    print(f"{arguments.packets:,} packets, {matters:,} of them matter; {os.cpu_count()} processors")
    compare(path, [name for name in READERS if arguments.plain or name != "pyshark_plain"], arguments.runs)


if __name__ == "__main__":
    main()
