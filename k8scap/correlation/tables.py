"""Legs → tables: packets seen at both points, packets missing at one, connections, clocks, paths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.correlation.columns import CLOCKS, CONNECTIONS, MISSING, PACKETS, PATHS
from k8scap.correlation.missing import LOST, NOT_CAPTURED, REASONS, VERDICTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from k8scap.correlation.leg import Leg, Point
    from k8scap.correlation.missing import Missing
    from k8scap.correlation.trace import Trace
    from k8scap.schema import Column

    Ints = npt.NDArray[np.int64]


def packets(legs: Sequence[Leg], points: Sequence[str], addresses: pd.Index) -> pd.DataFrame:
    """Every packet seen at both points of a leg: `PACKETS`, by leg and time at a."""
    import numpy as np

    def of(leg: Leg) -> dict[str, Any]:
        order = np.argsort(leg.a.trace.time[leg.matches.a], kind="stable")
        a, b = leg.a.trace.take(leg.matches.a[order]), leg.b.trace.take(leg.matches.b[order])
        return {
            **_constant(leg, len(order), points),
            "number_a": a.number,
            "number_b": b.number,
            "time": a.time,
            "stream_a": a.stream,
            "stream_b": b.stream,
            **_shown(a),
            "payload_length": a.payload,
            **_passing(leg.a, leg.b, leg.way[order], points),
            "delay_ms": leg.delay_ns[order] / 1e6,
        }

    return _table(PACKETS, map(of, legs), points, addresses)


def missing(legs: Sequence[Leg], points: Sequence[str], addresses: pd.Index) -> pd.DataFrame:
    """Every packet that one point of a leg has and the other has not: `MISSING`, by leg, point and frame."""
    import numpy as np

    def of(here: Point, there: Point, lacking: Missing) -> dict[str, Any]:
        from k8scap.correlation.trace import TCP
        from k8scap.tables.assembly import ABSENT

        order = np.argsort(here.trace.number[lacking.rows], kind="stable")
        seen = here.trace.take(lacking.rows[order])
        return {
            "point": np.full(len(order), points.index(here.name)),
            "absent_at": np.full(len(order), points.index(there.name)),
            "number": seen.number,
            "time": seen.time,
            "stream": seen.stream,
            **_shown(seen),
            "seq": np.where(seen.protocol == TCP, seen.seq, ABSENT),
            "payload_length": seen.payload,
            **_passing(here, there, lacking.way[order], points),
            "verdict": lacking.verdict[order],
            "reason": lacking.reason[order],
            "confidence": lacking.confidence[order],
        }

    both = [
        side for leg in legs for side in ((leg.a, leg.b, leg.missing_at_b), (leg.b, leg.a, leg.missing_at_a))
    ]
    return _table(MISSING, (of(*side) for side in both), points, addresses)


def connections(legs: Sequence[Leg], points: Sequence[str], addresses: pd.Index) -> pd.DataFrame:
    """Which conversation at one point is which at the other: `CONNECTIONS`, by leg and a's order."""
    import numpy as np

    def of(leg: Leg) -> dict[str, Any]:
        a, b = leg.a.trace, leg.b.trace
        pair = a.conversation[leg.matches.a] * max(b.conversations, 1) + b.conversation[leg.matches.b]
        _, index, count = np.unique(pair, return_index=True, return_counts=True)
        first, second = leg.matches.a[index], leg.matches.b[index]
        turn = ~a.forward[first]
        ends = {}
        for name, trace, row in (("a", a, first), ("b", b, second)):
            sent = (trace.sender[row], trace.sender_port[row])
            got = (trace.receiver[row], trace.receiver_port[row])
            for key, one, other in (("src", sent, got), ("dst", got, sent)):
                ends[f"{key}_{name}"] = np.where(turn, other[0], one[0])
                ends[f"{key}_port_{name}"] = _port(np.where(turn, other[1], one[1]))
        differs = [ends[f"{key}_a"] != ends[f"{key}_b"] for key in ("src", "dst", "src_port", "dst_port")]
        return {
            **_constant(leg, len(index), points),
            "protocol": a.protocol[first],
            "stream_a": a.stream[first],
            "stream_b": b.stream[second],
            **ends,
            "rewritten": np.logical_or.reduce(differs),
            "packets": count,
        }

    return _table(CONNECTIONS, map(of, legs), points, addresses)


def clocks(legs: Sequence[Leg], points: Sequence[str]) -> pd.DataFrame:
    """How far apart the points' clocks are: `CLOCKS`, a row a leg."""
    import numpy as np

    from k8scap.tables.assembly import ABSENT

    def of(leg: Leg) -> dict[str, Any]:
        found = leg.clock
        told = found is not None and np.isfinite(found.either_ns)
        values = (
            {
                "offset_ms": found.offset_ns / 1e6,
                "noise_ms": found.noise_ns / 1e6,
                "asymmetry_ms": found.either_ns / 1e6,
                "drift_ppm": found.drift * 1e6,
                "drift_error_ppm": found.drift_error * 1e6,
            }
            if found and told
            else dict.fromkeys(
                ("offset_ms", "noise_ms", "asymmetry_ms", "drift_ppm", "drift_error_ppm"), np.nan
            )
        )
        return {
            **_constant(leg, 1, points),
            "packets": np.array([len(leg.matches)]),
            "time": np.array([found.when_ns if found else ABSENT]),
            "stepped": np.array([bool(found and found.stepped)]),
            **{name: np.array([value]) for name, value in values.items()},
        }

    return _table(CLOCKS, map(of, legs), points, None)


def paths(legs: Sequence[Leg], points: Sequence[str]) -> pd.DataFrame:
    """Delay and loss of each leg and direction: `PATHS`."""
    import numpy as np

    def of(leg: Leg, way: int) -> dict[str, Any]:
        delays = leg.delay_ns[leg.way == way] / 1e6
        finite = delays[np.isfinite(delays)]
        marks = np.percentile(finite, [0, 50, 90, 99, 100]) if len(finite) else np.full(5, np.nan)
        downstream = (leg.missing_at_b, leg.missing_at_a)[::way][0]
        upstream = (leg.missing_at_b, leg.missing_at_a)[::way][1]
        lost = int((downstream.verdict[downstream.way > 0] == LOST).sum())
        missed = int((downstream.verdict[downstream.way > 0] == NOT_CAPTURED).sum())
        missed += int((upstream.verdict[upstream.way < 0] == NOT_CAPTURED).sum())
        sent = len(delays) + missed + lost
        first, then = (leg.a, leg.b)[::way]
        return {
            "from_point": np.array([points.index(first.name)]),
            "to_point": np.array([points.index(then.name)]),
            "passed": np.array([len(delays)]),
            "lost": np.array([lost]),
            "loss_percent": np.array([100 * lost / sent if sent else np.nan]),
            "not_captured": np.array([missed]),
            **{
                f"{name}_ms": np.array([mark])
                for name, mark in zip(("min", "p50", "p90", "p99", "max"), marks, strict=True)
            },
        }

    return _table(PATHS, (of(leg, way) for leg in legs for way in (1, -1)), points, None)


def _constant(leg: Leg, count: int, points: Sequence[str]) -> dict[str, Ints]:
    import numpy as np

    ends = {"point_a": leg.a.name, "point_b": leg.b.name}
    return {name: np.full(count, points.index(point)) for name, point in ends.items()}


def _shown(seen: Trace) -> dict[str, Ints]:
    return {
        "protocol": seen.protocol,
        "src": seen.sender,
        "src_port": _port(seen.sender_port),
        "dst": seen.receiver,
        "dst_port": _port(seen.receiver_port),
    }


def _port(ports: Ints) -> Ints:
    import numpy as np

    from k8scap.tables.assembly import ABSENT

    return np.where(ports < 0, ABSENT, ports)


def _passing(here: Point, there: Point, way: Ints, points: Sequence[str]) -> dict[str, Ints]:
    """`from_point` and `to_point` of packets that go from here to there (1), the other way (-1), or 0."""
    import numpy as np

    mine, other = points.index(here.name), points.index(there.name)
    first = np.where(way > 0, mine, np.where(way < 0, other, -1))
    then = np.where(way > 0, other, np.where(way < 0, mine, -1))
    return {"from_point": first, "to_point": then}


def _table(
    columns: Sequence[Column],
    parts: Iterable[dict[str, Any]],
    points: Sequence[str],
    addresses: pd.Index | None,
) -> pd.DataFrame:
    """One table of all parts; categories are given as codes into what `_words` says of the column."""
    import numpy as np
    import pandas as pd

    from k8scap.tables.assembly import assemble

    several = list(parts)
    values: dict[str, Any] = {}
    for column in columns:
        pieces = [part[column.name] for part in several]
        whole = np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.int64)
        if column.dtype == "category":
            words, codes = _words(column.name, whole, points, addresses)
            values[column.name] = pd.Categorical.from_codes(codes, categories=pd.Index(words))
        else:
            values[column.name] = whole
    return assemble(columns, values)


def _words(
    name: str, codes: Ints, points: Sequence[str], addresses: pd.Index | None
) -> tuple[Sequence[str] | pd.Index, Ints]:
    import numpy as np

    from k8scap.correlation.trace import PROTOCOLS

    if name == "protocol":
        place = np.full(256, -1)
        place[list(PROTOCOLS)] = np.arange(len(PROTOCOLS))
        return list(PROTOCOLS.values()), place[codes]
    if name in {"verdict", "reason"}:
        return (VERDICTS if name == "verdict" else REASONS), codes
    if addresses is not None and name.startswith(("src", "dst")):
        return addresses, codes
    return list(points), codes
