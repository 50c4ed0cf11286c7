"""Hold display filters answered from the packets table against tshark, over a folder of captures.

    python benchmarks/where_parity.py ../shared/corpus [--every 10] [--filters 300] [--seed 1]

Each capture gets the fixed filters of the tests and random ones about its values. Frames that the table is
unsure of are settled by tshark, which is asked about them alone where that is said to be enough. Prints each
contradiction, and how many rows and filters needed tshark.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "parser"))


def main() -> int:
    from filter_answers import contradictions, tshark_answers
    from filter_samples import ANSWERED, Filters

    from k8scap import load
    from k8scap.parser.where import compile_filter
    from k8scap.parser.where.fields import FIELDS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=1, help="take every Nth capture")
    parser.add_argument("--start", type=int, default=0, help="leave out the first ones")
    parser.add_argument("--filters", type=int, default=300, help="random filters a capture")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", default="columnar")
    parser.add_argument("--largest", type=int, default=2_000_000, help="bytes of the largest capture")
    arguments = parser.parse_args()
    files = [
        p for p in sorted(arguments.folder.rglob("*")) if p.is_file() and p.suffix not in {".md", ".txt"}
    ]
    files = [p for p in files if p.stat().st_size <= arguments.largest]
    asked = compile_filter("ip.addr == 0.0.0.1")
    assert asked is not None
    begin, rows, unsure, filters, bad, skipped = time.monotonic(), 0, 0, 0, 0, 0
    chosen = files[arguments.start :: arguments.every]
    for path in chosen:
        table = load(path, engine=arguments.engine).packets
        if len(tshark_answers(path, ["frame"])["frame"]) != len(table):
            skipped += 1  # a link type that it knows under no name
            continue
        about = Filters(table, FIELDS, f"{arguments.seed} {path.name}")
        texts = list(dict.fromkeys([*ANSWERED, *FIELDS, *(about.make() for _ in range(arguments.filters))]))
        filters += len(texts)
        rows += len(table)
        unsure += int(asked.unsure(table).sum())
        for text, frames in contradictions(path, table, texts).items():
            bad += 1
            print(f"{path}: {text}: {frames[:10]}", flush=True)
    print(
        f"{len(chosen)} captures ({skipped} that tshark does not read), {rows} frames, {filters} filters, "
        f"{unsure} frames unsure for addresses, {bad} contradictions, {time.monotonic() - begin:.0f} s"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
