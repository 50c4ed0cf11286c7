"""Wireshark fields of some frames only: tshark is handed those, and reads nothing else."""

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
    import pandas as pd


def read_fields_of(
    source: Source,
    numbers: np.ndarray,
    names: Sequence[str],
    *,
    where: str = "",
    decode_as: Mapping[str, str] | None = None,
) -> pd.DataFrame | None:
    """As `read_fields`, of the frames with these numbers (rising) alone, by their own numbers.

    None where the source's files are of a format that only tshark reads. Raises OSError where they cannot be
    read, DiskFullError where there is no room for the few.
    """
    folder = Path(tempfile.mkdtemp(prefix="k8scap-"))
    try:
        few = folder / "few.pcapng"
        if extract.write_frames(few, source.files, numbers) < len(numbers):
            return None
        told = read_fields(Source(Recording((few,))), names, where=where, decode_as=decode_as)
        told.index = told.index.map(lambda place: int(numbers[place - 1])).rename("number")
        return told
    finally:
        shutil.rmtree(folder, ignore_errors=True)
