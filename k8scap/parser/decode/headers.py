"""Which step reads which header."""

from __future__ import annotations

from k8scap.parser.compiling import part
from k8scap.parser.decode import icmp, link, llc, network, tagging, transport, tunnels, wireless
from k8scap.parser.decode import protocols as p


@part
def read_header(data, facts, code, outermost):
    """Read one header; gives the code of the next."""
    if code == p.ETH:
        return link.ethernet(data, facts, outermost)
    if code == p.IP:
        return network.ipv4(data, facts)
    if code == p.TCP:
        return transport.tcp(data, facts)
    if code == p.UDP:
        return transport.udp(data, facts)
    if code == p.IPV6:
        return network.ipv6(data, facts)
    if code <= p.PW_ETH_HEURISTIC or p.PW_ETH_CW <= code <= p.WLAN_SWAPPED:
        return _read_link(data, facts, code, outermost)
    if code <= p.SCTP:
        return _read_transport(data, facts, code)
    if code <= p.L2TP:
        return _read_tunnel(data, facts, code)
    return p.NOTHING


@part
def _read_link(data, facts, code, outermost):
    if code == p.SLL:
        return link.linux_cooked(data, facts, outermost)
    if code == p.SLL2:
        return link.linux_cooked_2(data, facts, outermost)
    if code == p.NULL:
        return link.null(data, facts)
    if code == p.LOOP_NULL:
        return link.loop_null(data, facts)
    if code == p.RAW:
        return link.raw(data, facts)
    if code == p.PPP_HDLC:
        return link.ppp_hdlc(data, facts)
    if code == p.PPP:
        return link.ppp(data, facts)
    if code == p.CHDLC:
        return link.cisco_hdlc(data, facts)
    if code == p.LLC:
        return llc.llc(data, facts)
    if code == p.VLAN or code == p.IEEE8021AD:
        return tagging.vlan(data, facts, code == p.IEEE8021AD, outermost)
    if code == p.IEEE8021AH:
        return tagging.pbb(data, facts)
    if code == p.MPLS:
        return tagging.mpls(data, facts)
    if code == p.PPPOES:
        return link.pppoe_session(data, facts)
    if code == p.CMD:
        return tagging.cisco_metadata(data, facts, outermost)
    if code == p.PW_ETH_HEURISTIC:
        return tagging.pseudowire_ethernet(data, facts)
    if code == p.PW_ETH_CW:
        return tagging.control_word(facts)
    if code == p.PW_ETH:
        return p.ETH
    if code == p.PW_ACH:
        return tagging.associated_channel(data, facts)
    if code == p.CFP:
        return tagging.fabric_path(facts)
    if code == p.AVSP:
        return tagging.arista_timestamp(data, facts)
    if code == p.VNTAG:
        return tagging.typed(data, facts, 4)
    if code == p.ETAG:
        return tagging.typed(data, facts, 6)
    if code == p.MACSEC:
        return tagging.macsec(data, facts)
    if code == p.WLAN or code == p.WLAN_SWAPPED:
        return wireless.ieee_802_11(data, facts, code == p.WLAN_SWAPPED)
    return p.NOTHING


@part
def _read_transport(data, facts, code):
    if code == p.IPV6_HOPOPTS or code == p.IPV6_DSTOPTS:
        return network.ipv6_options(data, facts)
    if code == p.IPV6_ROUTING:
        return network.ipv6_routing(data, facts)
    if code == p.IPV6_FRAGMENT:
        return network.ipv6_fragment(data, facts)
    if code == p.AH:
        return network.authentication(data, facts)
    if code == p.UDPLITE:
        return transport.udplite(data, facts)
    if code == p.ICMP:
        return icmp.icmp(data, facts)
    if code == p.ICMPV6:
        return icmp.icmpv6(data, facts)
    if code == p.SCTP:
        return transport.sctp(data, facts)
    return p.NOTHING


@part
def _read_tunnel(data, facts, code):
    if code == p.GRE:
        return tunnels.gre(data, facts)
    if code == p.ERSPAN:
        return tunnels.erspan(data, facts)
    if code == p.VXLAN:
        return tunnels.vxlan(data, facts, False)
    if code == p.VXLAN_GPE:
        return tunnels.vxlan(data, facts, True)
    if code == p.GENEVE:
        return tunnels.geneve(data, facts)
    if code == p.GTP or code == p.GTP_PRIME:
        return tunnels.gtp(data, facts)
    if code == p.L2TP:
        return tunnels.l2tp(data, facts)
    if code == p.LISP_DATA:
        return tunnels.lisp_data(data, facts)
    if code == p.TEREDO:
        return tunnels.teredo(data, facts)
    if code == p.AYIYA:
        return tunnels.ayiya(data, facts)
    if code == p.NSH:
        return tunnels.network_service_header(data, facts)
    if code == p.CAPWAP_DATA:
        return tunnels.capwap_data(data, facts)
    if code == p.PIM:
        return tunnels.pim(data, facts)
    if code == p.LWAPP:
        return tunnels.lwapp(data, facts)
    if code == p.ETHERIP:
        return tunnels.ether_ip(facts)
    return p.NOTHING
