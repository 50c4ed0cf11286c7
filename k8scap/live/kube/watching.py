"""A watch: the changes that an API server sends, a JSON object a line."""

from __future__ import annotations

import contextlib
import json
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST_LINE = 64 << 20  # an object is at most 1.5 MiB, by etcd's limit
_READ_BYTES = 1 << 16


class Watch:
    """Iterate over (type, object); it ends when the server ends it, or the connection, or `close`."""

    def __init__(self, response: Any) -> None:
        self._response = response

    def __iter__(self) -> Iterator[tuple[str, dict[str, Any]]]:
        import urllib3

        rest = b""
        try:
            while data := self._response.read1(_READ_BYTES):
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    if change := _change(line):
                        yield change
                if len(rest) > _LONGEST_LINE:
                    return
        except (urllib3.exceptions.HTTPError, OSError, ValueError, AttributeError):
            return  # whoever watches lists again, and goes on
        finally:
            self.close()

    def close(self) -> None:
        """End it, from whichever thread."""
        with contextlib.suppress(Exception):
            sock = getattr(getattr(self._response, "connection", None), "sock", None)
            if sock is not None:
                sock.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(Exception):
            self._response.close()


def _change(line: bytes) -> tuple[str, dict[str, Any]] | None:
    try:
        told = json.loads(line)
        kind, changed = told["type"], told["object"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return (str(kind), changed) if isinstance(changed, dict) else None
