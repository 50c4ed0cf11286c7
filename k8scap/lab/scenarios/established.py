"""Connections that were opened and then suffer: resets, black holes, Nagle, and what only looks like them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.lab.bulk import BulkServer
from k8scap.lab.dialogue import Ask, Dialogue, DialogueServer
from k8scap.lab.leak import Leak
from k8scap.lab.plan import Rule
from k8scap.lab.scenarios.scenario import BULK, Fault, between, worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from random import Random

CACHE = 6379
_PAUSE_S = 0.05  # between requests: no idle connection


def _mtu_black_hole(random: Random, seed: int) -> Fault:
    del seed
    return _narrow_path(random, icmp=False)


def _path_mtu_discovery(random: Random, seed: int) -> Fault:
    del seed
    return _narrow_path(random, icmp=True)


def _narrow_path(random: Random, *, icmp: bool) -> Fault:
    """A tunnel on the way: small requests pass, a large one is cut to a size that the path knows, or not."""
    mtu, upload = random.randrange(1200, 1450), random.randrange(6_000, 30_000)
    small = [Ask(body=random.randrange(20, 400)) for _ in range(random.randrange(2, 5))]
    dialogue = Dialogue(port=CACHE, asks=[*small, Ask(body=upload)], patience_s=between(random, 2.6, 3.2))
    return _fault(
        random,
        [dialogue],
        rules=[Rule(action="mtu", protocol="tcp", port=CACHE, to="server", bytes=mtu, icmp=icmp)],
        parameters={"mtu": mtu, "upload_bytes": upload},
    )


def _idle_reset(random: Random, seed: int) -> Fault:
    del seed
    limit = random.randrange(700, 1200)
    idle = between(random, limit / 1000 + 0.2, limit / 1000 + 0.9)
    dialogues = [
        Dialogue(port=CACHE, asks=[*_quick(random), Ask(pause_s=idle + between(random, 0, 0.1))])
        for _ in range(random.randrange(1, 4))
    ]
    return _fault(
        random,
        dialogues,
        rules=[Rule(action="reset", protocol="tcp", port=CACHE, idle=limit, both=random.random() < 0.5)],
        parameters={"idle_limit_ms": limit, "idle_s": idle},
    )


def _half_open(random: Random, seed: int) -> Fault:
    del seed
    limit = random.randrange(500, 900)
    asks = [*_quick(random), Ask(pause_s=limit / 1000 + between(random, 0.2, 0.6))]
    return _fault(
        random,
        [Dialogue(port=CACHE, asks=asks, patience_s=between(random, 2.6, 3.2))],
        rules=[Rule(action="drop", protocol="tcp", port=CACHE, idle=limit)],
        parameters={"idle_limit_ms": limit},
    )


def _server_abort(random: Random, seed: int) -> Fault:
    del seed
    count = random.randrange(1, 5)
    dialogues = [
        Dialogue(port=CACHE, asks=[*_quick(random), Ask(verb="ABORT", think_ms=random.randrange(0, 80))])
        for _ in range(count)
    ]
    return _fault(random, dialogues, parameters={"aborted": count})


def _reset_close(random: Random, seed: int) -> Fault:
    del seed
    dialogues = [Dialogue(port=CACHE, asks=_quick(random), ending="reset") for _ in range(4)]
    return _fault(random, dialogues)


def _half_closed_upload(random: Random, seed: int) -> Fault:
    del seed
    sizes = [random.randrange(20_000, 300_000) for _ in range(2)]
    dialogues = [
        Dialogue(port=CACHE, asks=[Ask(body=size, think_ms=random.randrange(20, 90))], ending="half")
        for size in sizes
    ]
    return _fault(random, dialogues, parameters={"upload_bytes": sizes})


def _connection_leak(random: Random, seed: int) -> Fault:
    """A connection for each request that is never closed, or only by the server, for some seconds."""
    del seed
    closes, answer = random.choice(["nobody", "server"]), random.randrange(100, 3000)
    weights = [between(random, 0.5, 1.5) for _ in range(random.randrange(26, 41))]
    seconds = between(random, 5.8, 7.5)
    gaps = [round(weight * seconds / sum(weights[1:]), 4) for weight in weights]
    port, request = (CACHE, Ask(answer=answer).line) if closes == "nobody" else (BULK, b"GET %d\n" % answer)
    return Fault(
        rtt_ms=between(random, 1, 40),
        workers=[worker(random, "bulk", Leak(port=port, request=request, answer=answer, gaps_s=gaps))],
        services=[DialogueServer(name="cache", port=CACHE), BulkServer(name="bulk", port=BULK)],
        parameters={"closed_by": closes, "connections": len(gaps), "seconds": seconds},
    )


def _keep_alives(random: Random, seed: int) -> Fault:
    del seed
    idle = between(random, 2.2, 3.4)
    asks = [*_quick(random), Ask(pause_s=idle)]
    return _fault(random, [Dialogue(port=CACHE, asks=asks, keep_alive=True)], parameters={"idle_s": idle})


def _delayed_ack(random: Random, seed: int) -> Fault:
    """The server's kernel acknowledges the first requests at once; then it delays its ACKs by 40 ms."""
    del seed
    count = random.randrange(12, 25)
    asks = [Ask(body=random.randrange(60, 600), answer=random.randrange(60, 900)) for _ in range(count)]
    dialogue = Dialogue(port=CACHE, asks=asks, no_delay=False, in_pieces=True)
    return _fault(random, [dialogue], parameters={"requests": count})


def _quick(random: Random) -> list[Ask]:
    count = random.randrange(3, 7)
    return [Ask(pause_s=_PAUSE_S, answer=random.randrange(100, 2000)) for _ in range(count)]


def _fault(
    random: Random,
    dialogues: Sequence[Dialogue],
    *,
    rules: Sequence[Rule] = (),
    parameters: Mapping[str, object] | None = None,
) -> Fault:
    """Dialogues at the same time with a server that keeps its connections, on a path of some milliseconds."""
    return Fault(
        rtt_ms=between(random, 2, 25),
        workers=[worker(random, "bulk", dialogue) for dialogue in dialogues],
        services=[DialogueServer(name="cache", port=CACHE)],
        rules=rules,
        parameters=parameters or {},
    )


BUILDERS: Mapping[str, Callable[[Random, int], Fault]] = {
    "connection-leak": _connection_leak,
    "delayed-ack": _delayed_ack,
    "half-closed-upload": _half_closed_upload,
    "half-open": _half_open,
    "idle-reset": _idle_reset,
    "keep-alives": _keep_alives,
    "mtu-black-hole": _mtu_black_hole,
    "path-mtu-discovery": _path_mtu_discovery,
    "reset-close": _reset_close,
    "server-abort": _server_abort,
}
