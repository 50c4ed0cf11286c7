"""How many frames' details in the packet browser are tshark's on the whole file, line by line.

    python benchmarks/details_parity.py FOLDER [--seconds 120] [--seed 1]

Of captures in the folder (below 3 MB), in a random order, one frame at random and the last one each. What
differs is printed: the fields' names, ours and tshark's.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/browser"))

from test_dissection import Page, by_tshark, lines, without_the_files

from k8scap.errors import K8scapError

LARGEST = 3_000_000
_RECORD = {"pkt_comment", "frame.comment", "frame.interface_description", "frame.packet_id", "frame.hash"}
"""Of the record, not of the frame: another file has others."""


def shown(told: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [line for line in without_the_files(told) if line[0] not in _RECORD]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    dice = random.Random(arguments.seed)  # noqa: S311 - which frames to look at
    files = sorted(f for f in arguments.folder.rglob("*.pcap*") if f.stat().st_size < LARGEST)
    dice.shuffle(files)
    counts: Counter[str] = Counter()
    end = time.monotonic() + arguments.seconds
    for file in files:
        if time.monotonic() > end:
            break
        try:
            page = Page(file)
        except K8scapError:
            counts["files that cannot be read"] += 1
            continue
        frames = len(page.capture.packets)
        counts["files"] += 1
        for row in sorted({dice.randrange(frames), frames - 1}) if frames else ():
            told = page.ask("detail", ask="detail", row=row)
            number = int(page.capture.packets.index[row])
            ours, theirs = shown(lines(told.get("tree", []))), shown(by_tshark(file, number))
            counts["frames"] += 1
            if ours != theirs:
                counts["frames that differ"] += 1
                names = sorted({name for name, _ in set(ours) ^ set(theirs)})
                print(f"{file.name} frame {number}: {', '.join(names[:8])}", flush=True)
    print("; ".join(f"{count:,} {what}" for what, count in counts.items()))


if __name__ == "__main__":
    main()
