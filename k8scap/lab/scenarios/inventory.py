"""Who the addresses are: the pods, Services and hosts of which a capture is told, some of them gone."""

from __future__ import annotations

from datetime import UTC, datetime

from k8scap.lab.scenarios.scenario import CLIENT
from k8scap.model import NameEntry

NOBODY = "198.18.0.40"  # no host has it
SERVICE = "198.18.0.96"  # a Service's address: nobody's own; the next ones too
CACHE_SERVICE, ORDERS_SERVICE, DNS_SERVICE = "198.18.0.97", "198.18.0.98", "198.18.0.99"
PARTNER, PARTNER_PORT = "198.18.0.30", 8443  # a host outside the cluster
BEFORE = datetime(2026, 1, 1, tzinfo=UTC)  # when pods were named first, and some went away again
GONE = datetime(2026, 1, 2, tzinfo=UTC)


def pod(address: str, name: str, *, workload: str = "", end: datetime | None = None) -> NameEntry:
    return NameEntry(
        address=address,
        name=name,
        kind="pod",
        namespace="shop",
        workload=workload,
        start=BEFORE,
        end=end,
        source="kubernetes",
    )


def service(name: str, *, address: str = SERVICE) -> NameEntry:
    return NameEntry(
        address=address,
        name=name,
        kind="service",
        namespace="shop",
        start=BEFORE,
        source="kubernetes",
    )


CHECKOUT = pod(CLIENT, "checkout-5d8f7", workload="deploy/checkout")
OUTSIDE = NameEntry(address=PARTNER, name="partner", kind="external", start=BEFORE)
