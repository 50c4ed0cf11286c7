"""Ports of protocols that carry packets of their own, whose headers Wireshark shows as well.

Tunnels, samples, mirrored and encapsulated frames: a frame of one of these ports may have addresses and ports
that no column holds, also where Wireshark understands the payload only now and then. As `tshark -G decodes`
has them, and the usual ports of a few that it knows by their content (marked *).
"""

_ALONE = frozenset(
    {
        434,  # mip
        925,  # acdr
        3544,  # teredo
        *(4305, 4306, 4307),  # bat, bat.gw, bat.vis
        *(4341, 4342),  # lisp-data, lisp
        4729,  # gsmtap
        4754,  # gre
        *(4789, 4790),  # vxlan, vxlan_gpe
        5000,  # tapa, peekremote *
        5072,  # ayiya
        5436,  # mipv6
        6081,  # geneve
        6343,  # sflow
        6635,  # mpls
        *(12000, 12001, 12002, 12003, 12004),  # llc
        *(24576, 24577),  # mint
        30030,  # jmirror
        34980,  # ecatf
        37008,  # tzsp
    }
)
"""Of UDP, each datagram by itself."""

UDP_TOGETHER = frozenset(
    {
        1701,  # l2tp
        2002,  # rpcap *
        *(2055, 4739, 9996),  # cflow
        2067,  # dlsw
        *(2123, 2152, 3386),  # gtp, gtpprime
        *(2157, 19999),  # gprs-ns
        4791,  # infiniband
        *(5246, 5247),  # capwap, capwap.data
        9899,  # sctp
        *(12220, 12222, 12223),  # lwapp-l3, lwapp
        *(13907, 13910),  # wassp
        17754,  # zep
    }
)
"""Of UDP, what is in pieces, or told by what went before."""

TCP_CARRIERS = frozenset(
    {
        925,  # acdr
        1998,  # xot
        2002,  # rpcap *
        2065,  # dlsw
        *(2123, 2152, 3386),  # gtp, gtpprime
        2812,  # atmtcp
        *(3225, 3420),  # fcip, ifcp *
        4342,  # lisp-tcp
        4739,  # cflow
        5066,  # s5066sis
        *(6633, 6653),  # openflow *
        7471,  # stt *
        14001,  # uma
    }
)
"""Always together: TCP's segments are joined before they are read."""

UDP_CARRIERS = _ALONE | UDP_TOGETHER
