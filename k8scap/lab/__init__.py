"""Faults on demand: small servers and clients in network namespaces, joined by a link that obeys a plan.

    cap = k8scap.lab.run("packet-loss", seed=1, directory="out")

Needs Linux with /dev/net/tun, iproute2 and tcpdump; no cluster, no netem, and not even root where user
namespaces are allowed. What each packet met on its way stands in NAME.truth.json.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.lab.catalogue import SCENARIOS

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from k8scap.analysis import Capture

__all__ = ["SCENARIOS", "run"]


def run(
    scenario: str,
    *,
    seed: int = 1,
    directory: str | os.PathLike[str] = ".",
    name: str | None = None,
    plan: Sequence[str] = (),
) -> Capture:
    """Make the traffic of a scenario, capture it at the client, and open what was captured.

    Writes NAME.pcap, NAME.json (the manifest) and NAME.truth.json (what the link, the servers and the
    clients say) into `directory`; NAME is `name`, or the scenario's. The same seed gives the same
    parameters and the same plan. `plan` are more rules for the link, obeyed before the scenario's own:
    `("drop port=5001 connection=1 segment=3",)`; docs/lab.md has the words.

    Takes two to five seconds. Raises UsageError for an unknown scenario or rule, NotPermittedError and
    ToolMissingError where namespaces, TUN devices or tools cannot be had.
    """
    from k8scap.analysis import load
    from k8scap.lab.launch import launch

    return load(launch(scenario, seed=seed, directory=directory, name=name, plan=plan))
