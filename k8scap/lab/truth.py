"""The ground truth of a run: what the link did to each packet, what servers and clients say themselves."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from k8scap.lab.packets import describe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from k8scap.lab.link import Entry

FORMAT = 1
_TURN = 1 << 32


def rows(log: Iterable[Entry]) -> list[dict[str, Any]]:
    """The link's log as plain rows, one a packet, in the order they came in; docs/lab.md names the keys.

    `seq` and `ack` count from the first sequence number of their side, as Wireshark's relative ones do.
    """
    entries = list(log)
    index_of = {id(entry): index for index, entry in enumerate(entries)}
    return [_row(index, entry, index_of) for index, entry in enumerate(entries)]


def write(path: Path, facts: Mapping[str, Any], packets: Sequence[Mapping[str, Any]]) -> None:
    """Write one JSON object, a line for each packet, for the owner's eyes only."""
    head = json.dumps(facts, indent=1, ensure_ascii=False).removesuffix("\n}")
    lines = ",\n  ".join(json.dumps(packet, separators=(",", ":")) for packet in packets)
    draft = path.with_name(f".{path.name}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f'{head},\n "packets": [\n  {lines}\n ]\n}}\n')
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def _row(index: int, entry: Entry, index_of: Mapping[int, int]) -> dict[str, Any]:
    row: dict[str, Any] = {"index": index, "time_ns": entry.time_in}
    row |= describe(entry.data, entry.length)
    flow = entry.flow
    if flow is not None:
        row |= {"connection": flow.number, "nth": flow.nth, "direction": f"to-{flow.to}"}
        row |= {"packet": entry.packet, "segment": entry.segment, "copy": entry.copy}
        if "seq_raw" in row:
            row["seq"] = (row["seq_raw"] - flow.base) % _TURN
            acknowledges = "A" in row["flags"]
            row["ack"] = (row["ack_raw"] - flow.peer.base) % _TURN if acknowledges else 0
    row |= {"action": entry.action, "rule": entry.rule}
    row["time_out_ns"] = entry.time_out or None
    row["made_of"] = None if entry.made_of is None else index_of[id(entry.made_of)]
    return row
