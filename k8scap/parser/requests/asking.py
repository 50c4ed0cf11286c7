"""tshark's word on the chosen frames: small captures of some conversations each, read side by side."""

from __future__ import annotations

import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from k8scap.parser.records.extract import write_frames
from k8scap.parser.reference.dissect import read_fields
from k8scap.parser.requests.signatures import dissector
from k8scap.parser.source import Source
from k8scap.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from k8scap.parser.requests.choosing import Choice

FIELDS = (
    "tcp.segment",
    "http.request.method", "http.request.uri", "http.host", "http.response.code", "http.response.phrase",
    "http2.type", "http2.streamid", "http2.header.count", "http2.header.name", "http2.header.value",
    "tls.handshake.type", "tls.handshake.version", "tls.handshake.extensions.supported_version",
    "tls.handshake.extensions_server_name", "tls.handshake.certificate",
    "tls.alert_message.level", "tls.alert_message.desc",
    "http2.rst_stream.error",
    "pgsql.frontend", "pgsql.type", "pgsql.query", "pgsql.statement", "pgsql.code", "pgsql.message",
    "mysql.packet_number", "mysql.user", "mysql.command", "mysql.query", "mysql.error_code", "mysql.sqlstate",
    "mysql.error.message",
    "resp.array.length", "resp.bulk_string.length", "resp.bulk_string.value", "resp.string", "resp.error",
    "resp.integer",
    "mongo.request_id", "mongo.response_to", "mongo.full_collection_name", "mongo.element.name",
    "mongo.element.type", "mongo.element.value.string", "mongo.element.value.int",
    "kafka.request_key", "kafka.api_key", "kafka.correlation_id", "kafka.topic_name", "kafka.error",
)  # fmt: skip
"""What all protocols' readers want: one conversation may speak several, as TLS behind a PostgreSQL hello."""

BETWEEN = "\x1f"
"""Stands between a field's occurrences (US-ASCII's unit separator): no protocol's own text has it."""

TASK_FRAMES = 2_000
"""Fewer frames than this are not worth a tshark of their own: it takes 0.3 s to start."""

_HEADS_ONLY = {"http.desegment_body": "FALSE"}
_SYMMETRIC = ("HTTP/1", "HTTP/2", "TLS")
"""Wireshark tells who asks by what is said; in other protocols by which port is the protocol's."""
_MOST_PORTS = 4_096


@dataclass(frozen=True, eq=False)
class _Task:
    """What one tshark reads."""

    numbers: np.ndarray
    preferences: Mapping[str, str]
    decode_as: Mapping[str, str]


def ask(source: Source, choices: Sequence[Choice], decode_as: Mapping[str, str]) -> pd.DataFrame:
    """`FIELDS` of the chosen frames, as strings or NaN, indexed by `number`; those with none are left out.

    Several occurrences in one frame stand in one string, `BETWEEN` them. No more than os.cpu_count() tsharks
    run at a time, and each gets whole conversations. Raises ToolMissingError, OSError, DiskFullError.
    """
    import pandas as pd

    tasks = [task for choice in choices for task in _tasks(choice, decode_as)]
    if not tasks:
        return pd.DataFrame({name: pd.Series(dtype="str") for name in FIELDS}).rename_axis("number")
    folder = Path(tempfile.mkdtemp(prefix="k8scap-"))
    try:
        every = np.unique(np.concatenate([task.numbers for task in tasks]))
        write_frames(folder / "all.pcapng", source.files, every)
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            parts = list(pool.map(lambda n: _run(folder, n, tasks[n], every), range(len(tasks))))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for part in parts:
        source.notes.update(part.attrs.pop("notes"))
    return pd.concat(parts).sort_index()


def _tasks(choice: Choice, told: Mapping[str, str]) -> Iterator[_Task]:
    """Whole conversations, some thousand frames each, as many tasks as there are processors at the most."""
    if not len(choice.number):
        return
    most = min(os.cpu_count() or 1, max(len(choice.number) // TASK_FRAMES, 1))
    streams, sizes = np.unique(choice.stream, return_counts=True)
    share = np.minimum((np.cumsum(sizes) - sizes) * most // sizes.sum(), most - 1)
    of = share[np.searchsorted(streams, choice.stream)]
    for number in np.unique(of):
        mine = of == number
        yield _Task(
            np.sort(choice.number[mine]),
            {} if choice.bodies else _HEADS_ONLY,
            {**_ports(choice, mine), **told},
        )


def _ports(choice: Choice, mine: np.ndarray) -> dict[str, str]:
    """Decode-as rules: one tshark's conversations speak one protocol, whatever it would take a port for."""
    name = dissector(choice.protocol)
    if choice.protocol in _SYMMETRIC:
        return {"tcp.port==1-65535": name}
    ports, counts = np.unique(choice.ports[mine], return_counts=True)
    often = ports[np.argsort(-counts, kind="stable")][:_MOST_PORTS]
    return {f"tcp.port=={port}": name for port in often.tolist()}


def _run(folder: Path, which: int, task: _Task, every: np.ndarray) -> pd.DataFrame:
    """One tshark over one task's frames; its notes are in `attrs`."""
    few = folder / f"{which}.pcapng"
    write_frames(few, [folder / "all.pcapng"], np.searchsorted(every, task.numbers) + 1)
    source = Source(Recording((few,)))
    told = read_fields(
        source,
        FIELDS,
        preferences=task.preferences,
        decode_as=task.decode_as,
        aggregator=BETWEEN,
    )
    few.unlink()
    told = told.dropna(how="all")
    segments = told["tcp.segment"].map(lambda text: _renumbered(text, task.numbers), na_action="ignore")
    told = told.assign(**{"tcp.segment": segments.astype("str")})
    told.index = told.index.map(lambda place: int(task.numbers[place - 1])).rename("number")
    told.attrs["notes"] = dict(source.notes)
    return told


def _renumbered(text: str, numbers: np.ndarray) -> str:
    """Frames that a message was put together from, by their own numbers."""
    return BETWEEN.join(str(numbers[int(place) - 1]) for place in text.split(BETWEEN))
