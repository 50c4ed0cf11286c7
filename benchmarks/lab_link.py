"""What the lab's link carries and what it adds: python benchmarks/lab_link.py (as root)."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING, Any

from k8scap.lab.bulk import BulkServer, Transfer
from k8scap.lab.hosts import Host
from k8scap.lab.link import Path
from k8scap.lab.network import Network
from k8scap.lab.plan import Plan, Rule
from k8scap.lab.resolver import Lookups, NameServer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from k8scap.lab.hosts import Job

CLIENT, SERVER = "198.18.0.10", "198.18.0.20"


def measure(
    job: Job, *, rtt_ms: float = 0.0, rules: Sequence[str] = ()
) -> tuple[float, Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]:
    """Seconds that the job took, the client's log, the link's log."""
    hosts = (
        Host(name="client", address=CLIENT, workers=[[(SERVER, job)]]),
        Host(
            name="server",
            address=SERVER,
            services=[BulkServer(name="bulk", port=5001), NameServer(records={"a.lab.test": SERVER})],
        ),
    )
    plan = Plan(tuple(Rule.parse(rule) for rule in rules))
    with Network(hosts, path=Path(rtt_ms=rtt_ms), plan=plan) as network:
        started = time.perf_counter()
        network.work()
        took = time.perf_counter() - started
        return took, network.reports()["client"]["jobs"], network.stop_link()


def main() -> None:
    names = ["a.lab.test"] * 500
    for rtt_ms in (0.0, 2.0, 20.0):
        lookups = Lookups(names=names[: 500 if rtt_ms < 10 else 50], first_id=1, gap_s=0.001)
        _, jobs, log = measure(lookups, rtt_ms=rtt_ms)
        asked = [(job["end_ns"] - job["start_ns"]) / 1e6 for job in jobs]
        held = [(row["time_out_ns"] - row["time_ns"]) / 1e6 for row in log]
        print(
            f"rtt {rtt_ms:4g} ms: lookup {min(asked):.3f} ms at the least, {median(asked):.3f} median; ",
            end="",
        )
        print(f"in the link {min(held):.3f}, {median(held):.3f} (planned {rtt_ms / 2:g})")
    lossless = "drop tcp data to=server p=0.0000001"
    for way, rtt_ms, rules in (("up", 0, ()), ("down", 0, ()), ("up", 0, (lossless,)), ("up", 10, ())):
        count = 60_000_000
        took, _, log = measure(Transfer(port=5001, count=count, way=way), rtt_ms=rtt_ms, rules=rules)
        rates = f"{count * 8 / took / 1e6:.0f} Mbit/s, {len(log) / took:.0f} packets/s"
        print(f"{way:4} rtt {rtt_ms} ms, {len(rules)} rules: {rates}")


if __name__ == "__main__":
    main()
