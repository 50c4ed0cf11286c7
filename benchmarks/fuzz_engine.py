"""Throw broken packets and broken files at the columnar engine, with Numba's bounds checks really on.

    python benchmarks/fuzz_engine.py [--packets 1000000] [--files 3000] [--seed 1]

Hypothesis makes them. Packets: headers of real captures, cut, spliced, and with bytes changed, under every
link type that the engine reads, some with lengths that lie. They are decoded twice, the second time with
every byte outside the records changed: a row that differs has read what is not its packet's. Bounds checks
do not see that, since neighbours share a buffer. Files: pcap and pcapng with bytes changed, cut; each record
must lie inside its block. Ends with 1 at the first failure, with the smallest example that Hypothesis finds.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

os.environ["NUMBA_BOUNDSCHECK"] = "1"  # before Numba is imported; the cache folder's name has it too
ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

CAPTURES = [
    *sorted((ROOT / "tests/data/captures").glob("*.pcap*")),
    *sorted((ROOT / "notebooks/captures").glob("*.pcap")),
]
LINK_TYPES = (0, 1, 9, 12, 50, 101, 104, 108, 113, 228, 229, 276)
ROUND = 1000
"""Packets, or files, of one run of Hypothesis, which remembers every example of a run."""
GAP = 24
_HEADERS, _LONGEST = 120, 400
_WARM = 3


def templates() -> list[tuple[int, bytes]]:
    """Link type and bytes of packets to begin with."""
    from k8scap.parser.records.reader import RecordReader

    found = []
    for path in CAPTURES:
        reader = RecordReader([path])
        for block in reader:
            for i in range(0, len(block), max(1, len(block) // 60)):
                start, end = int(block.start[i]), int(block.start[i] + block.captured[i])
                link_type = reader.interfaces[int(block.interface[i])].link_type
                found.append((link_type, block.buffer[start:end].tobytes()[:_LONGEST]))
        reader.close()
    return found


def edits(most: int, longest: int) -> Any:
    """Where a byte is changed, and into what."""
    return st.lists(st.tuples(st.integers(0, longest - 1), st.integers(0, 255)), max_size=most)


@st.composite
def broken_packet(draw: Any, originals: list[tuple[int, bytes]]) -> tuple[int, bytes, int]:
    """One packet: its link type, bytes and claimed length."""
    link_type, data = draw(st.sampled_from(originals))
    packet = bytearray(data)
    kind = draw(st.sampled_from(["whole", "whole", "cut", "spliced"]))
    if kind == "cut":
        packet = packet[: draw(st.integers(0, len(packet)))]
    elif kind == "spliced":
        _, other = draw(st.sampled_from(originals))
        packet = packet[: draw(st.integers(0, len(packet)))] + other[draw(st.integers(0, len(other))) :]
    for at, value in draw(edits(6, _HEADERS)):
        if at < len(packet):
            packet[at] = value
    length = draw(st.one_of(st.none(), st.sampled_from([0, 1, 20, 2**32 - 1]), st.integers(0, 3000)))
    if draw(st.integers(0, 19)) == 19:
        link_type = draw(st.sampled_from(LINK_TYPES))
    return link_type, bytes(packet[:_LONGEST]), len(packet) if length is None else length


def rows_of_their_own(batch: list[tuple[int, bytes, int]]) -> None:
    """Decode a batch twice; an assertion says whose row depends on bytes that are not its own."""
    sizes = np.array([len(data) for _, data, _ in batch], np.int64)
    start = GAP + np.concatenate([[0], np.cumsum(sizes[:-1] + GAP)])
    inside = np.zeros(int(start[-1] + sizes[-1] + GAP), bool)
    buffer = np.arange(len(inside), dtype=np.uint8)
    for at, (_, data, _) in zip(start, batch, strict=True):
        buffer[at : at + len(data)] = np.frombuffer(data, np.uint8)
        inside[at : at + len(data)] = True
    first = numbers_of(batch, buffer, start, sizes)
    buffer[~inside] ^= 0xFF
    second = numbers_of(batch, buffer, start, sizes)
    differing = np.flatnonzero((first != second).any(axis=0))
    assert not len(differing), f"it depends on bytes that are not its own: {batch[differing[0]]}"


def numbers_of(batch: list[tuple[int, bytes, int]], buffer: Any, start: Any, sizes: Any) -> Any:
    """All numbers of the frames, with a state of their own."""
    from k8scap.parser.columnar import _ROWS, SIZE, decode, first_layers, follow
    from k8scap.parser.conversations.state import new_state, reserve_state
    from k8scap.parser.table.places import FOLLOWED

    layers = first_layers()[np.array([link_type for link_type, _, _ in batch])]
    length = np.array([claimed for _, _, claimed in batch], np.int64)
    time_of = np.arange(len(batch), dtype=np.int64) * 1_000_000
    state, rows = new_state(), np.zeros((_ROWS, SIZE), np.int64)
    numbers = np.zeros((FOLLOWED, len(batch)), np.int64)
    at = 0
    while at < len(batch):
        following, count, announcing = decode(buffer, start, sizes, length, layers, at, len(batch), rows)
        state = reserve_state(state, count, announcing)
        some = np.zeros((FOLLOWED, following - at), np.int64)
        follow(rows, count, time_of, at, at, some, state)
        numbers[:, at:following] = some
        at = following
    return numbers


@st.composite
def broken_file(draw: Any, originals: list[bytes]) -> bytes:
    """A capture file with bytes changed, maybe cut."""
    content = bytearray(draw(st.sampled_from(originals)))
    for at, value in draw(edits(9, len(content))):
        content[at] = value
    return bytes(content[: draw(st.one_of(st.none(), st.integers(0, len(content))))])


def records_inside(content: bytes, most: int, path: Path) -> None:
    """Read one file, so many records at a time."""
    from k8scap.parser.records.reader import RecordReader

    path.write_bytes(content)
    reader = RecordReader([path], most_records=most)
    for block in reader:
        assert (block.start >= 0).all(), "a record lies before its block"
        assert (block.start + block.captured <= len(block.buffer)).all(), "a record lies behind its block"
    reader.close()


def rounds(total: int, number: int, one_round: Any) -> int:
    """Run Hypothesis until `total` cases were tried; gives how many were, and says what memory grew by."""
    tried = done = before = 0
    while tried < total:
        cases: list[int] = []
        common = settings(
            max_examples=ROUND, deadline=None, database=None, phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck), print_blob=False,
        )  # fmt: skip
        one_round(lambda test, s=common, d=done: seed(number * 1_000_003 + d)(s(test))(), cases.append)
        tried, done = tried + sum(cases), done + 1
        gc.collect()
        if done <= _WARM:
            before = _resident()
    grown = (_resident() - before) // 1024
    assert grown < 150, f"memory grew by {grown} MB"
    return tried


def _resident() -> int:
    """KiB of this process that lie in memory."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def main() -> int:
    from numba.core import config

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--packets", type=int, default=1_000_000)
    parser.add_argument("--files", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    assert config.BOUNDSCHECK == 1
    packets = templates()
    originals = [path.read_bytes() for path in CAPTURES if path.stat().st_size < 100_000]
    begun = time.monotonic()

    def some_packets(run: Any, count: Any) -> None:
        @given(st.lists(broken_packet(packets), min_size=10, max_size=50))
        def test(batch: list[tuple[int, bytes, int]]) -> None:
            count(len(batch))
            rows_of_their_own(batch)

        run(test)

    with tempfile.TemporaryDirectory() as folder:

        def some_files(run: Any, count: Any) -> None:
            @given(broken_file(originals), st.integers(1, 50))
            def test(content: bytes, most: int) -> None:
                count(1)
                records_inside(content, most, Path(folder) / "broken")

            run(test)

        tried = rounds(arguments.packets, arguments.seed, some_packets)
        files = rounds(arguments.files, arguments.seed, some_files)
    print(
        f"{tried:,} packets, {files:,} files, bounds checked, nothing wrong, memory did not grow; "
        f"{time.monotonic() - begun:.0f} s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
