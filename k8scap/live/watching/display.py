"""Where a notebook shows it: the panel while it runs, the summary in its place when it has ended."""

from __future__ import annotations

import secrets
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k8scap.live.session.live_capture import LiveCapture
    from k8scap.live.watching.watcher import Watcher


_READING_SECONDS = 10.0
"""For a capture that nobody has watched, and that has ended."""


def in_a_notebook() -> bool:
    """Whether a kernel runs us, whose front end may show a panel."""
    if "ipykernel" not in sys.modules:
        return False
    from IPython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None


def show(live: LiveCapture) -> None:
    """Show the panel under the cell that runs, once."""
    if live.panel is None:
        live.panel = Shown(live)
    live.panel.show()


def bundle(live: LiveCapture) -> Mapping[str, str]:
    """What can be shown without a kernel."""
    from k8scap.live.watching.summary import html
    from k8scap.live.watching.view import look

    if not live.running:
        live.watcher.wait(_READING_SECONDS)
    return {"text/plain": repr(live), "text/html": html(look(live.watcher))}


class Shown:
    """One capture's panel, under the cells that show it."""

    def __init__(self, live: LiveCapture) -> None:
        from k8scap.live.watching.panel import Panel
        from k8scap.live.watching.view import look

        self._live = live
        self._places: dict[str, Any] = {}
        self._panel = Panel(view=look(live.watcher), on_stop=live.request_stop)
        live.watcher.tell(self._update)

    def show(self) -> None:
        from IPython.display import display

        cell = _cell()
        if cell not in self._places:
            place = self._places[cell] = f"k8scap-{secrets.token_hex(8)}"
            data, metadata = self._panel.bundle
            shown = {**bundle(self._live), **data}  # the summary is for who has no widgets
            display(shown, metadata=metadata, display_id=place, raw=True)  # type: ignore[no-untyped-call]
            if self._live.watcher.over:  # it ended before there was a place for its summary
                self._leave_summaries()

    def _update(self, watcher: Watcher) -> None:
        from k8scap.live.watching.view import look

        self._panel.view = look(watcher)
        if watcher.over:
            self._leave_summaries()

    def _leave_summaries(self) -> None:
        from IPython.display import update_display

        summary = dict(bundle(self._live))
        for place in tuple(self._places.values()):
            update_display(summary, display_id=place, raw=True)  # type: ignore[no-untyped-call]


def _cell() -> str:
    """What tells this run of a cell from others."""
    from IPython import get_ipython

    shell = get_ipython()
    parent: Mapping[str, Any] = shell.kernel.get_parent() if shell else {}
    return str(parent.get("header", {}).get("msg_id", ""))
