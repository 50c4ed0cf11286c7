"""The packets table, every column asked of Wireshark's dissectors: the reference engine."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from k8scap.parser.progress import counting
from k8scap.parser.reference.chunk import FORMAT, PROTOCOLS, Chunk
from k8scap.parser.reference.decoders import Builder
from k8scap.parser.reference.tshark import Run, command, lines
from k8scap.schema import CHECKSUM_PREFERENCES, PACKETS, Column

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from k8scap.parser.layers import Stack
    from k8scap.parser.source import Source


def read_packets(
    sources: Sequence[Source],
    *,
    columns: Sequence[str] | None = None,
    where: str = "",
    decode_as: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """The packets table of `schema.PACKETS` (or those of its `columns`), indexed by `number`.

    `where` is a Wireshark display filter. Frames of several sources follow one another, told apart by
    `point`. Raises UnreadableFileError where nothing of a source can be read.
    """
    wanted = [c for c in PACKETS if c.name == "number" or columns is None or c.name in columns]
    builder = Builder(wanted)
    for source in sources:
        _read(source, wanted, builder, where=where, decode_as=decode_as)
    return builder.table()


def _read(
    source: Source,
    wanted: Sequence[Column],
    builder: Builder,
    *,
    where: str,
    decode_as: Mapping[str, str] | None,
) -> None:
    """One source's frames into the table; raises UnreadableFileError where tshark gives none and fails."""
    fields = list(dict.fromkeys([PROTOCOLS, *(name for column in wanted for name in column.fields)]))
    checked = any(column.name.endswith("_checksum_ok") for column in wanted)
    argv = command(
        source.path,
        ["-T", "fields", *FORMAT, *(word for name in fields for word in ("-e", name))],
        where=where,
        preferences=CHECKSUM_PREFERENCES if checked else {},
        decode_as=decode_as,
    )
    run = Run()
    rows = 0
    stacks: dict[str, Stack] = {}
    total = None if where else source.records
    with counting(total) as count, closing(lines(argv, run=run)) as output:
        for block in output:
            chunk = Chunk(block, fields, stacks)
            builder.add(chunk, source)
            rows += len(chunk)
            count(len(chunk))
    if run.returncode and not (rows or where or run.cut_off):
        source.refuse(run)
    source.remember(run)
