"""Loss, slowness, refusal and silence: the plainest faults, and none at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from k8scap.lab.bulk import BulkServer, Transfer
from k8scap.lab.dial import Dial
from k8scap.lab.plan import Rule, chance
from k8scap.lab.resolver import Lookups
from k8scap.lab.scenarios.scenario import (
    BULK,
    MSS,
    PAYMENTS,
    REPORTS,
    RESOLVER,
    Fault,
    between,
    dns_id,
    worker,
)
from k8scap.lab.web import WebRequests, WebServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

_FEWEST_DROPS = 8  # drops that a packet-loss run has at the least among its first transmissions


def _clean(random: Random, seed: int) -> Fault:
    del seed
    up, down = random.randrange(200_000, 600_000), random.randrange(200_000, 600_000)
    transfers = [Transfer(port=BULK, count=up), Transfer(port=BULK, count=down, way="down")]
    return Fault(
        rtt_ms=between(random, 10, 40),
        workers=[worker(random, "bulk", *transfers)],
        services=[BulkServer(name="bulk", port=BULK)],
        parameters={"upload_bytes": up, "download_bytes": down},
    )


def _packet_loss(random: Random, seed: int) -> Fault:
    loss = between(random, 1, 5) / 100
    rule = Rule(action="drop", protocol="tcp", to="server", data=True, p=round(loss, 4))
    segments = _segments_until(_FEWEST_DROPS, rule, seed) + random.randrange(20, 120)
    return Fault(
        rtt_ms=between(random, 4, 25),
        workers=[worker(random, "bulk", Transfer(port=BULK, count=segments * MSS))],
        services=[BulkServer(name="bulk", port=BULK)],
        rules=[rule],
        settings={},
        parameters={"loss": rule.p, "upload_bytes": segments * MSS},
    )


def _slow_server(random: Random, seed: int) -> Fault:
    del seed
    thinks = [random.randrange(150, 600) for _ in range(random.randrange(3, 6))]
    paths = [f"/report?think_ms={think}&bytes={random.randrange(500, 6000)}" for think in thinks]
    requests = WebRequests(host="reports.lab.test", port=REPORTS, paths=paths)
    return Fault(
        rtt_ms=between(random, 1, 40),
        workers=[worker(random, "reports", requests)],
        services=[WebServer(name="reports", port=REPORTS)],
        parameters={"think_ms": thinks},
    )


def _slow_reader(random: Random, seed: int) -> Fault:
    del seed
    pauses = [between(random, 0.25, 0.5) for _ in range(random.randrange(3, 6))]
    buffer = random.randrange(16, 48) * 1024
    piece = 2 * buffer
    count = piece * len(pauses) + random.randrange(200_000, 400_000)
    server = BulkServer(name="bulk", port=BULK, receive_buffer=buffer, pauses_s=pauses, piece=piece)
    return Fault(
        rtt_ms=between(random, 1, 20),
        workers=[worker(random, "bulk", Transfer(port=BULK, count=count))],
        services=[server],
        parameters={"pauses_s": pauses, "receive_buffer": buffer, "upload_bytes": count},
    )


def _slow_sender(random: Random, seed: int) -> Fault:
    """An upload or a download whose sender pauses now shortly and now for long: no timer does."""
    del seed
    way: Literal["up", "down"] = random.choice(["up", "down"])
    silences = [between(random, 0.12, 0.2) for _ in range(random.randrange(3, 6))]
    silences += [between(random, 0.35, 0.6) for _ in range(random.randrange(3, 6))]
    random.shuffle(silences)
    count = (len(silences) + 1) * random.randrange(24_000, 90_000)
    transfer = Transfer(port=BULK, count=count, way=way, silences_s=silences if way == "up" else ())
    server = BulkServer(name="bulk", port=BULK, silences_s=silences if way == "down" else ())
    return Fault(
        rtt_ms=between(random, 1, 20),
        workers=[worker(random, "bulk", transfer)],
        services=[server],
        parameters={"way": way, "silences_s": silences, "bytes": count},
    )


def _connection_refused(random: Random, seed: int) -> Fault:
    del seed
    attempts, gap = random.randrange(4, 9), between(random, 0.1, 0.3)
    dial = Dial(port=PAYMENTS, attempts=attempts, gap_s=gap)
    return Fault(
        rtt_ms=between(random, 1, 40),
        workers=[worker(random, "payments", dial)],
        parameters={"port": PAYMENTS, "attempts": attempts, "gap_s": gap},
    )


def _dns_timeout(random: Random, seed: int) -> Fault:
    del seed
    lost = random.choice(["question", "answer"])
    timeout, attempts = between(random, 0.5, 0.8), random.randrange(3, 5)
    name = "payments.lab.test"
    rule = Rule(action="drop", dns=name, to="server" if lost == "question" else "client")
    lookups = Lookups(names=[name], first_id=dns_id(random), timeout_s=timeout, attempts=attempts)
    return Fault(
        rtt_ms=between(random, 1, 40),
        workers=[[(RESOLVER, lookups)]],
        rules=[rule],
        parameters={"name": name, "lost": lost, "timeout_s": timeout, "attempts": attempts},
    )


BUILDERS: Mapping[str, Callable[[Random, int], Fault]] = {
    "clean": _clean,
    "connection-refused": _connection_refused,
    "dns-timeout": _dns_timeout,
    "packet-loss": _packet_loss,
    "slow-reader": _slow_reader,
    "slow-sender": _slow_sender,
    "slow-server": _slow_server,
}


def _segments_until(drops: int, rule: Rule, seed: int) -> int:
    """How many segments the upload needs for the seed to drop so many: its plan is known beforehand."""
    segment = 0
    while drops:
        segment += 1
        drops -= chance(seed, rule, BULK, 1, "server", "segment", segment, 1) < rule.p
    return segment
