"""Pods on two nodes, joined by a VXLAN tunnel that is captured where it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.lab.held import HeldConnection
from k8scap.lab.hosts import Host
from k8scap.lab.overlay import Overlay
from k8scap.lab.plan import Rule
from k8scap.lab.scenarios.inventory import pod
from k8scap.lab.scenarios.scenario import CLIENT, NO_PROBES, SERVER, Fault, between
from k8scap.lab.veth import NODE_SETTINGS
from k8scap.lab.web import WebServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

STOCK = 8095
CLIENT_POD, SERVER_POD = "198.18.0.31", "198.18.0.32"


def _vxlan_checksum_offload(random: Random, seed: int) -> Fault:
    """A card that was to finish the checksums inside of the tunnel, and does it wrong for some SYNs."""
    del seed
    count = random.randrange(6, 11)
    chosen = sorted(random.sample(range(1, count + 1), random.randrange(3, 6)))
    copies = (1,) if random.random() < 0.7 else (1, 2)
    vni = random.randrange(1, 4096)
    caller = Host(
        name="client-pod",
        address=CLIENT_POD,
        node="client",
        settings=NO_PROBES,
        workers=[
            [(SERVER_POD, HeldConnection(port=STOCK, after_s=round(0.05 * n, 2)))] for n in range(count)
        ],
    )
    answerer = Host(
        name="server-pod",
        address=SERVER_POD,
        node="server",
        settings=NO_PROBES,
        services=[WebServer(name="stock", port=STOCK)],
    )
    return Fault(
        rtt_ms=between(random, 1, 40),
        hosts=[caller, answerer],
        overlays={
            "client": Overlay(vni=vni, local=CLIENT, remote=SERVER, remote_pod=SERVER_POD),
            "server": Overlay(vni=vni, local=SERVER, remote=CLIENT, remote_pod=CLIENT_POD),
        },
        rules=[
            Rule(action="damage", port=STOCK, connection=nth, to="server", flag="syn", copy=copies)
            for nth in chosen
        ],
        settings=NO_PROBES | NODE_SETTINGS,
        names=[
            pod(CLIENT_POD, "checkout-5d8f7", workload="deploy/checkout"),
            pod(SERVER_POD, "stock-6c4b2", workload="deploy/stock"),
        ],
        captured="server",
        parameters={"vni": vni, "port": STOCK, "attempts": count, "damaged": chosen, "copies": list(copies)},
    )


BUILDERS: Mapping[str, Callable[[Random, int], Fault]] = {
    "vxlan-checksum-offload": _vxlan_checksum_offload,
}
