"""What tshark says of the few frames that are seen: protocol, Info, and any other field as a column."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from k8scap.parser.records import extract
from k8scap.parser.reference.dissect import read_fields
from k8scap.parser.source import Source
from k8scap.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

_COLUMNS = ("_ws.col.Protocol", "_ws.col.Info")
_BELOW = frozenset({"TCP", "UDP", "IPv4", "IPv6", "Ethernet", "SLL", "SCTP", ""})
"""What tshark calls frames of which our table says as much, with the whole capture in view."""
_ALONE = {"tcp.analyze_sequence_numbers": "FALSE"}
"""What it says of sequence numbers is worth nothing where it sees some frames only."""


def seen(
    source: Source, numbers: npt.NDArray[np.int64], fields: Sequence[str], decode_as: Mapping[str, str]
) -> dict[int, tuple[str, str, list[str]]]:
    """By frame number: the application's protocol and Info ("" where it is the transport's), the `fields`.

    Raises ToolMissingError, UsageError for an unknown field, OSError.
    """
    folder = Path(tempfile.mkdtemp(prefix="k8scap-"))
    try:
        few = folder / "few.pcapng"
        if extract.write_frames(few, source.files, numbers) < len(numbers):
            return {}
        told = read_fields(
            Source(Recording((few,))), [*_COLUMNS, *fields], decode_as=decode_as, preferences=_ALONE
        ).fillna("")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    answers = {}
    for place, protocol, info, *values in told.itertuples(name=None):
        own = protocol not in _BELOW and not protocol.startswith(("0x", "ICMP"))
        answers[int(numbers[place - 1])] = (protocol, info, values) if own else ("", "", values)
    return answers
