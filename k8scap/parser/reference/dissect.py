"""Any other field, and whole frames as pyshark's packet objects."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from k8scap.errors import UsageError
from k8scap.parser.progress import counting
from k8scap.parser.reference.tshark import Run, blocks, command, lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from k8scap.parser.source import Source

_FORMAT = ("-E", "separator=/t", "-E", "occurrence=a", "-E", "quote=n")
_NEAREST = 3
_NUMBER = "frame.number"


def read_fields(
    source: Source,
    names: Sequence[str],
    *,
    where: str = "",
    decode_as: Mapping[str, str] | None = None,
    preferences: Mapping[str, str] | None = None,
    aggregator: str = ",",
) -> pd.DataFrame:
    """Wireshark fields of every frame that `where` lets pass, as Wireshark prints them.

    Returns one row a frame, indexed by `number`, one string column a field; several occurrences in one
    frame are joined by the `aggregator`, an absent field is NaN. Raises UsageError for a name that is no
    field.
    """
    import pandas as pd

    names = list(dict.fromkeys(names))
    _refuse_malformed(names)
    asked = [
        name for name in names if name != _NUMBER
    ]  # tshark prints a field once, however often it is asked
    form = [*_FORMAT, "-E", f"aggregator={aggregator}"]
    output = ["-T", "fields", *form, *(w for name in (_NUMBER, *asked) for w in ("-e", name))]
    run = Run()
    rows: list[list[str | None]] = []
    argv = command(source.path, output, where=where, preferences=preferences, decode_as=decode_as)
    total = None if where else source.records
    with counting(total) as count, closing(lines(argv, run=run)) as printed:
        for block in printed:
            before = len(rows)
            rows += map(_cells, block.decode("utf-8", "replace").split("\n")[:-1])
            count(len(rows) - before)
    _refuse_unknown(run, names)
    source.remember(run)
    columns = list(zip(*rows, strict=True)) or [()] * (1 + len(asked))
    index = pd.Index([int(number or 0) for number in columns[0]], name="number", dtype="int64")
    told = dict(zip((_NUMBER, *asked), columns, strict=True))
    return pd.DataFrame({name: pd.array(told[name], dtype="str") for name in names}, index=index)


def _cells(line: str) -> list[str | None]:
    return [cell or None for cell in line.split("\t")]


def read_packet(source: Source, number: int, *, decode_as: Mapping[str, str] | None = None) -> Any:
    """One frame as a pyshark packet object, dissected with all that went before it.

    Raises UsageError where the point has no frame of that number.
    """
    from pyshark.tshark.output_parser.tshark_xml import packet_from_xml_packet

    run = Run()
    argv = command(
        source.path,
        ["-T", "pdml", "-c", str(int(number))],
        where=f"frame.number == {int(number)}",
        decode_as=decode_as,
    )
    text = b"".join(blocks(argv, run=run)) if number > 0 else b""
    start, end = text.find(b"<packet>"), text.rfind(b"</packet>")
    if start < 0 or end < 0:
        raise UsageError(
            f"There is no frame {number} in {source.point}.",
            next_step="cap.packets.index holds the numbers there are.",
        )
    return packet_from_xml_packet(text[start : end + len(b"</packet>")])


def _refuse_malformed(names: Sequence[str]) -> None:
    """Before tshark is given them: a NUL cannot be, and an empty name is no name."""
    for name in names:
        if not name.isascii() or not name.isprintable() or not name.strip():
            raise UsageError(f"{name!r} is no field's name.", next_step="tshark -G fields | grep NAME")


def _refuse_unknown(run: Run, names: Sequence[str]) -> None:
    """Tshark lists the fields that it does not know, one a line, after one sentence."""
    said = "\n".join(run.complaints)
    unknown = [name for name in names if name in run.complaints]
    if run.returncode and "fields aren't valid" in said:
        near = "; ".join(f"near {name}: {', '.join(_near(name)) or 'nothing'}" for name in unknown)
        raise UsageError(
            f"Wireshark has no field {', '.join(unknown) or ', '.join(names)} ({near}).",
            next_step="tshark -G fields | grep NAME",
        )


def _near(name: str) -> list[str]:
    """Fields of about that name."""
    import difflib

    from k8scap.runner import LocalRunner

    listed = LocalRunner().run(["tshark", "-G", "fields"]).stdout.decode("utf-8", "replace")
    fields = [row.split("\t")[2] for row in listed.splitlines() if row.startswith("F\t")]
    protocol = name.partition(".")[0]
    same = [field for field in fields if field.partition(".")[0] == protocol]
    return difflib.get_close_matches(name, same or fields, n=_NEAREST)
