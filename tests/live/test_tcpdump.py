"""Filters are compiled where they will be used; tcpdump's words are understood."""

import subprocess
from pathlib import Path

import pytest

from k8scap.errors import FilterError, InterfaceNotFoundError, NotPermittedError
from k8scap.live import tcpdump
from k8scap.live.netns import Namespace
from k8scap.live.tcpdump import Counts
from k8scap.live.ways.local import LocalInside
from k8scap.runner import LocalRunner


@pytest.fixture
def effective_filter(namespace):
    with Namespace.open(path=namespace.path) as opened:
        inside = LocalInside(opened, runner=LocalRunner())

        def compiled(text, *, exact=False, interface="lo", **own):
            return tcpdump.effective_filter(text, exact=exact, interface=interface, inside=inside, **own)

        yield compiled


def passes(filter_text, frames):
    """Which frames tcpdump itself lets pass; each was given its place as its time."""
    path, names = frames
    argv = ["tcpdump", "-nn", "-r", str(path), "-w", "-", "--", filter_text]
    stream = subprocess.run(argv, check=True, capture_output=True).stdout
    show = ["tshark", "-n", "-r", "-", "-T", "fields", "-e", "frame.time_epoch"]
    shown = subprocess.run(show, input=stream, check=True, capture_output=True, text=False).stdout
    return {names[int(float(line))] for line in shown.decode().split()}


@pytest.fixture(scope="module")
def one_of_each(tmp_path_factory):
    """A frame of every kind that a capture for `tcp port 6379` may want, and two that it does not."""
    from scapy.all import ARP, DNS, DNSQR, ICMP, IP, TCP, UDP, Dot1Q, Ether, IPv6, Raw, wrpcap
    from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6ExtHdrFragment

    ether, ip = Ether(), IP(src="198.18.0.1", dst="198.18.0.2")
    ip6 = IPv6(src="2001:db8::1", dst="2001:db8::2")
    frames = {
        "asked": ether / ip / TCP(dport=6379),
        "icmp": ether / ip / ICMP(),
        "icmpv6": ether / ip6 / ICMPv6EchoRequest(),
        "arp": ether / ARP(pdst="198.18.0.2"),
        "later fragment": ether / IP(src="198.18.0.1", dst="198.18.0.2", frag=100, proto=6) / Raw(b"x" * 64),
        "first fragment": ether
        / IP(src="198.18.0.1", dst="198.18.0.2", flags="MF", proto=17)
        / Raw(b"x" * 64),
        "ipv6 fragment": ether / ip6 / IPv6ExtHdrFragment(offset=10, nh=6) / Raw(b"x" * 64),
        "dns": ether / ip / UDP(dport=53) / DNS(qd=DNSQR(qname="redis.")),
        "other tcp": ether / ip / TCP(dport=80),
        "other udp": ether / ip / UDP(sport=50000, dport=123),
        "tagged": ether / Dot1Q(vlan=5) / ip / TCP(dport=6379),
    }
    path = tmp_path_factory.mktemp("frames") / "each.pcap"
    for second, frame in enumerate(frames.values()):
        frame.time = second
    wrpcap(str(path), list(frames.values()))
    return path, list(frames)


EXPLAINING = {"icmp", "icmpv6", "arp", "later fragment", "first fragment", "ipv6 fragment", "dns"}


def test_a_filter_is_widened_by_what_explains_a_failure(effective_filter, one_of_each):
    assert passes("tcp port 6379", one_of_each) == {"asked"}
    assert passes(effective_filter("tcp port 6379"), one_of_each) == {"asked", *EXPLAINING}


def test_an_exact_filter_stays_as_it_is(effective_filter):
    assert effective_filter("tcp port 6379", exact=True) == "tcp port 6379"


def test_no_filter_is_everything(effective_filter):
    assert effective_filter("") == ""


def test_a_filter_with_or_in_it_is_widened_as_a_whole(effective_filter, one_of_each):
    either = effective_filter("tcp port 6379 or udp port 123")

    assert passes(either, one_of_each) == {"asked", "other udp", *EXPLAINING}


def test_vlan_in_a_filter_does_not_shift_what_it_is_widened_by(effective_filter, one_of_each):
    assert passes(effective_filter("vlan 5 and tcp port 6379"), one_of_each) == {"tagged", *EXPLAINING}


def test_a_link_type_without_arp_is_widened_by_the_rest(namespace, effective_filter):
    namespace.run("ip", "tuntap", "add", "tun0", "mode", "tun")
    namespace.run("ip", "link", "set", "tun0", "up")

    assert namespace.run("tcpdump", "-i", "tun0", "-d", "--", "arp", check=False).returncode != 0
    compiled = effective_filter("tcp port 6379", interface="tun0")

    namespace.run("tcpdump", "-i", "tun0", "-d", "--", compiled)
    assert "icmp" in compiled


@pytest.mark.parametrize("interface", ["lo", "any"])
@pytest.mark.parametrize(
    "text", ["tcp prot 6379", "-w/tmp/k8scap-obeyed", "-r /etc/passwd", "--", "tcp) or (udp", "port", "$(id)"]
)
def test_a_bad_filter_is_named_with_tcpdumps_own_words(effective_filter, text, interface):
    with pytest.raises(FilterError, match="tcpdump refuses the filter") as caught:
        effective_filter(text, interface=interface)

    assert caught.value.exit_code == 2
    assert "syntax error" in caught.value.message or "port" in caught.value.message
    assert not Path("/tmp/k8scap-obeyed").exists()


def test_what_only_some_link_types_can_do_is_compiled_for_the_interface(effective_filter):
    assert "vlan 5" in effective_filter("vlan 5", interface="lo")
    with pytest.raises(FilterError, match="no VLAN support"):
        effective_filter("vlan 5", interface="any")


def test_the_filter_is_one_word_behind_two_dashes():
    words = tcpdump.argv("eth0", snaplen=96, filter="tcp port 80 or udp")

    assert words[0] == "tcpdump"
    assert words[-2:] == ["--", "tcp port 80 or udp"]
    assert words[words.index("-i") + 1] == "eth0"
    assert words[words.index("-s") + 1] == "96"
    assert "--" not in tcpdump.argv("eth0")


# What tcpdump 4.99.3 prints, word for word.
def test_listening():
    line = "tcpdump: listening on eth0, link-type EN10MB (Ethernet), snapshot length 262144 bytes"

    assert tcpdump.listening(line) == "EN10MB"
    assert tcpdump.listening("tcpdump: data link type LINUX_SLL2") is None


def test_counts_on_demand():
    line = "tcpdump: 515 packets captured, 2000 packets received by filter, 970 packets dropped by kernel"

    assert tcpdump.counted(line, Counts()) == Counts(captured=515, received=2000, dropped=970)


def test_final_counts():
    lines = ["1 packet captured", "3 packets received by filter", "2 packets dropped by kernel",
             "4 packets dropped by interface"]  # fmt: skip
    counts = Counts(captured=0, received=9)
    for line in lines:
        counts = tcpdump.counted(line, counts)

    assert counts == Counts(captured=1, received=3, dropped=2, interface_dropped=4, final=True)
    assert tcpdump.counted("tcpdump: pcap_loop: The interface disappeared", counts) is None


@pytest.mark.parametrize(
    ("said", "kind", "exit_code"),
    [
        ("tcpdump: eth9: No such device exists", InterfaceNotFoundError, 3),
        ("tcpdump: eth1: That device is not up", InterfaceNotFoundError, 3),
        ("tcpdump: eth0: You don't have permission to capture on that device", NotPermittedError, 4),
        ("tcpdump: Couldn't change to 'root' uid=0 gid=0: Operation not permitted", NotPermittedError, 4),
    ],
)
def test_last_words(said, kind, exit_code):
    error = tcpdump.explain([said], interface="eth0")

    assert type(error) is kind
    assert error.exit_code == exit_code
    assert said.removeprefix("tcpdump: ") in error.message


def test_the_version_is_the_one_it_prints():
    printed = subprocess.run(["tcpdump", "--version"], capture_output=True, text=True, check=True)
    first_line = (printed.stdout + printed.stderr).splitlines()[0]

    assert first_line == f"tcpdump version {tcpdump.version(LocalRunner())['tcpdump']}"
