"""Hold the columnar engine against tshark, every column of every frame, over a folder of captures.

    python benchmarks/engine_parity.py ../shared/corpus [--jobs 2] [--files SUBSTRING] [--keep FOLDER]

Prints each difference that has no reason written down, and sums up: decode columns and columns of the
analysis, frames and files. `--keep` stores tshark's tables, which are what takes the time.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))


def differences(path: Path, keep: Path | None) -> tuple[Path, int, dict[str, Any], dict[str, Any], bool]:
    """A capture's differences, those without a reason, and whether the columnar engine read it."""
    from engine_comparison import compare, unknown

    from k8scap import load

    reference = _reference(path, keep)
    found, frames = compare(path, reference)
    capture = load(path)
    read = not any("columnar" in note for note in capture.quality.notes)
    return path, frames, {c: len(cells) for c, cells in found.items()}, unknown(path, found), read


def _reference(path: Path, keep: Path | None) -> Any:
    """Tshark's table, from the folder of those kept where it is there."""
    import pandas as pd

    from k8scap import load

    stored = keep / ("__".join(path.parts[-2:]) + ".parquet") if keep else None
    if stored and stored.exists():
        return pd.read_parquet(stored)
    table = load(path, engine="pyshark").packets
    if stored:
        table.to_parquet(stored)
    return table


def main() -> int:
    from k8scap.schema import PACKETS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--files", default="", help="only files whose path has this in it")
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    files = [p for p in sorted(arguments.folder.rglob("*")) if p.is_file() and arguments.files in str(p)]
    files = [p for p in files if p.suffix not in {".md", ".txt"}]
    analysis = {column.name for column in PACKETS if column.layer == "analysis"}
    start, frames, bad, beyond = time.monotonic(), 0, 0, 0
    cells: Counter[str] = Counter()
    differing: list[Path] = []
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for path, count, found, without_reason, read in pool.map(
            partial(differences, keep=arguments.keep), files, chunksize=4
        ):
            frames += count
            beyond += not read
            cells.update(found)
            differing += [path] if found else []
            bad += bool(without_reason)
            for column, some in without_reason.items():
                print(f"{path}: {column}: {len(some)} frames, {some[0]}", flush=True)
    print(f"{len(files)} files ({beyond} read by tshark), {frames} frames, {time.monotonic() - start:.0f} s")
    for name, columns in (("decode", None), ("analysis", analysis)):
        of = {c: n for c, n in cells.items() if (c in analysis) == (columns is not None)}
        worst = max(of.values(), default=0)
        share = 100 * (1 - worst / frames)
        print(f"{name} columns: at worst {share:.3f} % of frames agree ({of})")
    print(f"{len(differing)} files differ, {bad} of them without a reason:")
    for path in differing:
        print(f"  {'/'.join(path.parts[-2:])}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
