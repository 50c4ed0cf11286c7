"""A capture written again: as a pcapng for Wireshark, with names and findings, and as Parquet."""

from __future__ import annotations

import contextlib
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from k8scap.errors import UnreadableFileError, UsageError
from k8scap.runner import LocalRunner

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy as np
    import pandas as pd
    import pyarrow as pa

    from k8scap.analysis.opened import Opened
    from k8scap.model import Finding
    from k8scap.parser.source import Source
    from k8scap.pcapng import HeldNames, PointFrames
    from k8scap.recording import Recording

CHUNK = 1_000_000
_CONVERTING_SECONDS = 3600
NEEDED = ("point", "time", "src", "dst", "outer_src", "outer_dst")


def write_capture(
    cap: Opened,
    path: Path,
    *,
    names: bool,
    findings: Sequence[Finding],
    comments: Mapping[tuple[str, int], str],
    secrets: bool,
) -> Path:
    """See `Capture.to_pcapng`."""
    from k8scap.pcapng import HeldNames, write_pcapng
    from k8scap.pcapng.comments import of_findings, of_section, with_notes

    _require_other_file(path, cap.recordings)
    _require_points(cap, comments)
    held = HeldNames(cap.names) if names and cap.names else None
    numbers = _numbers(cap, held)
    told = with_notes(of_findings(findings), comments)
    renumbered = len(cap.points) > 1 or numbers is not None
    written_by = f"k8scap {version('k8scap')}"
    section = of_section(
        written_by=written_by,
        points=cap.points,
        files=(file.name for recording in cap.recordings for file in recording.files),
        held=held,
    )
    with readable_files(cap.sources) as files:
        points = [
            _point(
                source,
                files[source.point],
                numbers=numbers.get(source.point) if numbers is not None else None,
                comments=_comments_at(source.point, told, renumbered=renumbered),
                secrets=secrets,
                named=held.packed() if held else frozenset(),
            )
            for source in cap.sources
        ]
        write_pcapng(
            path, points, comment=section, application=written_by, names=held.pairs() if held else ()
        )
    return path


def write_parquet(pieces: Iterable[pd.DataFrame], path: Path) -> Path:
    """See `Capture.to_parquet`: one row group a piece, categories as dictionaries."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from k8scap.private_file import private_file

    with private_file(path) as file:
        writer: pq.ParquetWriter | None = None
        try:
            for piece in pieces:
                table = _same_types(pa.Table.from_pandas(piece, preserve_index=True))
                writer = writer or pq.ParquetWriter(file, table.schema, compression="zstd")
                writer.write_table(table.replace_schema_metadata(writer.schema.metadata))
        finally:
            if writer is not None:
                writer.close()
    return path


def _same_types(table: pa.Table) -> pa.Table:
    """A piece's categories are numbered by as few bits as they need: here by 32 in all."""
    import pyarrow as pa

    for i, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            wide = [
                pa.DictionaryArray.from_arrays(part.indices.cast(pa.int32()), part.dictionary)
                for part in table.column(i).chunks
            ]
            table = table.set_column(i, field.name, pa.chunked_array(wide))
    return table


def _point(
    source: Source,
    files: Sequence[Path],
    *,
    numbers: np.ndarray | None,
    comments: Mapping[int, Sequence[str]],
    secrets: bool,
    named: frozenset[bytes],
) -> PointFrames:
    from k8scap.pcapng import PointFrames

    return PointFrames(
        point=source.point,
        files=files,
        numbers=numbers,
        interface=source.only_interface,
        comments=comments,
        secrets=secrets,
        named=named,
    )


def _comments_at(
    point: str, told: Mapping[tuple[str, int], Sequence[str]], *, renumbered: bool
) -> dict[int, list[str]]:
    """One point's comments by number, with that number where Wireshark will show another one."""
    return {
        number: [f"{text} [frame {number} of {point}]" if renumbered else text for text in texts]
        for (at, number), texts in told.items()
        if at == point
    }


@contextlib.contextmanager
def readable_files(sources: Iterable[Source]) -> Iterator[dict[str, Sequence[Path]]]:
    """Each point's files as pcap or pcapng; other formats are made pcapng by editcap, for the while.

    An OSError in reading one becomes UnreadableFileError.
    """
    from k8scap.parser.records.scan import format_of, head

    with tempfile.TemporaryDirectory(prefix="k8scap-") as folder:
        try:
            files: dict[str, Sequence[Path]] = {}
            for source in sources:
                files[source.point] = [
                    _made_pcapng(file, Path(folder) / f"{len(files)}-{i}.pcapng")
                    if format_of(head(file)) == "other"
                    else file
                    for i, file in enumerate(source.files)
                ]
            yield files
        except OSError as error:
            raise UnreadableFileError(
                f"{error.filename} cannot be read: {error.strerror}.",
                path=str(error.filename),
                next_step=f"ls -l {error.filename}",
            ) from None


def _made_pcapng(file: Path, target: Path) -> Path:
    done = LocalRunner().run(
        ["editcap", "-F", "pcapng", str(file.absolute()), str(target)], timeout=_CONVERTING_SECONDS
    )
    if done.returncode and not target.exists():
        raise UnreadableFileError(
            f"{file} cannot be read: {done.error_text}.", path=str(file), next_step=f"capinfos {file}"
        )
    return target


def _require_other_file(path: Path, recordings: Iterable[Recording]) -> None:
    """Raises UsageError where the capture's own file would be replaced."""
    if any(path.exists() and path.samefile(file) for each in recordings for file in each.files):
        raise UsageError(
            f"{path} is a file of this capture, and it is kept as it is.",
            next_step=f"another name: {path.stem}-found.pcapng",
        )


def _require_points(cap: Opened, comments: Mapping[tuple[str, int], str]) -> None:
    unknown = sorted({str(point) for point, _ in comments} - set(cap.points))
    if unknown:
        raise UsageError(
            f"This capture has the points {', '.join(cap.points)}, and {unknown[0]} is none of them.",
            next_step=f'comments={{({cap.points[0]!r}, 12): "look"}}',
        )


def _numbers(cap: Opened, held: HeldNames | None) -> dict[str, np.ndarray] | None:
    """The frames of each point; None for all of them. Names are counted on the way."""
    import numpy as np

    if held is None and cap.is_whole:
        return None
    found: dict[str, list[np.ndarray]] = {point: [] for point in cap.points}
    for piece in cap.pieces(NEEDED, CHUNK):
        if held is not None:
            held.add(piece)
        if not cap.is_whole:
            codes, numbers = piece["point"].cat.codes.to_numpy(), piece.index.to_numpy("int64")
            for code, point in enumerate(piece["point"].cat.categories):
                found[str(point)].append(numbers[codes == code])
    if cap.is_whole:
        return None
    return {point: np.concatenate([np.empty(0, np.int64), *parts]) for point, parts in found.items()}
