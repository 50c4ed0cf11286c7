"""SAID rows: what a message says, and the media of a description that stands in it."""

from __future__ import annotations

import numpy as np

from k8scap.parser.compiling import part
from k8scap.parser.decode.facts import (
    ABSENT,
    BODY,
    CALL,
    FRAME,
    LINE,
    MEDIA_COUNT,
    METHOD,
    NOTICE,
    ROLE,
    SAID,
    SEQUENCE,
    STATUS,
)
from k8scap.parser.decode.sdp import MOST_MEDIA, read_description

ROWS = 2 + MOST_MEDIA
"""A message's rows at most, and one more that is used as room."""
UNSAID = 0


@part
def begin_message(facts, said):
    """A row for a message in the packet that `facts` are of."""
    for i in range(len(facts)):
        said[i] = facts[i]
    said[ROLE], said[LINE], said[SEQUENCE] = SAID, NOTICE, ABSENT
    said[CALL] = said[METHOD] = UNSAID
    said[STATUS] = said[BODY] = said[MEDIA_COUNT] = 0


@part
def describe(data, at, end, rows, here):
    """Read the description of the message at `here`; gives its last row's place."""
    said = rows[here]
    count = read_description(data, at, end, rows, here + 1, said[FRAME])
    said[MEDIA_COUNT], said[BODY] = max(count, np.int64(0)), 1 if count >= 0 else 0
    return here + said[MEDIA_COUNT]


@part
def notify(data, at, end, facts, rows, here):
    """A message of its own for a description that no transaction is about; gives the last row's place."""
    begin_message(facts, rows[here + 1])
    return describe(data, at, end, rows, here + 1)
