"""The columnar engine's table beside tshark's: what differs, and what is known to differ, and why."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from k8scap import load

INVALID_TIME = "a record's microseconds exceed a second: tshark prints such differences wrongly"
MALFORMED = "malformed on purpose: tshark's dissector of {} gives up, ours reads headers only"

KNOWN = {
    ("suricata/transform-base64-7296__input.pcap", "ack_rtt"): INVALID_TIME,
    ("tcpdump/timestamp_invalid_micro.pcap", "*"): INVALID_TIME,
    ("tcpdump/timestamp_invalid_nano.pcap", "*"): INVALID_TIME,
    ("tcpdump/pgm_opts_asan.pcap", "protocol"): MALFORMED.format("PGM's options"),
    ("tcpdump/pgm_opts_asan_2.pcap", "protocol"): MALFORMED.format("PGM's options"),
    (
        "tcpdump/lwapp-data.pcap",
        "*",
    ): "frame 5: LWAPP control messages may begin with a MAC address",
    ("zeek/ipv6-mobility-dst-opts.pcap", "*"): MALFORMED.format("a home address of one byte"),
}
"""By file (in the corpus) and column (* for all): why the two differ."""


def differing(reference, ours):
    """Positions at which two columns differ; absent is equal to absent."""
    absent, missing = reference.isna().to_numpy(), ours.isna().to_numpy()
    left = np.where(absent, None, reference.astype(object).to_numpy(object))
    right = np.where(missing, None, ours.astype(object).to_numpy(object))
    return np.flatnonzero((absent != missing) | (~absent & ~missing & (left != right)))


def compare(path, reference=None):
    """What differs in a capture: {column: [(frame, tshark's, ours)]}, and how many frames there are."""
    reference = load(path, engine="pyshark").packets if reference is None else reference
    capture = load(path, engine="columnar")
    ours = capture.packets
    if len(ours) != len(reference):
        return {"rows": [(0, len(reference), len(ours))]}, len(reference)
    found = {}
    for column in reference.columns:
        at = differing(reference[column], ours[column])
        if len(at):
            found[column] = [
                (int(ours.index[i]), reference[column].iloc[i], ours[column].iloc[i]) for i in at
            ]
        if not isinstance(reference[column].dtype, pd.CategoricalDtype):
            assert reference[column].dtype == ours[column].dtype, column
    return found, len(reference)


def unknown(path, found):
    """The differences that no reason is written down for."""
    name = "/".join(Path(path).parts[-2:])
    return {c: cells for c, cells in found.items() if not {(name, c), (name, "*")} & KNOWN.keys()}


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print(argument, compare(argument))
