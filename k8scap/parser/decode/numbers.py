"""Which protocol Wireshark 4.0 sees behind which number; made by scripts/protocol_numbers.py."""

ETHERTYPES: dict[int, str] = {
    89: "pppmux", 97: "crtp", 101: "crtp_cntcp", 103: "crtp_cudp8", 253: "comp_data", 1536: "idp",
    1601: "roofnet", 1603: "roofnet", 1604: "roofnet", 1605: "roofnet", 1810: "mdp", 1811: "mdp", 2048: "ip",
    2054: "arp", 2114: "wol", 2288: "m2m", 2303: "bpq", 2989: "vines_ip", 2991: "vines_echo",
    3093: "c15hbeat", 8193: "cgmp", 8293: "crtp_cs", 8295: "crtp_cudp16", 8933: "gmhdr", 8938: "mrp-msrp",
    8944: "ieee1722", 8945: "rohc", 8947: "trill", 8948: "isis", 8995: "dect", 9298: "wlan_centrino",
    15935: "epl_v1", 17157: "batadv", 18242: "c15.ch", 24576: "lapbether", 24579: "dec_dna", 24580: "lat",
    25944: "eth", 32801: "ipcp", 32803: "osinlcp", 32821: "arp", 32824: "dec_stp", 32855: "ipv6cp",
    32857: "pppmuxcp", 32922: "wpan", 32923: "llap", 32981: "snaeth", 32993: "dlr", 33011: "aarp",
    33021: "ccp", 33023: "wcp", 33024: "vlan", 33026: "bofl", 33027: "lacp", 33075: "nsrp", 33079: "ipx",
    33100: "snmp", 33153: "stp", 33277: "ismp", 33284: "lwl4", 33287: "cdpcp", 33409: "mplscp", 34525: "ipv6",
    34605: "wlccp", 34691: "mint", 34824: "macc", 34825: "slow", 34887: "mpls", 34888: "mpls",
    34915: "pppoed", 34916: "pppoes", 34924: "hpna", 34925: "ans", 34927: "msnlb", 34928: "llc",
    34932: "brcm-tag", 34939: "homeplug", 34958: "eapol", 34962: "pn_rt", 34969: "realtek",
    34970: "hyperscsi", 34971: "csm_encaps", 34977: "telkonet", 34978: "aoe", 34980: "ecatf",
    34984: "ieee8021ad", 34985: "extrememesh", 34987: "epl", 34990: "brdwlk", 34996: "wai", 34999: "ieee802a",
    35000: "goose", 35002: "sv", 35003: "lwapp", 35015: "eapol", 35018: "tipc", 35020: "lldp", 35021: "siii",
    35032: "cesoeth", 35033: "lltd", 35036: "wsmp", 35038: "vmlab", 35041: "homeplug-av", 35043: "pn_mrp",
    35045: "macsec", 35047: "ieee8021ah", 35054: "elmi", 35061: "mrp-mvrp", 35062: "mrp-mmrp", 35063: "ptp",
    35064: "ncsi", 35067: "hsr_prp_supervision", 35073: "flip", 35074: "cfm", 35078: "fcoe", 35081: "cmd",
    35085: "wlan", 35089: "linx", 35092: "fip", 35093: "infiniband", 35095: "mih", 35101: "tte_pcf",
    35110: "vntag", 35117: "bluecom", 35119: "hsr", 35130: "ieee1905", 35135: "etag", 35136: "ecp21",
    35138: "lldp", 35143: "gnw", 35151: "nsh", 35208: "hbbak", 36861: "aruba_iap", 36864: "loop",
    36897: "rtmac", 36898: "rtcfg", 37120: "vlan", 37124: "eero", 39422: "tecmp", 41197: "6lowpan",
    43690: "wreth", 43981: "brdwlk", 44798: "ecpri", 46307: "cl3", 48059: "lwapp", 49185: "lcp", 49187: "pap",
    49193: "cbcp", 49195: "bacp", 49197: "bap", 49374: "xip", 49375: "nwp", 49699: "chap", 51966: "llt",
    53261: "tdmoe", 53899: "avsp", 58709: "exeh", 61522: "hcrt", 61889: "ieee8021cb", 64764: "mdshdr",
}  # fmt: skip

IP_PROTOCOLS: dict[int, str] = {
    0: "ipv6.hopopts", 1: "icmp", 2: "igmp", 4: "ip", 6: "tcp", 9: "igrp", 17: "udp", 29: "cotp", 33: "dccp",
    36: "xtp", 41: "ipv6", 43: "ipv6.routing", 44: "ipv6.fraghdr", 46: "rsvp", 47: "gre", 48: "dsr",
    50: "esp", 51: "ah", 53: "swipe", 54: "nhrp", 58: "icmpv6", 60: "ipv6.dstopts", 62: "mipv6", 80: "osi",
    83: "vines_frp", 88: "eigrp", 89: "ospf", 93: "ax25", 97: "etherip", 103: "pim", 106: "lwl4",
    108: "ipcomp", 112: "vrrp", 113: "pgm", 115: "l2tp", 132: "sctp", 134: "rsvp-e2ei", 135: "mipv6",
    136: "udplite", 137: "mpls", 139: "hip", 140: "shim6", 143: "eth", 173: "ax4000", 224: "ncs",
}  # fmt: skip

LLC_DSAPS: dict[int, str] = {
    4: "sna", 6: "ip", 8: "sna", 12: "sna", 16: "ipx", 20: "osi", 32: "osi", 52: "osi", 64: "sna", 66: "stp",
    84: "osi", 126: "x25", 128: "3comxns", 130: "bacnet", 188: "vines_llc", 200: "sna", 224: "ipx",
    240: "netbios", 248: "hpext", 252: "rpl", 254: "osi",
}  # fmt: skip

CISCO_PIDS: dict[int, str] = {
    260: "pagp", 264: "stp", 265: "stp", 267: "stp", 268: "stp", 273: "udld", 313: "mcp", 8192: "cdp",
    8193: "cgmp", 8195: "vtp", 8196: "dtp",
}  # fmt: skip

NORTEL_PIDS: dict[int, str] = {
    417: "ndp", 418: "ndp",
}  # fmt: skip

IANA_PIDS: dict[int, str] = {
    3: "nhrp",
}  # fmt: skip

EXTREME_PIDS: dict[int, str] = {
    187: "edp",
}  # fmt: skip

FOUNDRY_PIDS: dict[int, str] = {
    8192: "fdp",
}  # fmt: skip

HPTEAM_PIDS: dict[int, str] = {
    2: "hpteam",
}  # fmt: skip

FORCE10_PIDS: dict[int, str] = {
    273: "fefd",
}  # fmt: skip

WLCCP_PIDS: dict[int, str] = {
    0: "wlccp",
}  # fmt: skip

APPLE_PIDS: dict[int, str] = {
    32923: "ddp",
}  # fmt: skip

PPP_PROTOCOLS: dict[int, str] = {
    33: "ip", 35: "osi", 39: "dec_dna", 41: "ddp", 43: "ipx", 45: "vjc", 47: "vjc", 49: "bcp_bpdu",
    53: "vines_ip", 61: "mp", 75: "llc", 77: "sna", 87: "ipv6", 89: "pppmux", 91: "vsnp", 97: "crtp",
    101: "crtp_cntcp", 103: "crtp_cudp8", 253: "comp_data", 517: "dec_stp", 519: "cdp", 641: "mpls",
    643: "mpls", 2048: "ip", 8293: "crtp_cs", 8295: "crtp_cudp16", 32801: "ipcp", 32803: "osinlcp",
    32817: "bcp_ncp", 32855: "ipv6cp", 32857: "pppmuxcp", 32859: "vsncp", 33021: "ccp", 33287: "cdpcp",
    33409: "mplscp", 34525: "ipv6", 49185: "lcp", 49187: "pap", 49193: "cbcp", 49195: "bacp", 49197: "bap",
    49699: "chap", 49703: "eap",
}  # fmt: skip

GRE_PROTOCOLS: dict[int, str] = {
    254: "osi", 257: "grebonding", 2048: "ip", 2054: "arp", 8192: "cdp", 8193: "nhrp", 8939: "erspan",
    25600: "eth", 25944: "eth", 25945: "fr", 33079: "ipx", 33280: "wlan", 33296: "wlan", 33312: "wlan",
    33328: "wlan", 33344: "wlan", 33360: "wlan", 33376: "wlan", 33392: "wlan", 33408: "wlan", 33424: "wlan",
    33440: "wlan", 33456: "wlan", 33472: "wlan", 33488: "wlan", 33504: "wlan", 33520: "wlan", 33536: "wlan",
    33552: "wlan", 33568: "wlan", 33584: "wlan", 33600: "wlan", 33616: "wlan", 33632: "wlan", 33648: "wlan",
    34525: "ipv6", 34827: "ppp", 34878: "ip", 34887: "mpls", 34888: "mpls", 34945: "ppp_hdlc",
    35006: "erspan", 35026: "ppp_hdlc", 35081: "cmd", 35151: "nsh", 47082: "grebonding",
}  # fmt: skip

NULL_TYPES: dict[int, str] = {
    2: "ip", 7: "osi", 16: "ddp", 23: "ipx", 24: "ipv6", 28: "ipv6", 30: "ipv6",
}  # fmt: skip

SLL_TYPES: dict[int, str] = {
    1: "ipx", 3: "eth", 4: "llc", 7: "ppp", 12: "can", 13: "canfd", 23: "irlap", 48: "ipos", 49: "ipos",
    50: "ipos", 51: "ipos", 52: "ipos", 53: "ipos", 245: "isi", 246: "wpan",
}  # fmt: skip

CISCO_HDLC: dict[int, str] = {
    273: "udld", 1536: "idp", 2048: "ip", 8192: "cdp", 16962: "stp", 24579: "dec_dna", 25944: "eth",
    32821: "slarp", 32824: "dec_stp", 32923: "ddp", 33011: "aarp", 33079: "ipx", 34525: "ipv6", 34887: "mpls",
    34888: "mpls", 65278: "osi",
}  # fmt: skip

CHANNEL_TYPES: dict[int, str] = {
    1: "mcc", 7: "bfd", 10: "mplspmdlm", 11: "mplspmilm", 12: "mplspmdm", 13: "mplspmdlmdm",
    14: "mplspmilmdm", 33: "ip", 34: "bfd", 35: "bfd", 36: "mpls_psc", 37: "mpls-echo", 38: "mplstp_lock",
    39: "pw_oam", 40: "mpls_mac", 87: "ipv6", 88: "mplstp_fm", 35074: "cfm",
}  # fmt: skip

UDP_PORTS: dict[int, str] = {
    0: "wg", 7: "echo", 13: "daytime", 19: "chargen", 37: "time", 49: "tacacs", 53: "dns", 67: "dhcp",
    68: "dhcp", 69: "tftp", 88: "kerberos", 111: "rpc", 123: "ntp", 137: "nbns", 138: "nbdgm", 161: "snmp",
    162: "snmp", 173: "xyplex", 177: "xdmcp", 213: "ipx", 269: "packetbb", 319: "ptp", 320: "ptp",
    389: "cldap", 427: "srvloc", 434: "mip", 464: "kpasswd", 473: "kf", 496: "auto_rp", 500: "isakmp",
    502: "mbudp", 513: "who", 514: "syslog", 520: "rip", 521: "ripng", 524: "ncp", 525: "tsp", 539: "pulse",
    546: "dhcpv6", 547: "dhcpv6", 573: "vines_frp", 623: "rmcp", 631: "cups", 646: "ldp", 654: "aodv",
    664: "rsp", 698: "olsr", 699: "a11", 701: "lmp", 750: "krb4", 853: "dtls", 854: "dlep", 910: "kink",
    921: "lwres", 925: "acdr", 1001: "find", 1044: "uftp", 1052: "ddtp", 1069: "slimp3", 1089: "ff",
    1090: "ff", 1091: "ff", 1101: "sebek", 1113: "ltp", 1153: "c1222", 1194: "openvpn", 1293: "pktc",
    1547: "laplink", 1628: "cnip", 1629: "cnip", 1645: "radius", 1646: "radius", 1700: "radius", 1701: "l2tp",
    1718: "h225", 1719: "h225", 1745: "msproxy", 1755: "msmms", 1812: "radius", 1813: "radius", 1900: "ssdp",
    1985: "hsrp", 2029: "hsrp", 2048: "wccp", 2055: "cflow", 2067: "dlsw", 2099: "h501", 2123: "gtp",
    2152: "gtp", 2157: "gprs-ns", 2190: "tivoconnect", 2221: "dtls", 2222: "cipio", 2231: "wimaxasncp",
    2246: "pktc.mtafqdn", 2268: "amt", 2269: "mikey", 2313: "iapp", 2345: "knet", 2424: "tpncp", 2427: "mgcp",
    2428: "actrace", 2727: "mgcp", 2887: "wlccp", 2944: "megaco", 2945: "h248", 2948: "wsp", 2949: "wtls",
    2960: "componentstatusprotocol", 3000: "dis", 3121: "tpcp", 3130: "icp", 3205: "isns", 3222: "glbp",
    3250: "hicp", 3333: "enttec", 3343: "msrcp", 3357: "ax4000", 3386: "gtpprime", 3389: "rdpudp",
    3452: "sabp", 3455: "rsvp", 3478: "stun", 3483: "slimp3", 3503: "mpls-echo", 3540: "pnrp", 3544: "teredo",
    3567: "dof", 3622: "ff", 3671: "kip", 3784: "bfd", 3785: "bfd_echo", 3792: "pathport", 3799: "radius",
    3804: "hiqnet", 3819: "epl", 3863: "asap", 3956: "gvcp", 4000: "icq", 4011: "dhcp", 4058: "kf",
    4305: "bat", 4306: "bat.gw", 4307: "bat.vis", 4341: "lisp-data", 4342: "lisp", 4500: "udpencap",
    4533: "armagetronad", 4534: "armagetronad", 4551: "mih", 4555: "rsip", 4556: "bundle", 4569: "iax2",
    4665: "edonkey", 4672: "edonkey", 4713: "synphasor", 4729: "gsmtap", 4739: "cflow", 4754: "gre",
    4784: "bfd", 4789: "vxlan", 4790: "vxlan_gpe", 4791: "infiniband", 4991: "vrt", 5000: "tapa",
    5001: "cpfi", 5031: "dmp", 5050: "sbus", 5060: "sip", 5072: "ayiya", 5094: "hart_ip", 5246: "capwap",
    5247: "capwap.data", 5264: "njack", 5265: "njack", 5350: "portcontrol", 5351: "portcontrol", 5353: "mdns",
    5355: "llmnr", 5404: "corosync_totemnet", 5405: "corosync_totemnet", 5436: "mipv6", 5555: "sigcomp",
    5567: "dof", 5678: "mndp", 5683: "coap", 5684: "dtls", 5868: "dtls", 6060: "esio", 6073: "dpnet",
    6081: "geneve", 6084: "reload-framing", 6087: "ldss", 6118: "tipc", 6160: "ecmp", 6343: "sflow",
    6543: "adwin", 6635: "mpls", 6666: "sigcomp", 6696: "babel", 6784: "bfd", 6970: "rdt", 7000: "rx",
    7001: "rx", 7002: "rx", 7003: "rx", 7004: "rx", 7005: "rx", 7006: "rx", 7007: "rx", 7008: "rx",
    7009: "rx", 7010: "5co_legacy", 7021: "rx", 7074: "tetra", 7075: "nano", 7255: "idn", 7275: "ulp",
    7784: "bfd", 8000: "oicq", 8116: "cpha", 8161: "snmp", 8200: "adp", 8211: "papi", 8600: "asterix",
    8611: "bjnp", 8612: "bjnp", 8613: "bjnp", 8614: "bjnp", 8755: "opensafety", 8767: "ts2", 8805: "pfcp",
    8848: "ipvs", 9003: "roon_disco", 9200: "wsp", 9201: "wtp", 9202: "wtls", 9203: "wtls", 9214: "dvb_ipdc",
    9600: "omron", 9875: "sap", 9877: "opensafety_udp", 9899: "sctp", 9901: "enrp", 9955: "ardp",
    9956: "ajns", 9996: "cflow", 9999: "tplink-smarthome", 10253: "wisun.eapol_relay", 10500: "hip",
    11211: "memcache", 11273: "vuze-dht", 11898: "caneth", 12000: "llc", 12001: "llc", 12002: "llc",
    12003: "llc", 12004: "llc", 12220: "lwapp-l3", 12222: "lwapp", 12223: "lwapp", 13400: "doip",
    13819: "mpeg_dsmcc", 13907: "wassp", 13910: "wassp", 17220: "ieee1722", 17500: "db-lsp-disc",
    17754: "zep", 17755: "scop", 17756: "scop", 18246: "egd", 19132: "raknet", 19788: "mle", 19948: "kdp",
    19999: "gprs-ns", 20000: "dnp3", 20561: "mactelnet", 22222: "rtpproxy", 23272: "a21", 24576: "mint",
    24577: "mint", 25826: "collectd", 26000: "quake", 27036: "steam_ihs_discovery", 27500: "quakeworld",
    27910: "quake2", 27950: "quake3", 27951: "quake3", 27952: "quake3", 27953: "quake3", 27960: "quake3",
    27961: "quake3", 27962: "quake3", 27963: "quake3", 30030: "jmirror", 32000: "uaudp", 32512: "uaudp",
    34962: "pn_rt", 34980: "ecatf", 37008: "tzsp", 41170: "manolito", 44818: "enip", 45564: "ath",
    47000: "hcrt", 47808: "bvlc", 49999: "nxp_802154_sniffer", 54328: "elasticsearch", 56000: "eobi",
    56001: "eobi", 56500: "eobi", 56501: "eobi", 57000: "eobi", 57001: "eobi", 57032: "eobi", 57033: "eobi",
    57500: "eobi", 57501: "eobi", 57532: "eobi", 57533: "eobi", 59000: "eobi", 59001: "eobi", 59032: "eobi",
    59033: "eobi", 59500: "eobi", 59501: "eobi", 59532: "eobi", 59533: "eobi", 60001: "ssyncp",
}  # fmt: skip
