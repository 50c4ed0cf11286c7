"""`live.packets`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.errors import CaptureBrokenError, UsageError

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.live.session.live_capture import LiveCapture


def packets(live: LiveCapture) -> pd.DataFrame:
    """The packets table so far; see `LiveCapture.packets`."""
    from k8scap.parser.warm_up import compile_if_needed

    if not live.to_files:
        raise UsageError(
            "This capture goes to a pipe: there is no file to read on in.",
            next_step='k8scap.watch(…, output="FOLDER")',
        )
    compile_if_needed()  # in the caller's thread, where an interrupt is heard
    table = live.watcher.packets()
    if table is None:
        raise CaptureBrokenError(
            f"Reading on in the files failed ({live.watcher.failure}); the capture does not need it.",
            next_step="live.stop().packets",
        )
    if beyond := live.watcher.points.beyond:
        raise UsageError(
            f"These packets cannot be read while they come: {beyond}, which is for tshark.",
            next_step="live.stop().packets",
        )
    return table
