"""One browser's state, and what it does when its page asks for something."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from k8scap.browser import columns
from k8scap.browser.answers import Answers
from k8scap.browser.desk import Desk
from k8scap.browser.filtering import StoppedError, by_tshark, from_table
from k8scap.browser.marks import Marks
from k8scap.browser.view import View
from k8scap.errors import K8scapError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from k8scap.analysis import Capture

    Ints = npt.NDArray[np.int64]
    Asked = dict[str, Any]

_MOST_ROWS = 2_000
"""In one answer: a page shows some sixty."""


class Session:
    """What the list shows, what is selected in it; `send` gives messages to the page.

    The page's messages are {"ask": what, …}; they may come in any thread (JupyterLab gives widgets one of
    their own where the kernel can), one at a time. `view_number` grows whenever other rows stand in the list:
    what was asked of an earlier one is not answered.
    """

    def __init__(self, cap: Capture, *, send: Callable[..., None]) -> None:
        self._cap = cap
        self._send = send
        self._lock = threading.RLock()
        self.marks = Marks(cap.recordings, cap.points)
        self.view = View(cap)
        self.view_number = 0
        self.chosen: Ints = self.view.rows[:0]
        self.filter = ""
        self.current: int | None = None
        self._answers = Answers(cap, self.marks, send)
        self._filtering, self._judging = Desk("k8scap-filter"), Desk("k8scap-judging")
        self._seeing, self._dissecting = Desk("k8scap-protocols"), Desk("k8scap-detail")
        self._asked: dict[str, Callable[[Asked], None]] = {
            "hello": self._greet,
            "rows": self._rows,
            "told": self._protocols,
            "filter": self._filter,
            "finding": self._finding,
            "stop": self._stop,
            "check": lambda asked: self._answers.tell_check(str(asked["text"])),
            "sort": self._sort,
            "columns": self._columns,
            "select": self._select,
            "detail": self._detail,
            "follow": self._follow,
            "cell": self._cell,
            "mark": self._mark,
            "go": self._go,
        }

    def hear(self, content: Any) -> None:
        """Answer a message of the page; what our page would not say is passed over."""
        asked = self._asked.get(str(content.get("ask"))) if isinstance(content, dict) else None
        if asked is None:
            return
        with self._lock:
            try:
                asked(content)
            except K8scapError as error:
                self._complain(str(content["ask"]), error)
            except (KeyError, TypeError, ValueError, IndexError, OverflowError):
                return

    def where(self, text: str) -> None:
        """Show what a filter lets pass, tshark asked where it must be. Raises FilterError."""
        with self._lock:
            found = from_table(self._cap.packets, text)
            if found is None:
                found = self._by_tshark(text, lambda _: None, threading.Event())
            self._show(text, found)

    def tell_state(self) -> None:
        """What stands in the list now."""
        sorting = self.view.sorting
        self._send(
            {
                "tell": "state",
                "view": self.view_number,
                "shown": len(self.view),
                "total": len(self._cap.packets),
                "filter": self.filter,
                "columns": columns.described(self.view.names),
                "choices": list(columns.COLUMNS),
                "sorting": {"name": sorting[0], "descending": sorting[1]} if sorting else None,
                "marks": len(self.marks),
                "current": -1 if self.current is None else self.view.place(self.current),
            }
        )

    # ---- the list ----

    def _greet(self, _: Asked) -> None:
        self.tell_state()
        self._answers.tell_fields()
        self._judging.give(self._judge)

    def _judge(self, _: threading.Event) -> None:
        """What each repeated segment was, and the findings: the list is usable meanwhile."""
        self._answers.prepare()
        try:
            losses = self._cap.losses
            keys = zip(losses["point"].astype(str), losses["number"].tolist(), strict=True)
            classes = dict(zip(keys, losses["loss_class"].astype(str), strict=True))
            with self._lock:
                self.view.classes = classes
            self._send({"tell": "repaint"})
            self._answers.tell_findings()
        except K8scapError as error:
            self._complain("findings", error)

    def _rows(self, asked: Asked) -> None:
        if asked["view"] == self.view_number:
            first = max(int(asked["first"]), 0)
            block = self.view.block(first, min(int(asked["end"]), first + _MOST_ROWS), self.marks)
            self._send({"tell": "rows", "view": self.view_number, **block})

    def _protocols(self, asked: Asked) -> None:
        """What tshark calls the frames that are seen."""
        if asked["view"] == self.view_number:
            first, view = max(int(asked["first"]), 0), self.view_number
            rows = self.view.rows[first : min(int(asked["end"]), first + _MOST_ROWS)]
            fields = [name[1:] for name in self.view.names if name.startswith(columns.FIELD)]
            self._seeing.give(
                lambda _: self._answers.tell_protocols(rows, fields=fields, first=first, view=view)
            )

    def _sort(self, asked: Asked) -> None:
        self.view.sort(str(asked["name"]), descending=bool(asked["descending"]))
        self._other_rows()
        self.tell_state()

    def _columns(self, asked: Asked) -> None:
        names = [str(name) for name in asked["names"]]
        for field in (name[1:] for name in names if name.startswith(columns.FIELD)):
            columns.check_field(field)
        wanted = [name for name in names if name in columns.COLUMNS or name.startswith(columns.FIELD)]
        self.view.names = tuple(dict.fromkeys(wanted)) or columns.DEFAULT
        self.view_number += 1
        self.tell_state()

    def _other_rows(self) -> None:
        self.view_number += 1
        kept = self.current is not None and self.view.place(self.current) >= 0
        self.current = self.current if kept else None
        self.chosen = self.view.rows[:0] if self.current is None else np.array([self.current])

    # ---- filters ----

    def _filter(self, asked: Asked) -> None:
        text = str(asked["text"]).strip()
        self._filtering.clear()
        found = from_table(self._cap.packets, text)
        if found is not None:
            self._show(text, found)
            self.tell_state()
            return
        self._send({"tell": "progress", "part": None})
        self._filtering.give(lambda stop: self._filter_slowly(text, stop))

    def _finding(self, asked: Asked) -> None:
        """The packets that a finding rests on: frames' numbers alone would bring up other points' too."""
        finding = self._cap.findings.found[int(asked["number"])]
        found = from_table(self._cap.packets, finding.display_filter)
        if not finding.display_filter or found is None:
            self._filter({"text": finding.display_filter})
            return
        self._filtering.clear()
        if finding.point in self._cap.points:
            there = (self._cap.packets["point"].iloc[found] == finding.point).to_numpy()
            found = found[there]
        self._show(finding.display_filter, found)
        self.tell_state()

    def _filter_slowly(self, text: str, stop: threading.Event) -> None:
        try:
            found = self._by_tshark(text, lambda part: self._send({"tell": "progress", "part": part}), stop)
            with self._lock:
                if not stop.is_set():
                    self._show(text, found)
                    self.tell_state()
        except StoppedError:
            pass
        except K8scapError as error:
            self._complain("filter", error)

    def _stop(self, _: Asked) -> None:
        self._filtering.clear()
        self.tell_state()

    def _show(self, text: str, found: Ints) -> None:
        self.filter = text
        self.view.show(found if text else None)
        self._other_rows()

    def _by_tshark(self, text: str, progress: Callable[[float | None], None], stop: threading.Event) -> Ints:
        selection = self._cap.selection
        return by_tshark(
            self._cap.sources,
            self._cap.packets,
            text,
            within=selection.display_filter,
            decode_as=selection.decode_as,
            progress=progress,
            stop=stop,
        )

    # ---- frames ----

    def _position(self, asked: Asked) -> int | None:
        """Where the row that is asked about stands in the packets table."""
        row = int(asked["row"])
        there = asked["view"] == self.view_number and 0 <= row < len(self.view)
        return int(self.view.rows[row]) if there else None

    def _select(self, asked: Asked) -> None:
        if asked["view"] == self.view_number:
            ranges = [self.view.rows[max(int(a), 0) : int(b) + 1] for a, b in asked["ranges"]]
            self.chosen = np.concatenate([self.view.rows[:0], *ranges])
            last = int(asked["current"])
            self.current = int(self.view.rows[last]) if 0 <= last < len(self.view) else None

    def _detail(self, asked: Asked) -> None:
        position = self._position(asked)
        if position is not None:
            self._dissecting.give(lambda stop: self._answers.tell_detail(position, stop))

    def _follow(self, asked: Asked) -> None:
        position, what = self._position(asked), str(asked["what"])
        if position is not None:
            self._dissecting.give(lambda stop: self._answers.tell_conversation(position, what, stop))

    def _cell(self, asked: Asked) -> None:
        position = self._position(asked)
        if position is not None:
            self._answers.tell_cell(self.view.row(position), str(asked["name"]), str(asked["said"]))

    def _mark(self, asked: Asked) -> None:
        position, note = self._position(asked), asked["note"]
        if position is None:
            return
        row = self.view.row(position)
        try:
            self.marks.set((str(row["point"]), row["number"]), None if note is None else str(note))
        except K8scapError as error:
            message = f"{error.message} Marks are gone when the kernel ends."
            self._send({"tell": "error", "about": "marks", "message": message, "next": error.next_step})
        self._send({"tell": "marked", "row": int(asked["row"]), "marks": len(self.marks), "note": note})

    def _go(self, asked: Asked) -> None:
        """To a frame: by its number, or the next marked one, or the next of the same conversation."""
        place = self._answers.place(self.view, str(asked["to"]), int(asked["from"]), int(asked["step"]))
        self._send({"tell": "go", "row": place})

    def _complain(self, about: str, error: K8scapError) -> None:
        self._send({"tell": "error", "about": about, "message": error.message, "next": error.next_step})
