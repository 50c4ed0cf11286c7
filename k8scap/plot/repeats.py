"""How the views draw a segment that was sent before, by why it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8scap.plot.canvas import ALARM, OTHERS, literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd


@dataclass(frozen=True)
class Style:
    """Colour and marker of a kind of repeats, what it means in words, and whether a copy was lost before."""

    color: str
    marker: str
    words: str
    lost: bool = False


_TIMEOUT = Style(ALARM, "X", "timeout: nobody asked for it", lost=True)

STYLES = {
    "timeout": _TIMEOUT,
    "rto": _TIMEOUT,
    "tail_probe": Style("#E69F00", "v", "tail loss probe: a guess that it was lost", lost=True),
    "fast": Style("#0072B2", "o", "fast: the receiver asked for it", lost=True),
    "syn": Style("#000000", "s", "SYN again: connecting waited", lost=True),
    "fin": Style("#CC79A7", "D", "FIN again", lost=True),
    "spurious": Style("#56B4E9", "^", "spurious: it had arrived already"),
    "reordering": Style("#009E73", "<", "reordering: late, not lost"),
    "duplicate_capture": Style("#BBBBBB", "d", "captured twice, sent once"),
    "keep_alive": Style("#BBBBBB", "p", "keep-alive"),
    "ambiguous": Style(OTHERS, "P", "ambiguous: repeated or reordered"),
}
"""By `loss_class`, and by `kind` where a table knows no better."""


def classes(table: pd.DataFrame) -> pd.Series:
    """Why each row of a retransmissions table was sent again, as text."""
    column = "loss_class" if "loss_class" in table else "kind"
    return table[column].astype("object").fillna("ambiguous")


def styled(values: pd.Series) -> Iterator[tuple[Style, pd.Series]]:
    """Each style that is met in `classes`, in the order of `STYLES`, and which rows it holds for."""
    for name, style in STYLES.items():
        mine = values == name
        if mine.any():
            yield style, mine
    for name in sorted(set(values) - STYLES.keys(), key=str):
        yield Style(OTHERS, "P", literal(str(name))), values == name
