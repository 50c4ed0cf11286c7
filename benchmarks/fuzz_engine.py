"""Throw broken packets and broken files at the columnar engine, with Numba's bounds checks really on.

    python benchmarks/fuzz_engine.py [--packets 1000000] [--files 2000] [--seed 1]

Packets: headers of real captures, cut, spliced, and with bytes changed, under every link type that the engine
reads. Each batch is decoded twice, the second time with every byte outside the records changed: a row that
differs has read what is not its packet's. Bounds checks do not see that, since neighbours share a buffer.
Files: pcap and pcapng with bytes changed, cut, or joined; each record must lie inside its block. Ends with 1
at the first failure, and says with which seed and batch it comes again.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["NUMBA_BOUNDSCHECK"] = "1"  # before Numba is imported; the cache folder's name has it too
ROOT = Path(__file__).parent.parent
CAPTURES = [
    *sorted((ROOT / "tests/data/captures").glob("*.pcap*")),
    *sorted((ROOT / "notebooks/captures").glob("*.pcap")),
]
LINK_TYPES = (0, 1, 9, 12, 50, 101, 104, 108, 113, 228, 229, 276)
BATCH = 2000
GAP = 24


def templates() -> list[tuple[int, bytes]]:
    """Link type and bytes of packets to begin with."""
    from k8scap.parser.record_reader import RecordReader

    found = []
    for path in CAPTURES:
        reader = RecordReader([path])
        taken = 0
        for block in reader:
            for i in range(0, len(block), max(1, len(block) // 60)):
                start, end = int(block.start[i]), int(block.start[i] + block.captured[i])
                link_type = reader.interfaces[int(block.interface[i])].link_type
                found.append((link_type, block.buffer[start:end].tobytes()))
                taken += 1
        reader.close()
    return found


def broken(rng: Any, packets: list[tuple[int, bytes]]) -> tuple[int, bytes, int]:
    """One packet: its link type, bytes and claimed length."""
    link_type, data = packets[rng.integers(len(packets))]
    packet = bytearray(data)
    for _ in range(rng.integers(0, 6)):
        if packet:
            packet[rng.integers(min(len(packet), 120))] = rng.integers(256)
    kind = rng.integers(5)
    if kind == 0:
        packet = packet[: rng.integers(len(packet) + 1)]
    elif kind == 1:
        _, other = packets[rng.integers(len(packets))]
        at = rng.integers(len(packet) + 1)
        packet = packet[:at] + other[rng.integers(len(other) + 1) :]
    if rng.random() < 0.05:
        link_type = LINK_TYPES[rng.integers(len(LINK_TYPES))]
    length = len(packet)
    if rng.random() < 0.3:
        length = int(rng.choice([0, 1, len(packet) // 2, len(packet) + rng.integers(1, 3000), 2**32 - 1]))
    return link_type, bytes(packet[:400]), length


def run_batch(rng: Any, packets: list[tuple[int, bytes]]) -> str:
    """Decode a batch twice; gives what is wrong, or nothing."""
    import numpy as np

    batch = [broken(rng, packets) for _ in range(BATCH)]
    sizes = np.array([len(data) for _, data, _ in batch], np.int64)
    start = GAP + np.concatenate([[0], np.cumsum(sizes[:-1] + GAP)])
    inside = np.zeros(int(start[-1] + sizes[-1] + GAP), bool)
    buffer = rng.integers(0, 256, len(inside)).astype(np.uint8)
    for at, (_, data, _) in zip(start, batch, strict=True):
        buffer[at : at + len(data)] = np.frombuffer(data, np.uint8)
        inside[at : at + len(data)] = True
    first = numbers_of(batch, buffer, start, sizes)
    buffer[~inside] ^= 0xFF
    second = numbers_of(batch, buffer, start, sizes)
    differing = np.flatnonzero((first != second).any(axis=0))
    if len(differing):
        _, data, length = batch[differing[0]]
        return f"the row of {data.hex()} (length {length}) depends on bytes that are not its own"
    return ""


def numbers_of(batch: list[tuple[int, bytes, int]], buffer: Any, start: Any, sizes: Any) -> Any:
    """All numbers of the frames, with a state of their own."""
    import numpy as np

    from k8scap.parser.columnar import _ROWS, SIZE, decode, first_layers, follow
    from k8scap.parser.places import FOLLOWED
    from k8scap.parser.state import new_state, reserve_state

    layers = first_layers()[np.array([link_type for link_type, _, _ in batch])]
    length = np.array([claimed for _, _, claimed in batch], np.int64)
    time_of = np.arange(len(batch), dtype=np.int64) * 1_000_000
    state, rows = new_state(), np.zeros((_ROWS, SIZE), np.int64)
    numbers = np.zeros((FOLLOWED, len(batch)), np.int64)
    at = 0
    while at < len(batch):
        following, count = decode(buffer, start, sizes, length, layers, at, len(batch), rows)
        state = reserve_state(state, count)
        some = np.zeros((FOLLOWED, following - at), np.int64)
        follow(rows, count, time_of, at, some, state)
        numbers[:, at:following] = some
        at = following
    return numbers


def run_file(rng: Any, originals: list[bytes], folder: Path) -> str:
    """Read one broken file; gives what is wrong, or nothing."""
    from k8scap.parser.record_reader import RecordReader

    content = bytearray(originals[rng.integers(len(originals))])
    for _ in range(rng.integers(1, 9)):
        content[rng.integers(len(content))] = rng.integers(256)
    content = content[: rng.integers(len(content) + 1)] if rng.random() < 0.3 else content
    path = folder / "broken"
    path.write_bytes(content)
    reader = RecordReader([path], most_records=int(rng.integers(1, 50)))
    for block in reader:
        if (block.start < 0).any() or (block.start + block.captured > len(block.buffer)).any():
            path.rename(ROOT / "broken.pcap")
            return "a record lies outside its block: broken.pcap"
    reader.close()
    return ""


def main() -> int:
    import numpy as np
    from numba.core import config

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--packets", type=int, default=1_000_000)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    assert config.BOUNDSCHECK == 1
    sys.path.insert(0, str(ROOT))
    packets = templates()
    begun, before = time.monotonic(), 0
    batches = max(1, arguments.packets // BATCH)
    for batch in range(batches):
        if wrong := run_batch(np.random.default_rng([arguments.seed, batch]), packets):
            print(f"--seed {arguments.seed}, batch {batch}: {wrong}")
            return 1
        if batch == min(20, batches - 1):
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder:
        originals = [path.read_bytes() for path in CAPTURES if path.stat().st_size < 100_000]
        for number in range(arguments.files):
            if wrong := run_file(np.random.default_rng([arguments.seed, 7, number]), originals, Path(folder)):
                print(f"--seed {arguments.seed}, file {number}: {wrong}")
                return 1
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(
        f"{batches * BATCH} packets, {arguments.files} files, bounds checked, nothing wrong; memory grew by "
        f"{grown // 1024} MB after the first batches; {time.monotonic() - begun:.0f} s"
    )
    return 0 if grown < 100 * 1024 else 1


if __name__ == "__main__":
    sys.exit(main())
