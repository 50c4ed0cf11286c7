"""Hold `correlate` against the lab's link.

    python benchmarks/correlation.py [--seeds 20] [--scenario NAME]     (as root)

Each run is captured at client and server; the server's clock is then set wrong by an offset and a drift
that the seed draws. A row a run: by how much the offset is wrong, at the time for which it is told and at
the worse end of the capture; half of the path's asymmetry, which comes on top; the drift, true and as told;
and of the packets that the link dropped how many are said to be lost on the right way, on the wrong one or
not at all, and how many that it did not drop.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

SCENARIOS = ("two-points", "asymmetric-path")
SYMMETRIC_US = 50
"""What an offset may be wrong by beyond half of the asymmetry, in microseconds."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--scenario", choices=SCENARIOS)
    arguments = parser.parse_args()
    print("scenario         seed  offset_ms  wrong_us  ends_us  half_us  drift_ppm          told  ", end="")
    print("dropped  right  wrong  unsaid  false")
    rows = [
        measure(scenario, seed)
        for scenario in ([arguments.scenario] if arguments.scenario else SCENARIOS)
        for seed in range(1, arguments.seeds + 1)
    ]
    bad = [row for row in rows if not row["good"]]
    total = {key: sum(row[key] for row in rows) for key in ("dropped", "right", "wrong", "unsaid", "false")}
    print(
        f"{len(rows)} runs: {len(rows) - len(bad)} within {SYMMETRIC_US} us beyond half the asymmetry; of "
        f"{total['dropped']} dropped packets {total['right']} are placed right, {total['wrong']} wrong, "
        f"{total['unsaid']} not at all; {total['false']} called lost that were not"
    )
    return int(bool(bad))


def measure(scenario: str, seed: int) -> dict[str, Any]:
    import two_recordings as two

    import k8scap
    from k8scap import lab

    random = Random(f"clock {scenario} {seed}")  # noqa: S311 - a drawing that must be repeatable, not secret
    offset_ns, drift = random.randrange(-(10**9), 10**9), random.choice([0, random.uniform(-100e-6, 100e-6)])
    with tempfile.TemporaryDirectory() as folder:
        lab.run(scenario, seed=seed, directory=folder)
        manifest = Path(folder, f"{scenario}.json")
        server = Path(folder, f"{scenario}.server.pcap")
        true_offset = two.shift_clock(server, offset_ns=offset_ns, drift=drift)
        cap = k8scap.load(manifest)
        found = k8scap.correlate(cap)
        truth = two.truth_of(manifest)
        lost, said = two.dropped(truth), two.called(cap, found, "lost")
    clock = found.clocks.iloc[0]
    times = found.packets["time"]
    ends_us = []
    for time in (times.min(), times.max()):
        told_us = clock["offset_ms"] * 1e3 + clock["drift_ppm"] * (time - clock["time"]).total_seconds()
        ends_us.append(abs(told_us - true_offset(time.value) / 1e3))
    wrong_us = clock["offset_ms"] * 1e3 - true_offset(clock["time"].value) / 1e3
    right = sum(said.get(packet) == way for packet, way in lost.items())
    row = {
        "ends_us": max(ends_us),
        "wrong_us": wrong_us,
        "allowed_us": truth["parameters"].get("asymmetry_ms", 0) * 1e3 / 2,
        "dropped": len(lost),
        "right": right,
        "wrong": sum(said.get(packet, way) != way for packet, way in lost.items()),
        "unsaid": sum(packet not in said for packet in lost),
        "false": sum(packet not in lost for packet in said),
    }
    row["good"] = abs(wrong_us) <= row["allowed_us"] + SYMMETRIC_US
    told = f"{clock['drift_ppm']:.1f}±{clock['drift_error_ppm']:.1f}"
    clocks = f"{offset_ns / 1e6:9.3f}  {wrong_us:8.1f}  {row['ends_us']:7.1f}  {row['allowed_us']:7.1f}"
    counts = f"{row['dropped']:7}  {right:5}  {row['wrong']:5}  {row['unsaid']:6}  {row['false']:5}"
    mark = "" if row["good"] else "  <-"
    print(f"{scenario:16} {seed:4}  {clocks}  {drift * 1e6:9.1f}  {told:>12}  {counts}{mark}", flush=True)
    return row


if __name__ == "__main__":
    sys.exit(main())
