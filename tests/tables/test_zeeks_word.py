"""Zeek's own word on captures of its test suite, where the folder of them is there.

The expected values stand in the baselines of Zeek's tests (testing/btest/Baseline/*/conn.log).
"""

from __future__ import annotations

from pathlib import Path

import k8scap

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "zeek"
ZEEK = {
    "ldap__ctu-sme-11-win7ad-1-ldap-tcp-50041.pcap": {
        (50041, 389): ("RSTR", "ShADdFar"),
    },
    "ldap__simpleauth-diff-port.pcap": {
        (25936, 32681): ("RSTO", "ShADdR"),
    },
    "mixed-vlan-mpls.pcap": {
        (11001, 23): ("SH", "SADF"),
        (50343, 80): ("SF", "ShADadfF"),
        (56730, 80): ("SF", "ShADdFaf"),
    },
    "modbus__modbus-and-non-modbus-p502.pcap": {
        (3082, 502): ("SF", "ShADdFaf"),
        (7488, 502): ("SF", "ShADadFf"),
        (33752, 502): ("SF", "ShADadFf"),
        (38129, 502): ("SF", "ShADadFf"),
        (58380, 502): ("SF", "ShADadFf"),
        (60175, 502): ("SF", "ShADadFf"),
    },
    "pop3__pop3.pcap": {
        (26272, 110): ("SF", "ShAdDafF"),
        (26284, 110): ("SF", "ShAdDafF"),
        (26304, 110): ("SF", "ShAdDafF"),
        (26308, 110): ("SF", "ShAdDafF"),
        (26383, 110): ("SF", "ShAdDafF"),
    },
    "tls__irc-starttls.pcap": {
        (55123, 6667): ("SF", "ShADadFRf"),
    },
    "tls__pop3-starttls.pcap": {
        (54775, 110): ("SF", "ShAadDfFr"),
    },
    "ssh__ssh.pcap": {
        (33910, 22): ("SF", "ShADadFf"),
        (40184, 41644): ("SF", "ShADadFf"),
        (41164, 22): ("SF", "ShADadFf"),
        (41268, 22): ("SF", "ShADadFf"),
        (51476, 8118): ("SF", "DaFfA"),
        (51489, 22): ("SF", "ShAdDaFf"),
        (51880, 22): ("SF", "ShAdDaFf"),
        (52294, 22): ("SF", "ShADadFf"),
    },
    "tunnels__vxlan-encapsulated-http.pcap": {
        (40354, 80): ("SF", "ShADadFf"),
    },
}
"""File: (originator's port, responder's port): conn_state, history."""


def test_states_and_histories_are_those_that_zeek_logs() -> None:
    for path in (CORPUS / name for name in ZEEK):
        if not path.exists():
            continue
        table = k8scap.load(path).conversations
        tcp = table[table["protocol"] == "TCP"]
        ours = {(row.src_port, row.dst_port): (row.state, row.history) for row in tcp.itertuples()}
        expected = ZEEK[path.name]
        assert {ends: ours.get(ends) for ends in expected} == expected, path.name
