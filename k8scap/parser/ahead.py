"""An iterator's items, made ahead in a thread of its own: kernels hold no lock, so two cores work at once."""

from __future__ import annotations

import queue
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

_AHEAD = 2
_Item = TypeVar("_Item")


def in_step(make: Callable[[], Generator[_Item, None, None]]) -> Generator[_Item, None, None]:
    """What `make()` gives, made when it is asked for, in the thread that asks."""
    return make()


def ahead(make: Callable[[], Generator[_Item, None, None]]) -> Generator[_Item, None, None]:
    """What `make()` gives, a few items ahead of the one who takes them.

    An exception is raised where its item would have been taken. Closing this ends the thread, and closes
    what it iterates.
    """
    items: queue.Queue[tuple[bool, Any]] = queue.Queue(_AHEAD)
    stop = threading.Event()

    def produce() -> None:
        if stop.is_set():
            return  # an interrupt may have come between asking for a thread and having one
        try:
            with closing(make()) as made:
                for item in made:
                    if not _put(items, (True, item), stop):
                        return
            _put(items, (False, None), stop)
        except BaseException as error:  # noqa: BLE001 - raised again where the items are taken
            _put(items, (False, error), stop)

    thread = threading.Thread(target=produce, name="k8scap-ahead", daemon=True)
    try:
        thread.start()
        while True:
            more, item = items.get()
            if not more:
                if item is not None:
                    raise item
                return
            yield item
    finally:
        stop.set()
        if thread.is_alive():
            thread.join()


def _put(items: queue.Queue[Any], item: Any, stop: threading.Event) -> bool:
    while not stop.is_set():
        try:
            items.put(item, timeout=0.1)
        except queue.Full:
            continue
        return True
    return False
