"""The panel's widget: its state is one `View`, and it says when Stop was pressed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

if TYPE_CHECKING:
    from collections.abc import Callable

    from k8scap.live.watching.view import View

_HERE = Path(__file__).parent


class Panel(anywidget.AnyWidget):
    """Shows `view` (see `view.View`); `on_stop` is called when Stop was pressed."""

    _esm = (_HERE / "panel.js").read_text(encoding="utf-8")
    _css = (_HERE / "panel.css").read_text(encoding="utf-8")
    view = traitlets.Dict().tag(sync=True)

    def __init__(self, *, view: View, on_stop: Callable[[], None]) -> None:
        super().__init__(view=view)
        self._on_stop = on_stop
        self.on_msg(self._hear)
        # Since 7.4 ipykernel has messages wait for the loop that last used their comm, which is the busy
        # cell's for what our thread sends: but the front end sends them to a subshell, where it can.
        if hasattr(self.comm, "_reply_subshell_for"):
            self.comm._reply_subshell_for = _as_the_front_end_says  # noqa: SLF001 - there is no other way

    @property
    def bundle(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The widget for a front end that has widgets: MIME types with their data, and metadata."""
        data, metadata = self._repr_mimebundle_() or ({}, {})
        return {kind: value for kind, value in data.items() if not kind.startswith("text/")}, metadata

    def _hear(self, _widget: Any, content: Any, _buffers: Any) -> None:
        if content == {"say": "stop"}:
            self._on_stop()


def _as_the_front_end_says(_data: Any, subshell: str | None) -> str | None:
    return subshell
