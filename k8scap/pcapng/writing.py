"""The file: a section with all that its reader should know, then the points' frames."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from k8scap.pcapng import blocks
from k8scap.pcapng.frames import batches
from k8scap.pcapng.merging import merge
from k8scap.private_file import private_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from k8scap.pcapng.frames import PointFrames


def write_pcapng(
    path: Path,
    points: Sequence[PointFrames],
    *,
    comment: str = "",
    application: str = "k8scap",
    names: Iterable[tuple[str, str]] = (),
) -> int:
    """Write the points' frames to one pcapng, 0600, by their times; gives how many there were.

    Original times (ns), lengths, link types, interfaces and directions stay. An interface is described by its
    point's name, and bears it where it has none of its own. `names` are (address, name). The files are
    streamed through once. Raises OSError and UnreadableFileError where one cannot be read, and what
    `private_file` does where the new one cannot be written.
    """
    with private_file(path) as out:
        out.write(blocks.section(comment=comment, application=application))
        for told in blocks.names(names):
            out.write(told)
        new_interface = itertools.count()
        return merge([batches(point, new_interface) for point in points], out.write)
