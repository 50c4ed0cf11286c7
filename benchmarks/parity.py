"""Hold the packets table against tshark's own detail tree (PDML), over a folder of captures.

    python benchmarks/parity.py ../shared/corpus [--every N] [--jobs 2] [--files SUBSTRING]

The tree tells by its shape what the parser works out from `frame.protocols`: headers that an ICMP error
or a sample quotes are children of what quotes them, headers of tunnels stand beside one another. So
the two ways are independent. Prints each file whose number of rows, or any of whose columns, differs.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))


def differences(path: Path) -> tuple[Path, int, list[str]]:
    """How a capture's table differs from its tree: one line a column."""
    from detail_tree import compare

    try:
        return (path, *compare(path))
    except Exception as error:  # noqa: BLE001 - a file that breaks the comparison is a result too
        return path, 0, [f"{type(error).__name__}: {error}"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=1, help="take one file in N")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--files", default="", help="only files whose path has this in it")
    arguments = parser.parse_args()
    files = [p for p in sorted(arguments.folder.rglob("*")) if p.is_file() and arguments.files in str(p)]
    files = [p for p in files if p.suffix not in {".md", ".txt"}][:: arguments.every]
    start, frames, bad = time.monotonic(), 0, 0
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for path, count, lines in pool.map(differences, files):
            frames += count
            bad += bool(lines)
            for line in lines:
                print(f"{path}: {line}", flush=True)
    print(f"{len(files)} files, {frames} frames, {bad} files differ, {time.monotonic() - start:.0f} s")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
