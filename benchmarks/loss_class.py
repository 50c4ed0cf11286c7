"""Is `loss_class` right? Uploads over a link that loses, against the link's own log.

    sudo python benchmarks/loss_class.py [--loss 0.1,1,5] [--rtt 0.2,2,100] [--seeds 3] [--at client,server]

Every data segment that the link dropped must be explained: the next copy of its bytes that the capture
shows is called `rto`, `fast` or `tail_probe`. And nothing else may be called so: no copy whose bytes an
earlier one had delivered, no first copy that was only overtaken. (A needless copy that was dropped too counts
nowhere: no ACK tells that it was needless.) With --reorder the link holds as many
segments back as it drops, for most of a round trip, so that there are such; without timestamps then, by which
a receiver would discard some of them (PAWS, RFC 7323, 5). Prints one Markdown row for each loss, round trip
and capture point.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

LOST = ("rto", "fast", "tail_probe")
_CONNECTIONS = 6
_SEGMENTS = {0.1: 5000, 1.0: 600, 5.0: 160}
"""Data segments of each connection: so many that a few dozen are lost, and so few that it ends in time."""


@dataclass
class Count:
    """What became of the segments that were lost, and of the copies that were not needed."""

    lost: int = 0
    explained: int = 0
    needless: int = 0
    slandered: int = 0
    missed: list[str] = field(default_factory=list)


def main() -> None:
    arguments = _arguments()
    if arguments.one:
        _perform(*arguments.one)
        return
    print("| loss | RTT | captured at | lost data segments | explained | needless copies | called loss |")
    print("| ---: | ---: | --- | ---: | ---: | ---: | ---: |")
    for loss, rtt, at in itertools.product(arguments.loss, arguments.rtt, arguments.at):
        count = Count()
        for seed in range(1, arguments.seeds + 1):
            with tempfile.TemporaryDirectory() as folder:
                held = str(int(arguments.reorder))
                argv = [sys.executable, __file__, "--one", str(loss), str(rtt), at, str(seed), held, folder]
                subprocess.run(argv, check=True)
                judge(Path(folder), count)
        share = f"{count.explained / max(count.lost, 1):.2%}"
        cells = (f"{loss:g} %", f"{rtt:g} ms", at, count.lost, share, count.needless, count.slandered)
        print("|", " | ".join(map(str, cells)), "|", flush=True)
        if arguments.show:
            print("\n".join(count.missed[: arguments.show]))


def _perform(*told: str) -> None:
    """One run, in a process of its own: the lab forks."""
    from dataclasses import replace

    from k8scap.lab.bulk import BulkServer, Transfer
    from k8scap.lab.plan import Rule
    from k8scap.lab.scenarios.scenario import BULK, MSS, SERVER, Fault, staged
    from k8scap.lab.stage import perform

    loss, rtt, at, seed, held, folder = told
    share = float(loss) / 100
    late = 0.8 * float(rtt) + 0.2
    count = MSS * _SEGMENTS.get(float(loss), 600)
    fault = Fault(
        rtt_ms=float(rtt),
        workers=[[(SERVER, Transfer(port=BULK, count=count))] for _ in range(_CONNECTIONS)],
        services=[BulkServer(name="bulk", port=BULK)],
        rules=[
            Rule(action="drop", protocol="tcp", to="server", data=True, p=share),
            *([Rule(action="reorder", protocol="tcp", to="server", data=True, p=share, ms=late)] * int(held)),
        ],
        settings={"net.ipv4.tcp_timestamps": "0"} if int(held) else {},
        captured=at,
    )
    scenario = staged("packet-loss", int(seed), Random(seed), [fault])  # noqa: S311
    client = replace(scenario.hosts[0], workers=fault.workers)
    perform(replace(scenario, hosts=(client, *scenario.hosts[1:])), directory=Path(folder), name="run")


def judge(folder: Path, count: Count) -> None:
    """Hold the table against the log, segment by segment."""
    import k8scap

    truth = json.loads((folder / "run.truth.json").read_text())
    cap = k8scap.load(folder / "run.pcap")
    table = cap.losses
    ids = cap.packets["ip_id"]
    ports = cap.packets["src_port"]
    called = {
        (int(ports[n]), int(ids[n]), int(seq)): (word, n)
        for n, seq, word in zip(table["number"], table["seq"], table["loss_class"], strict=True)
    }
    flows = defaultdict(list)
    for packet in truth["packets"]:
        if packet.get("payload_length") and packet["direction"] == "to-server" and packet["made_of"] is None:
            flows[packet["src_port"]].append(packet)
    for port, packets in flows.items():
        _judge_flow(port, packets, called, count, truth["captured_at"])


def _judge_flow(port: int, packets: list[dict], called: dict, count: Count, at: str) -> None:
    """Every copy of a segment is held against what became of the copies before it."""
    copies: dict[int, list[dict]] = defaultdict(list)
    for packet in packets:
        edges = {packet["seq"], packet["seq"] + packet["payload_length"] - 1}
        seen = at == "client" or packet["action"] != "drop"
        earlier = [copies[byte] for byte in edges if copies[byte]]
        held_back = packet["action"] == "reorder"
        word, number = called.get((port, packet["ip_id"], packet["seq"]), ("", 0))
        if seen and (earlier or held_back or word in LOST):
            place = f"   port {port} seq {packet['seq']} frame {number}: {word!r}"
            new = any(not copies[byte] for byte in edges)
            _judge_copy(earlier, word, place, count, brings_new=new, dropped=packet["action"] == "drop")
        for byte in edges:
            copies[byte].append(packet)


def _judge_copy(
    earlier: list[list[dict]], word: str, place: str, count: Count, *, brings_new: bool, dropped: bool
) -> None:
    needed = any(all(packet["action"] == "drop" for packet in before) for before in earlier)
    if needed:
        lost = [p for before in earlier for p in before if p["action"] == "drop" and not p.get("told")]
        for packet in lost:
            packet["told"] = True
        number = len({packet["index"] for packet in lost})
        count.lost += number
        if word in LOST:
            count.explained += number
        else:
            count.missed.append(f"{place}, though it was lost")
    elif dropped:
        return
    elif not brings_new or not earlier:
        count.needless += 1
        if word in LOST:
            count.slandered += 1
            count.missed.append(f"{place}, though nothing was lost")


def _arguments() -> argparse.Namespace:
    def numbers(text: str) -> list[float]:
        return [float(part) for part in text.split(",")]

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--loss", type=numbers, default=[0.1, 1, 5])
    parser.add_argument("--rtt", type=numbers, default=[0.2, 2, 100])
    parser.add_argument("--at", type=lambda text: text.split(","), default=["client", "server"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--reorder", action="store_true")
    parser.add_argument("--show", type=int, default=0, help="so many of those that were judged wrongly")
    parser.add_argument("--one", nargs=6, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
