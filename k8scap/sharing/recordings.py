"""One point of a bundle: its trimmed capture file, and the manifest beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from k8scap.analysis.exporting import readable_files
from k8scap.names import Names
from k8scap.names.shown import LEARNT
from k8scap.parser.records.reader import RecordReader
from k8scap.pcapng import HeldNames, PointFrames, write_pcapng
from k8scap.pcapng.comments import of_findings
from k8scap.recording import manifest_path, write_manifest
from k8scap.sharing.evidence import ends_of, errors_of
from k8scap.sharing.headers import HeaderWalk
from k8scap.sharing.trimming import trimmed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from k8scap.analysis import Capture
    from k8scap.model import Manifest


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What goes along beside headers, and what is said of that in the files; `payload` includes `dns`."""

    payload: bool
    dns: bool
    note: str

    @property
    def walk(self) -> HeaderWalk:
        return HeaderWalk(dns=self.dns)


@dataclass(frozen=True)
class Part:
    """One point: its frames (rows of the packets table), the file that they are in, the names in it."""

    point: str
    packets: pd.DataFrame
    file: Path
    names: Names


def write_part(cap: Capture, point: str, packets: pd.DataFrame, file: Path, *, contents: Contents) -> Part:
    """Write these frames of a point, the ICMP errors about their conversations, and the trimmed manifest.

    What is found in the trimmed file stands in it as packet comments.
    """
    from k8scap.analysis import load

    source = next(each for each in cap.sources if each.point == point)
    with readable_files([source]) as files:
        packets = _with_errors(cap, point, packets, files[point])
        held = HeldNames(_told(cap.names, contents))
        held.add(packets)
        frames = PointFrames(
            point=point,
            files=files[point],
            numbers=packets.index.to_numpy("int64"),
            interface=source.only_interface,
            interfaces=_interfaces(packets),
            secrets=False,
            names=False,
            foreign_comments=False,
            keep=None if contents.payload else contents.walk.keep,
        )
        _write(file, frames, held, contents.note)
        manifest = next((m for m in cap.manifests if m.point == point), None)
        _describe(manifest, file, packets, held, contents.note)
        again = of_findings(load(file).findings)
        if again:
            numbers = packets.index.to_numpy("int64")
            comments = {int(numbers[number - 1]): texts for (_, number), texts in again.items()}
            _write(file, replace(frames, comments=comments), held, contents.note)
            _describe(manifest, file, packets, held, contents.note)
    return Part(point, packets, file, Names(held.entries))


def _write(file: Path, frames: PointFrames, held: HeldNames, note: str) -> None:
    write_pcapng(file, [frames], comment=note, application=f"k8scap {version('k8scap')}", names=held.pairs())


def _describe(
    manifest: Manifest | None, file: Path, packets: pd.DataFrame, held: HeldNames, note: str
) -> None:
    """The manifest beside the file, where there was one."""
    if manifest is not None:
        told = trimmed(
            manifest,
            file=file,
            records=len(packets),
            names=held.entries,
            addresses=held.addresses,
            interfaces=_interfaces(packets),
            note=note,
        )
        write_manifest(manifest_path(file), told)


def _told(names: Names, contents: Contents) -> Names:
    """Without the nodes that they ran on, and what was learnt from payload where that is cut out."""
    return Names(
        *(
            [
                replace(entry, node="", zone="")
                for entry in layer
                if contents.payload or entry.source not in LEARNT
            ]
            for layer in names.layers
        )
    )


def _interfaces(packets: pd.DataFrame) -> frozenset[str]:
    return frozenset(map(str, packets["interface"].dropna().unique()))


def _with_errors(cap: Capture, point: str, packets: pd.DataFrame, files: Sequence[Path]) -> pd.DataFrame:
    """With the ICMP errors that quote a packet of these conversations."""
    there = cap.packets[(cap.packets["point"] == point).to_numpy()]
    errors = np.setdiff1d(errors_of(there), packets.index.to_numpy("int64"))
    if not len(errors):
        return packets
    ends = ends_of(packets)
    about = [number for number, quoted in _quoted(files, errors).items() if quoted in ends]
    return there[there.index.isin([*packets.index, *about])]


def _quoted(files: Sequence[Path], numbers: np.ndarray) -> Mapping[int, frozenset[tuple[str, int]]]:
    """Whose packet each of these frames quotes: the two (address, port)."""
    found: dict[int, frozenset[tuple[str, int]]] = {}
    reader, walk = RecordReader(files), HeaderWalk()
    try:
        for block in reader:
            before = reader.frames - len(block)
            view = memoryview(block.buffer.data).cast("B")
            for number in numbers[(numbers > before) & (numbers <= reader.frames)].tolist():
                i = number - before - 1
                at, size = int(block.start[i]), int(block.captured[i])
                link = reader.interfaces[int(block.interface[i])].link_type
                if quoted := walk.headers(view[at : at + size], link).quoted:
                    found[number] = quoted
    finally:
        reader.close()
    return found
