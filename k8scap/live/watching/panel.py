"""The panel's widget: its state is one `View`, and it says when Stop was pressed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

if TYPE_CHECKING:
    from collections.abc import Callable

_HERE = Path(__file__).parent


class Panel(anywidget.AnyWidget):
    """Shows `view` (see `view.View`); `on_stop` is called when Stop was pressed."""

    _esm = (_HERE / "panel.js").read_text(encoding="utf-8")
    _css = (_HERE / "panel.css").read_text(encoding="utf-8")
    view = traitlets.Dict().tag(sync=True)

    def __init__(self, *, on_stop: Callable[[], None]) -> None:
        super().__init__()
        self._on_stop = on_stop
        self.on_msg(self._hear)

    def _hear(self, _widget: Any, content: Any, _buffers: Any) -> None:
        if content == {"say": "stop"}:
            self._on_stop()
