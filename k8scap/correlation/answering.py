"""What two ends of a call say to a question about the way between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.cards.answer import Answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

_STRANGERS = "The captures have no packet in common: they are not the two ends of one call at one time."
_BISECT = "k8scap capture pod/CLIENT node/ITS-NODE pod/SERVER  # a point between tells which half loses them"
_OWN = "k8scap diagnose FILE  # of each end: what is slow is slow at one of them, not between them"
_AGAIN = "k8scap capture pod/CLIENT pod/SERVER  # both ends, started and ended together"


def answered(paths: pd.DataFrame, sentences: Sequence[str], question: str) -> Answer:
    """`paths` is as `columns.PATHS`; the sentences are the evidence."""
    rows = [row for row in paths.to_dict("records") if row["passed"] or row["lost"]]
    if not rows:
        return Answer(question, _STRANGERS, evidence=tuple(sentences), next_step=_AGAIN)
    lossy = [row for row in rows if row["lost"]]
    return Answer(
        question,
        _lost(lossy) if lossy else _whole(rows),
        tone="warning" if lossy else "good",
        evidence=tuple(sentences),
        next_step=_BISECT if lossy else _OWN,
    )


def _lost(rows: Sequence[dict[Any, Any]]) -> str:
    ways = (
        f"{row['from_point']} → {row['to_point']} {row['lost']:,} of "
        f"{row['passed'] + row['lost'] + row['not_captured']:,} packets ({row['loss_percent']:.2g} %)"
        for row in rows
    )
    arrived = [row for row in rows if row["passed"]]
    took = (
        f"{row['from_point']} → {row['to_point']} {row['p50_ms']:.3g} ms in the median" for row in arrived
    )
    late = f" What arrived took {', '.join(took)}." if arrived else ""
    return f"The path between the two loses packets: {', '.join(ways)}.{late}"


def _whole(rows: Sequence[dict[Any, Any]]) -> str:
    ways = (
        f"{row['from_point']} → {row['to_point']} {row['passed']:,}, {row['p50_ms']:.3g} ms in the median"
        for row in rows
    )
    return f"The path between the two loses nothing: {', '.join(ways)}."
