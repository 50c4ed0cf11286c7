"""Files that name addresses, told apart by what stands in them."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from k8scap.errors import UnreadableFileError
from k8scap.model import NameEntry, name_entry
from k8scap.names.addresses import is_address
from k8scap.names.kubernetes import kubernetes_entries

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CSV_COLUMNS = ("address", "name", "kind", "namespace", "workload", "node", "zone", "start", "end")
"""In this order, unless a first line that begins with "address" tells another."""

WANTED = "kubectl get pods,svc,nodes,endpointslices -A -o json > names.json"


def read_names(path: str | Path) -> tuple[NameEntry, ...]:
    """Who has which address, by a file's word.

    It is one of: Kubernetes' objects as `kubectl get … -o json` writes them, a hosts file (hosts(5)), a CSV
    of `CSV_COLUMNS`, a manifest of a recording or of a capture. Raises UnreadableFileError, with the line.
    """
    file = Path(path).expanduser()
    text = _text(file)
    if not text.strip():
        _refuse(file, "is empty")
    if text.lstrip().startswith(_YAML):
        _refuse(file, "names no addresses: it is YAML, and JSON is read")
    if text.lstrip()[:1] in ("{", "["):
        return _of_json(file, text)
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    told = [(number, line) for number, line in lines if not line.lstrip().startswith("#")]
    first = told[0][1] if told else ""
    if "," in first and (_is_head(first) or is_address(first.partition(",")[0])):
        return tuple(_of_csv(file, told))
    if not told or is_address(first.split()[0]):
        return tuple(_of_hosts(file, told))
    return _refuse(file, "names no addresses: it is no JSON of kubectl's, no hosts file, no CSV, no manifest")


_YAML = ("apiVersion:", "kind:", "items:", "---")
"""How what `kubectl -o yaml` writes begins."""


def _text(file: Path) -> str:
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise UnreadableFileError(
            f"There is no file {file}.", path=str(file), next_step=f"ls {file.parent}"
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadableFileError(
            f"{file} cannot be read: {reason}.", path=str(file), next_step=f"ls -l {file}"
        ) from None
    if b"\0" in data[:64] and data[:2] not in _UTF16:
        _refuse(file, "is no text: a capture names addresses by the manifest beside it")
    return data.decode("utf-16" if data[:2] in _UTF16 else "utf-8-sig", errors="replace")


_UTF16 = (b"\xff\xfe", b"\xfe\xff")
"""How PowerShell's `>` begins a file."""


def _of_json(file: Path, text: str) -> tuple[NameEntry, ...]:
    try:
        found = list(_documents(text))
    except (ValueError, RecursionError) as error:
        deep = isinstance(error, RecursionError)
        reason = "it is nested too deeply" if deep else str(error).partition(";")[0]
        _refuse(file, f"is broken JSON: {reason}")
    if len(found) == 1 and isinstance(found[0], dict) and {"format", "name", "names"} <= found[0].keys():
        try:
            return tuple(map(name_entry, found[0]["names"]))
        except (TypeError, ValueError, AttributeError):
            _refuse(file, "is a manifest whose names are broken")
    entries = kubernetes_entries(found[0] if len(found) == 1 and isinstance(found[0], list) else found)
    return entries or _refuse(
        file, "names no addresses: no Pod, Service, Node or EndpointSlice with one is in it"
    )


def _documents(text: str) -> Iterator[Any]:
    """One JSON document after the other: `kubectl … >> FILE` puts several into a file."""
    decoder, at = json.JSONDecoder(), 0
    while (at := len(text) - len(text[at:].lstrip())) < len(text):
        document, at = decoder.raw_decode(text, at)
        yield document


def _of_hosts(file: Path, lines: Sequence[tuple[int, str]]) -> Iterator[NameEntry]:
    for number, line in lines:
        words = line.partition("#")[0].split()
        if len(words) < 2 or not is_address(words[0]):
            _refuse(file, f"line {number}: {line.strip()!r:.80} is no address with a name behind it")
        yield NameEntry(address=words[0], name=words[1], source="hosts-file")


def _of_csv(file: Path, lines: Sequence[tuple[int, str]]) -> Iterator[NameEntry]:
    columns: Sequence[str] = CSV_COLUMNS
    if _is_head(lines[0][1]):
        (_, head), *lines = lines
        columns = [name.strip().lower() for name in next(csv.reader([head]))]
        if "name" not in columns:
            _refuse(file, f"line 1: there is no column name among {', '.join(columns)!r:.80}")
    for number, line in lines:
        try:
            cells = dict(zip(columns, next(csv.reader([line], strict=True)), strict=False))
            yield _csv_entry({name: cells.get(name, "").strip() for name in CSV_COLUMNS})
        except (ValueError, csv.Error) as error:
            _refuse(file, f"line {number}: {error}")


def _csv_entry(cells: dict[str, str]) -> NameEntry:
    """Raises ValueError where address, name or a time is none."""
    if not is_address(cells["address"]):
        raise ValueError(f"{cells['address']!r:.80} is no address")
    if not cells["name"]:
        raise ValueError(f"{cells['address']} has no name")
    times = {end: _time(cells[end]) for end in ("start", "end")}
    texts: dict[str, Any] = {name: text for name, text in cells.items() if text and name not in times}
    return NameEntry(**{"source": "csv", **texts, **times})


def _time(text: str) -> datetime | None:
    """A time in ISO 8601; one without a zone is UTC."""
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r:.80} is no time, as 2026-01-31T10:00:00Z is") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _is_head(line: str) -> bool:
    return line.partition(",")[0].strip().strip('"').lower() == "address"


def _refuse(file: Path, what: str) -> NoReturn:
    raise UnreadableFileError(f"{file} {what}.", path=str(file), next_step=WANTED)
