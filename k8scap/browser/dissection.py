"""One frame by Wireshark's dissectors: its tree, and the bytes that the tree's fields are made of."""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from k8scap.browser.filtering import quoted
from k8scap.errors import UnreadableFileError
from k8scap.parser.records import extract
from k8scap.parser.records.reader import RecordReader
from k8scap.parser.reference.tshark import Run, blocks, command

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from k8scap.browser.numbering import Numbering
    from k8scap.parser.source import Source

MOST_NODES = 20_000
MOST_BYTES = 1 << 20
_LONGEST_TEXT = 4_000
_DEEPEST = 60
_LEFT_OUT = frozenset({"geninfo", "frame.time_delta_displayed"})
"""What is of PDML itself, and of the frames that one tshark was asked to show."""
_NO_PROTOCOL = "fake-field-wrapper"
"""What PDML has around fields that stand in no protocol."""
_REASSEMBLY = {"ip.defragment": "TRUE", "ipv6.defragment": "TRUE"}
_HEX = re.compile(r"^([0-9a-f]{4,8})  ((?:[0-9a-f]{2} ){0,15}[0-9a-f]{2})(?:\s|$)")
_SOURCE = re.compile(r"^(.{1,200}) \((\d+) bytes?\):$")


@dataclass(frozen=True)
class Data:
    """Bytes with a name, as Wireshark has them side by side: the frame, what was reassembled, decrypted."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Dissection:
    """A frame's tree, and its bytes: `sources[0]` are the frame's own.

    A node is a dict: `text`; `name` (the field's or protocol's); `filter`, the display filter that it stands
    for; `source`, `start` and `size`, where its bytes lie (`size` 0: nowhere); `nodes`, those below it.
    """

    tree: list[dict[str, Any]]
    sources: list[Data]


def dissect(
    source: Source,
    numbers: npt.NDArray[Any],
    number: int,
    *,
    numbering: Numbering,
    decode_as: Mapping[str, str] | None = None,
) -> Dissection:
    """Frame `number` of a point, dissected among the frames `numbers` (rising, it among them).

    Raises ToolMissingError, and UnreadableFileError where tshark says nothing of the frame.
    """
    folder = Path(tempfile.mkdtemp(prefix="k8scap-"))
    try:
        few = folder / "few.pcapng"
        if extract.write_frames(few, source.files, numbers) == len(numbers):
            path, place = few, int(numbers.searchsorted(number)) + 1
        else:  # a format that only tshark reads
            path, place, numbers = source.path, number, numbers[:0]
        packet = _pdml(path, place, decode_as)
        sources = [Data("Frame", _own_bytes(path, place))]
        if not _explains(sources[0].content, packet):
            sources = _hex(path, place, decode_as)
        reader = _Reader(sources, numbering, numbers)
        return Dissection(reader.nodes(packet), reader.sources)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _pdml(path: Path, place: int, decode_as: Mapping[str, str] | None) -> Any:
    from lxml import etree

    run = Run()
    text = b"".join(blocks(_command(path, ["-2", "-T", "pdml"], place, decode_as), run=run))
    start, end = text.find(b"<packet>"), text.rfind(b"</packet>")
    if start < 0 or end < 0:
        raise UnreadableFileError(
            f"tshark says nothing of this frame: {run.sentence}", path=str(path), next_step="tshark --version"
        )
    parser = etree.XMLParser(recover=True, huge_tree=True, resolve_entities=False, no_network=True)
    return etree.fromstring(text[start : end + len(b"</packet>")], parser)


def _own_bytes(path: Path, place: int) -> bytes:
    """The frame's, as captured; none of a file that only tshark reads."""
    reader = RecordReader([path])
    try:
        for block in reader:
            if place <= reader.frames:
                i = place - 1 - reader.frames + len(block)
                start = int(block.start[i])
                return block.buffer[start : start + int(block.captured[i])].tobytes()
    finally:
        reader.close()
    return b""


def _explains(content: bytes, packet: Any) -> bool:
    """Whether all fields' values stand in the frame itself: nothing was put together or decrypted."""
    return bool(content) and all(
        content[start : start + size] == value
        for element in packet.iter("field")
        for start, size, value in [_bytes_of(element)]
        if value
    )


def _bytes_of(element: Any) -> tuple[int, int, bytes]:
    """Where a field says that it lies, and its raw value; nothing where PDML has another form of it."""
    start, size = _int(element.get("pos")), _int(element.get("size"))
    raw = element.get("unmaskedvalue") or element.get("value") or ""
    try:
        return start, size, bytes.fromhex(raw) if size and len(raw) == 2 * size else b""
    except ValueError:
        return start, size, b""


def _hex(path: Path, place: int, decode_as: Mapping[str, str] | None) -> list[Data]:
    """All that Wireshark has bytes of: tshark prints one dump after another, a name above each."""
    run = Run()
    lines = b"".join(blocks(_command(path, ["-2", "-x"], place, decode_as), run=run))
    found: list[tuple[str, bytearray]] = []
    for line in lines.decode("utf-8", "replace").splitlines():
        if heading := _SOURCE.match(line):
            found.append((heading[1], bytearray()))
        elif row := _HEX.match(line):
            at = int(row[1], 16)
            if not found or (at == 0 and found[-1][1]):
                found.append(("Frame", bytearray()))
            found[-1][1][at : at + 16] = bytes.fromhex(row[2])
    return [Data(name, bytes(content[:MOST_BYTES])) for name, content in found] or [Data("Frame", b"")]


def _command(path: Path, output: list[str], place: int, decode_as: Mapping[str, str] | None) -> list[str]:
    where = f"frame.number == {place}"
    return command(path, output, where=where, preferences=_REASSEMBLY, decode_as=decode_as)


class _Reader:
    """PDML's elements → nodes."""

    def __init__(self, sources: list[Data], numbering: Numbering, numbers: npt.NDArray[Any]) -> None:
        self.sources = sources
        self._numbering = numbering
        self._numbers = numbers
        self._left = MOST_NODES

    def nodes(self, element: Any, depth: int = 0) -> list[dict[str, Any]]:
        found = []
        for child in element:
            name = child.get("name") or ""
            if name in _LEFT_OUT or child.get("hide") == "yes" or self._left <= 0 or depth > _DEEPEST:
                continue
            self._left -= 1
            if name == _NO_PROTOCOL:
                found += self.nodes(child, depth)
            else:
                found.append(self._node(child, name, depth))
        return found

    def _node(self, element: Any, name: str, depth: int) -> dict[str, Any]:
        show = element.get("show") or ""
        text = element.get("showname") or show or name
        text, show = self._numbering.own(name, text, show, self._numbers)
        below = self.nodes(element, depth + 1)
        start, size, value = _bytes_of(element)
        source = self._source(start, size, value, below)
        inside = start >= 0 and start + size <= len(self.sources[source].content)
        return {
            "text": text[:_LONGEST_TEXT],
            "name": name,
            "filter": _filter(element.tag, name, show),
            "source": source,
            "start": start,
            "size": size if inside and name != "frame" else 0,
            "nodes": below,
        }

    def _source(self, start: int, size: int, value: bytes, below: list[dict[str, Any]]) -> int:
        """PDML does not tell which bytes a position counts in: those where the field's value stands."""
        if len(self.sources) == 1:
            return 0
        if value:
            for number, data in enumerate(self.sources):
                if data.content[start : start + size] == value:
                    return number
        sized = [node["source"] for node in below if node["size"]]
        return max(set(sized), key=sized.count) if sized else 0


def _int(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0


_PLAIN_VALUE = re.compile(r"^(-?\d+(\.\d+)?|0x[0-9a-fA-F]+|[0-9a-fA-F:.]*[:.][0-9a-fA-F:.]+)$")


def _filter(tag: str, name: str, show: str) -> str:
    """`tcp.dstport == 443`, `http.host == "a"`; a protocol, or a field without a value, is its name."""
    if not re.fullmatch(r"[A-Za-z][\w.-]*", name):
        return ""
    if tag == "proto" or not show:
        return name
    if _PLAIN_VALUE.match(show):
        return f"{name} == {show}"
    return f"{name} == {quoted(show)}" if show.isprintable() and len(show) <= 200 else name
