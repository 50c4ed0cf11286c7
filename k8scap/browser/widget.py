"""`Browser`: the widget, and what of it is Python's."""

from __future__ import annotations

from secrets import token_hex
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from k8scap.browser import columns, page, snapshot
from k8scap.browser.session import Session

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.analysis import Capture


class Browser(anywidget.AnyWidget):
    """Wireshark's three panes on a capture; made by `k8scap.browse`.

    Attributes
    ----------
    filtered, selected, marked: DataFrames with the columns of `schema.PACKETS`: what the list shows, what is
        selected in it, what is marked (with the column `note`).
    filter: the display filter in force; `where` sets another.
    """

    _esm = page.script()
    _css = page.style()
    first_rows: traitlets.List[Any] = traitlets.List().tag(sync=True)
    first_columns: traitlets.List[Any] = traitlets.List().tag(sync=True)
    total = traitlets.Int().tag(sync=True)
    height = traitlets.Int().tag(sync=True)
    page_id = traitlets.Unicode().tag(sync=True)

    def __init__(self, cap: Capture, *, where: str = "", height: int = 700) -> None:
        self._cap = cap
        self._session = Session(cap, send=self.send)
        if where:
            self._session.where(where)
        first = self._session.view.block(0, snapshot.ROWS, self._session.marks)
        super().__init__(
            first_rows=[{"cells": c, "kind": k} for c, k in zip(first["cells"], first["kinds"], strict=True)],
            first_columns=columns.described(self._session.view.names),
            total=len(self._session.view),
            height=height,
            page_id=token_hex(8),
        )
        self.on_msg(lambda _, content, __: self._session.hear(content))

    @property
    def filtered(self) -> pd.DataFrame:
        """The packets that the list shows, in the order of the packets table."""
        return self._cap.packets.iloc[self._session.view.passing]

    @property
    def selected(self) -> pd.DataFrame:
        """The packets selected in the list, in its order."""
        return self._cap.packets.iloc[self._session.chosen]

    @property
    def marked(self) -> pd.DataFrame:
        """The marked packets and the `note` on each (str, "" for none)."""
        return self._session.marks.on(self._cap.packets)

    @property
    def filter(self) -> str:
        return self._session.filter

    def where(self, text: str) -> None:
        """Show what a display filter lets pass, "" for all; waits for tshark where it is needed.

        Raises FilterError, ToolMissingError.
        """
        self._session.where(text)
        self._session.tell_state()

    def _ipython_display_(self) -> None:
        """Show the widget and, for pages without a kernel, its first rows, hidden once a kernel answers.

        Whoever exports a page that was executed keeps the widget's view, which then finds nobody to ask.
        """
        from IPython.display import display

        data, metadata = self._repr_mimebundle_()
        display(data, metadata=metadata, raw=True)  # type: ignore[no-untyped-call]
        display({"text/html": data["text/html"], "text/plain": ""}, raw=True)  # type: ignore[no-untyped-call]

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The widget; where none can be, in exported pages, its first rows as a table."""
        bundle = super()._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data is not None:
            data["text/plain"] = repr(self)
            rows = snapshot.html(self.first_columns, self.first_rows, self.total)
            data["text/html"] = f"<div class='k8scap-first-rows' data-page='{self.page_id}'>{rows}</div>"
        return bundle

    def __repr__(self) -> str:
        shown = f"{len(self._session.view):,}{f' of {len(self._cap.packets):,}' if self.filter else ''}"
        return f"<Browser of {', '.join(self._cap.points)}: {shown} packets>"
