"""Which headers count, in stacks of layers that Wireshark gave for public captures."""

import pytest

from k8scap.parser.layers import read_stack


@pytest.mark.parametrize(
    ("protocols", "protocol", "counts", "tunnels"),
    [
        ("eth:ethertype:ip:tcp:tls:x509sat:tls", "TCP", {"ip": 0, "tcp": 0}, []),
        ("eth:ethertype:ip:icmp:ip:tcp", "ICMP", {"ip": 0, "icmp": 0}, []),
        ("eth:ethertype:ip:pim", "PIM", {"ip": 0}, []),
        ("eth:ethertype:ip:pim:ip:udp:data", "UDP", {"ip": 1, "udp": 0}, ["pim"]),
        ("eth:ethertype:ip:udp:sflow:eth:ethertype:ip:tcp", "UDP", {"ip": 0, "udp": 0}, []),
        ("eth:ethertype:ip:tcp:openflow_v1:eth:ethertype:ip:tcp", "TCP", {"ip": 0, "tcp": 0}, []),
        ("eth:ethertype:ip:gre:wlan:llc:ip:tcp:http", "TCP", {"ip": 1, "tcp": 0}, ["gre"]),
        ("eth:ethertype:ip:gre:cmd:ip:icmp:data", "ICMP", {"ip": 1, "icmp": 0}, ["gre"]),
        (
            "eth:ethertype:ip:gre:erspan:eth:ethertype:ip:icmp",
            "ICMP",
            {"ip": 1, "icmp": 0},
            ["gre", "erspan"],
        ),
        ("eth:ethertype:vlan:ethertype:ip:gre:cdp", "GRE", {"ip": 0}, []),
        ("eth:ethertype:ip:udp:nsh:ip:udp:data", "UDP", {"ip": 1, "udp": 1}, ["nsh"]),
        ("eth:ethertype:ip:udp:gtpprime:ip:icmp:ip:icmp:data", "ICMP", {"ip": 1, "icmp": 0}, ["gtpprime"]),
        ("eth:ethertype:ip:udp:gtp", "UDP", {"ip": 0, "udp": 0}, []),
        ("eth:ethertype:ip:udp:lwapp:wlan", "802.11", {}, ["lwapp"]),
        ("eth:ethertype:ip:udp:lwapp:data", "UDP", {"ip": 0, "udp": 0}, []),
        (
            "eth:ethertype:ipv6:ipv6.routing:eth:ethertype:ipv6:icmpv6:data",
            "ICMPv6",
            {"ipv6": 1},
            ["ethernet"],
        ),
        ("eth:ethertype:ipv6:ipv6.hopopts:ipv6.fraghdr:udp:data", "UDP", {"ipv6.fraghdr": 0, "udp": 0}, []),
        ("eth:ethertype:ip:udp:l2tp:ppp:ip:udp:dns", "UDP", {"ip": 1, "udp": 1}, ["l2tp"]),
        ("eth:ethertype:pppoes:ppp:ip:tcp", "TCP", {"ip": 0, "tcp": 0}, []),
        ("eth:ethertype:ip:udplite:data", "UDPLite", {"udp": 0}, []),
        ("eth:llc:stp", "STP", {}, []),
        ("eth:ethertype:data", "Ethernet", {}, []),
        ("radiotap:wlan_radio:wlan", "802.11", {}, []),
        ("", "", {}, []),
    ],
)
def test_what_counts(protocols, protocol, counts, tunnels):
    stack = read_stack(protocols)
    assert stack.inner.protocol == protocol
    assert counts.items() <= stack.inner.found.items()
    assert [name for name, _ in stack.tunnels] == tunnels


@pytest.mark.parametrize(
    "protocols", ["eth:ethertype:ip:icmp:ip:tcp", "eth:ethertype:ip:udp:sflow:eth:ip:tcp"]
)
def test_what_is_quoted_does_not_count(protocols):
    assert "tcp" not in read_stack(protocols).inner.found
