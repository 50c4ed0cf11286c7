"""Write k8scap/parser/decode/numbers.py: which protocol Wireshark sees behind which number.

    python scripts/protocol_numbers.py > k8scap/parser/decode/numbers.py

The numbers are those of `tshark -G decodes` of the reference's version; `tshark -G protocols` has no part
in it, since the packets table speaks in Wireshark's filter names.
"""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict

_TABLES = {
    "ethertype": "ETHERTYPES",
    "ip.proto": "IP_PROTOCOLS",
    "llc.dsap": "LLC_DSAPS",
    "llc.cisco_pid": "CISCO_PIDS",
    "llc.nortel_pid": "NORTEL_PIDS",
    "llc.iana_pid": "IANA_PIDS",
    "llc.extreme_pid": "EXTREME_PIDS",
    "llc.foundry_pid": "FOUNDRY_PIDS",
    "llc.hpteam_pid": "HPTEAM_PIDS",
    "llc.force10_pid": "FORCE10_PIDS",
    "llc.wlccp_pid": "WLCCP_PIDS",
    "llc.apple_atalk_pid": "APPLE_PIDS",
    "ppp.protocol": "PPP_PROTOCOLS",
    "gre.proto": "GRE_PROTOCOLS",
    "null.type": "NULL_TYPES",
    "sll.ltype": "SLL_TYPES",
    "chdlc.protocol": "CISCO_HDLC",
    "pwach.channel_type": "CHANNEL_TYPES",
    "udp.port": "UDP_PORTS",
}


def main() -> None:
    listed = subprocess.run(["tshark", "-G", "decodes"], capture_output=True, check=True, text=True).stdout
    tables: dict[str, dict[int, str]] = defaultdict(dict)
    for line in listed.splitlines():
        table, number, name = line.split("\t")
        if table in _TABLES:
            tables[table].setdefault(int(number), name)
    out = sys.stdout
    out.write(
        '"""Which protocol Wireshark 4.0 sees behind which number; made by scripts/protocol_numbers.py."""\n'
    )
    for table, constant in _TABLES.items():
        out.write(f"\n{constant}: dict[int, str] = {{\n")
        line = "   "
        for number, name in sorted(tables[table].items()):
            item = f' {number}: "{name}",'
            if len(line) + len(item) > 110:
                out.write(line + "\n")
                line = "   "
            line += item
        out.write(line + "\n}  # fmt: skip\n")


if __name__ == "__main__":
    main()
