"""The capture that most tests here read, as it reads when nothing is in the way."""

import struct
from functools import cache
from pathlib import Path

import pandas as pd

from k8scap import load
from k8scap.schema import PACKETS

CAPTURES = Path(__file__).parent.parent / "data" / "captures"
VERDICTS = CAPTURES / "verdicts.pcap"
HEADER = 24


@cache
def verdicts():
    return load(VERDICTS).packets


def record_ends(data):
    """Where each record of a little-endian pcap ends."""
    ends, at = [], HEADER
    while at < len(data):
        at += 16 + struct.unpack_from("<I", data, at + 8)[0]
        ends.append(at)
    return ends


def same_rows(ours, theirs):
    """Equal in everything but the point's name and the numbering of categories."""
    words = [c.name for c in PACKETS if c.dtype == "category"]
    left, right = (t.astype(dict.fromkeys(words, str)).drop(columns="point") for t in (ours, theirs))
    pd.testing.assert_frame_equal(left, right)
