"""What the lab can make: names, one line each, and what must be found in each. Cheap to import."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from k8scap.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

MIXED = "+"
"""Joins the names of scenarios that happen at once: packet-loss+slow-server."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One scenario: `line` for people; `rule` is the finding that it must raise first.

    `causes` are those of which one must stand first in `consistent_with` (none: any may). Without a `rule`
    the traffic is innocent, however it looks: nothing of severity warning or above may be found.
    """

    line: str
    rule: str = ""
    causes: tuple[str, ...] = ()


CATALOGUE: Mapping[str, Entry] = {
    "asymmetric-path": Entry(line="nothing wrong, but slower one way than the other; captured at both ends"),
    "burst-loss": Entry(
        line="an upload that loses segments in bursts, as a queue that overflows does",
        rule="packet-loss",
        causes=("congestion", "queue-overflow"),
    ),
    "cancelled-requests": Entry(
        line="requests that the client gives up while the server thinks",
    ),
    "checksum-offload": Entry(
        line="a pod captured before its checksums are computed: half of all look wrong"
    ),
    "clean": Entry(line="ordinary traffic, and nothing wrong with it"),
    "connection-churn": Entry(
        line="many requests, each on a connection of its own, far away",
        rule="connection-churn",
        causes=("no-keep-alive",),
    ),
    "connection-leak": Entry(
        line="a client that opens a connection for each request and closes none",
        rule="connection-leak",
        causes=("unclosed-connections", "close-wait"),
    ),
    "connection-refused": Entry(
        line="a port where nobody listens: each attempt is answered with a reset",
        rule="connection-refused",
        causes=("nothing-listening",),
    ),
    "conntrack-full": Entry(
        line="several places that answered before answer no new connection, while an old one lives",
        rule="connect-timeout",
        causes=("conntrack-full",),
    ),
    "conntrack-invalid": Entry(
        line="a Service's answers, of which a segment comes from the pod's own address: a reset follows",
        rule="connection-reset",
        causes=("conntrack-invalid",),
    ),
    "conntrack-race": Entry(
        line="A and AAAA leave one socket together, one of the two is lost: the client waits it out",
        rule="dns-timeout",
        causes=("conntrack-race",),
    ),
    "cpu-throttling": Entry(
        line="a server that computes with a small CPU quota, captured beside it: its cgroup tells",
        rule="slow-server",
        causes=("cpu-throttling",),
    ),
    "delayed-ack": Entry(
        line="requests written in two small pieces: Nagle's algorithm waits for a delayed ACK",
        rule="delayed-ack",
        causes=("nagle-with-delayed-ack",),
    ),
    "dns-nxdomain-once": Entry(line="a name that does not exist, asked for once"),
    "dns-servfail": Entry(
        line="names about which the resolver answers that it failed, or that it refuses",
        rule="dns-failure",
    ),
    "dns-timeout": Entry(
        line="a name whose lookups get no answer: question or answer is lost on the way",
        rule="dns-timeout",
    ),
    "duplicate-capture": Entry(line="a pod captured on all interfaces of its host: every packet twice"),
    "duplicate-packets": Entry(
        line="a path that delivers some segments twice", rule="duplicate-packets", causes=("network-loop",)
    ),
    "expired-certificate": Entry(
        line="a server whose certificate has expired: clients end the handshake",
        rule="tls-failure",
        causes=("expired-certificate",),
    ),
    "firewall-reject": Entry(
        line="a firewall that refuses by ICMP, as REJECT does",
        rule="connection-refused",
        causes=("firewall-reject",),
    ),
    "grpc-errors": Entry(
        line="calls of gRPC that fail with a status",
        rule="http-errors",
    ),
    "hairpin": Entry(
        line="a pod that calls its own Service, and is its only backend",
        rule="connect-timeout",
        causes=("hairpin",),
    ),
    "half-closed-upload": Entry(line="clients that close their half before the answer comes: innocent"),
    "half-open": Entry(
        line="a middlebox forgets an idle connection, and swallows all that is then sent on it",
        rule="half-open",
        causes=("idle-timeout",),
    ),
    "host-down": Entry(
        line="a node that answers nothing any more",
        rule="connect-timeout",
        causes=("host-down",),
    ),
    "http-errors": Entry(
        line="a path that a server answers with 5xx again and again",
        rule="http-errors",
    ),
    "idle-grpc": Entry(line="a gRPC connection on which only PINGs pass"),
    "idle-reset": Entry(
        line="a middlebox forgets idle connections, and answers the next request with a reset",
        rule="connection-reset",
        causes=("idle-timeout",),
    ),
    "ipvs-port-reuse": Entry(
        line="connections to a Service from ports that were used before: their first SYN is dropped",
        rule="connect-timeout",
        causes=("ipvs-port-reuse",),
    ),
    "keep-alives": Entry(line="an idle connection that TCP keeps alive by probes: innocent"),
    "listen-queue-overflow": Entry(
        line="more clients than the listen queue of a busy server holds, captured there",
        rule="listen-queue-overflow",
        causes=("slow-accept",),
    ),
    "long-poll": Entry(line="requests that wait for news, beside others that are answered at once"),
    "mtu-black-hole": Entry(
        line="a tunnel that is too narrow for full-size segments, and says nothing",
        rule="mtu-black-hole",
        causes=("icmp-filtered",),
    ),
    "ndots-storm": Entry(
        line="names outside the cluster, asked with every suffix of the search list before as they are",
        rule="dns-search-waste",
        causes=("ndots",),
    ),
    "network-policy-drop": Entry(
        line="a pod that is there, and whose port never answers a SYN",
        rule="connect-timeout",
        causes=("network-policy-drop",),
    ),
    "packet-loss": Entry(
        line="an upload, and small requests beside it, over a path that loses data segments",
        rule="packet-loss",
        causes=("lossy-path",),
    ),
    "path-mtu-discovery": Entry(line="the same tunnel, but it says so, and the sender adapts: innocent"),
    "port-probes": Entry(
        line="probes that connect and close, or reset, and ask nothing",
    ),
    "quick-sidecar": Entry(line="requests through a sidecar's proxy that passes them on at once"),
    "reordering": Entry(
        line="a path on which some segments are overtaken by others",
        rule="reordering",
        causes=("multipath",),
    ),
    "reset-close": Entry(line="clients that have all they want, and close with a reset: innocent"),
    "server-abort": Entry(
        line="a server that resets the connection instead of answering",
        rule="connection-reset",
        causes=("server-abort",),
    ),
    "sidecar": Entry(
        line="requests through a sidecar's proxy that holds each of them up",
        rule="slow-proxy",
    ),
    "slow-endpoint": Entry(
        line="a server one of whose paths is slow each time, while it answers the others at once",
        rule="slow-endpoint",
        causes=("slow-handler",),
    ),
    "slow-reader": Entry(
        line="an upload whose receiver stops reading again and again: zero windows",
        rule="slow-reader",
        causes=("slow-consumer",),
    ),
    "slow-sender": Entry(
        line="a transfer whose sender has nothing to send, again and again",
        rule="slow-sender",
        causes=("slow-source",),
    ),
    "slow-server": Entry(
        line="answers that the server thinks about for hundreds of milliseconds",
        rule="slow-server",
        causes=("slow-application",),
    ),
    "snat-exhaustion": Entry(
        line="more connections out of the cluster at once than a gateway has ports",
        rule="connect-timeout",
        causes=("snat-exhaustion",),
    ),
    "snat-port-race": Entry(
        line="connections out of the cluster, some of whose SYNs are lost",
        rule="connect-timeout",
        causes=("snat-port-race",),
    ),
    "stale-conntrack-entry": Entry(
        line="a socket that goes on asking a resolver's pod that is gone; other sockets are answered",
        rule="dns-timeout",
        causes=("stale-conntrack-entry",),
    ),
    "stale-endpoint": Entry(
        line="a client that still connects to a pod that is gone",
        rule="connect-timeout",
        causes=("stale-endpoint",),
    ),
    "super-packets": Entry(line="a pod's upload captured before it is cut into segments"),
    "syn-retry": Entry(
        line="connections whose first SYN is lost: they come about a second late",
        rule="connect-timeout",
    ),
    "tail-loss": Entry(
        line="requests whose last segment is lost: only a timer brings it back",
        rule="packet-loss",
        causes=("tail-loss",),
    ),
    "tls-failure": Entry(
        line="handshakes that fail: unknown authority, no common version, no such host, or no TLS at all",
        rule="tls-failure",
        causes=("unknown-ca", "tls-version-mismatch", "sni-mismatch", "plain-http-on-tls-port"),
    ),
    "two-points": Entry(
        line="an upload and a download over a path that loses packets both ways; captured at both ends",
        rule="packet-loss",
        causes=("lossy-path",),
    ),
    "vxlan-checksum-offload": Entry(
        line="pods behind a VXLAN tunnel, from which some SYNs come with a wrong checksum; captured there",
        rule="bad-checksums",
        causes=("vxlan-checksum-offload",),
    ),
}

SCENARIOS: Mapping[str, str] = {name: entry.line for name, entry in sorted(CATALOGUE.items())}


def parts(name: str) -> tuple[str, ...]:
    """The scenarios of which `name` is made: one, or several that are joined by +. Raises UsageError."""
    names = tuple(name.split(MIXED))
    for part in names:
        check(part)
    return names


def check(name: str) -> None:
    """Raise UsageError, naming what is near, where there is no such scenario."""
    if name not in SCENARIOS:
        near = get_close_matches(name, SCENARIOS, n=3, cutoff=0.5) or list(SCENARIOS)
        raise UsageError(
            f"The lab has no scenario {name!r}; there is {', '.join(near)}.", next_step="k8scap lab --list"
        )
