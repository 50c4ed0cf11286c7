"""How long display filters take on a packets table of 1.3 million rows.

    python benchmarks/where.py [CAPTURE] [--rows 1300000]

The capture's table (of `notebooks/captures` without one) is repeated until it is that long. A filter is
compiled and judged five times; the best counts, in wall-clock time.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

OWN = Path(__file__).parents[1] / "notebooks" / "captures"
FILTERS = """
frame.number >= 10
frame.len > 1000
frame.time_epoch >= 1.5
tcp.port == 443 && ip.addr == 10.0.0.1
ip.src in {10.0.0.0/8, 192.168.0.1 .. 192.168.0.9}
tcp.analysis.retransmission
tcp.analysis.flags
tcp.flags.syn == 1 && tcp.flags.ack == 0
tcp.flags & 0x12 == 2
tcp.len > 0
tcp.stream eq 3
tcp.window_size == 0
tcp.analysis.ack_rtt > 0.2
eth.src == 00:11:22:33:44:55
vlan.id == 5
!(arp or icmp)
ipv6
udp.port in {53, 5353}
ip.ttl < 5
icmp.type == 3
ip.addr == 10.0.0.1 && ip.addr == 10.0.0.2 && tcp.port == 80 && tcp.port == 40000
tcp.port != 443 and not ip.addr == 10.0.0.0/8 or udp.length > 100
"""


def table(captures: list[Path], rows: int) -> Any:
    """The captures' tables one after the other, again and again, until there are so many rows."""
    import pandas as pd

    import k8scap

    once = k8scap.load(*captures).packets
    positions = [i % len(once) for i in range(rows)]
    repeated = once.iloc[positions]
    repeated.index = pd.RangeIndex(1, rows + 1, name="number")
    return repeated


def main() -> None:
    from k8scap.parser.where import compile_filter

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("captures", nargs="*", type=Path, default=sorted(OWN.glob("*.pcap")))
    parser.add_argument("--rows", type=int, default=1_300_000)
    arguments = parser.parse_args()
    packets = table(arguments.captures, arguments.rows)
    for text in FILTERS.strip().splitlines():
        times = []
        for _ in range(5):
            start = time.perf_counter()
            where = compile_filter(text)
            assert where is not None
            judgement = where.judge(packets)
            times.append(time.perf_counter() - start)
        print(
            f"{1000 * min(times):7.1f} ms  {judgement.mask.sum():9d} rows  {judgement.unsure.sum():7d} unsure"
            f"  {text}"
        )


if __name__ == "__main__":
    main()
