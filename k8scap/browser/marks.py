"""Marks and notes on frames, kept beside the capture: NAME.marks.json."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from k8scap.private_file import private_file, told

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pandas as pd

    from k8scap.recording import Recording

Key = tuple[str, int]
"""A frame: its point and number."""

KIND = "k8scap marks"
LONGEST_NOTE = 2_000
MOST = 100_000
_LARGEST_FILE = 64 << 20


class Marks:
    """Marked frames and what was noted of them, of one or more recordings."""

    def __init__(self, recordings: Sequence[Recording], points: Sequence[str]) -> None:
        self._files = {point: marks_path(r) for point, r in zip(points, recordings, strict=True)}
        self._notes: dict[Key, str] = {}
        for point, path in self._files.items():
            self._notes.update({(point, number): note for number, note in _read(path)})

    def __contains__(self, key: Key) -> bool:
        return key in self._notes

    def __iter__(self) -> Iterator[Key]:
        return iter(sorted(self._notes))

    def __len__(self) -> int:
        return len(self._notes)

    def note(self, key: Key) -> str:
        return self._notes.get(key, "")

    def on(self, packets: pd.DataFrame) -> pd.DataFrame:
        """The marked rows of a packets table, with the column `note` (str, "" for none)."""
        import numpy as np

        near = np.flatnonzero(packets.index.isin([number for _, number in self._notes]))
        rows = packets.iloc[near]
        keys = list(zip(rows["point"].astype(str), rows.index.tolist(), strict=True))
        there = [i for i, key in enumerate(keys) if key in self]
        return rows.iloc[there].assign(note=[self.note(keys[i]) for i in there])

    def set(self, key: Key, note: str | None) -> None:
        """Mark a frame, with a note or "" for none; None takes the mark away. Saved at once.

        Raises NotPermittedError, DiskFullError or UsageError where the file beside the capture cannot be
        written: then it is kept here only.
        """
        if note is None:
            self._notes.pop(key, None)
        elif key in self._notes or len(self._notes) < MOST:
            self._notes[key] = note[:LONGEST_NOTE]
        self._save(key[0])

    def _save(self, point: str) -> None:
        marks = [{"number": n, "note": note} for (of, n), note in sorted(self._notes.items()) if of == point]
        path = self._files[point]
        if not marks:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise told(path, error) from None
            return
        content = json.dumps({"kind": KIND, "format": 1, "marks": marks}, indent=1, ensure_ascii=False)
        with private_file(path) as file:
            file.write(content.encode())


def marks_path(recording: Recording) -> Path:
    """Where the marks of a recording are kept."""
    from k8scap.recording import recording_name

    first = recording.files[0]
    return first.with_name(f"{recording_name(first)}.marks.json")


def _read(path: Path) -> Iterator[tuple[int, str]]:
    """What stands in a file of marks, which may come from a stranger; nothing where it is none."""
    try:
        if path.stat().st_size > _LARGEST_FILE:
            return
        data: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return
    marks = data.get("marks") if isinstance(data, dict) and data.get("kind") == KIND else None
    for mark in marks[:MOST] if isinstance(marks, list) else ():
        number = mark.get("number") if isinstance(mark, dict) else None
        if isinstance(number, int) and not isinstance(number, bool) and number > 0:
            yield number, str(mark.get("note") or "")[:LONGEST_NOTE]
