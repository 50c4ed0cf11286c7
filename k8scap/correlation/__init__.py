"""The same packets at several capture points: clocks set right, one-way delays, where packets were lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.correlation.result import Correlation

if TYPE_CHECKING:
    from k8scap.correlation.points import Captured

__all__ = ["Correlation", "correlate"]


def correlate(*captures: Captured) -> Correlation:
    """Compare the points of one capture, or of several: `correlate(cap)`, `correlate(client, server)`.

    Packets are told to be the same by what survives NAT: raw sequence and acknowledgment numbers,
    timestamps, flags and lengths in TCP, the payload's first bytes in UDP, and the IP identification where it
    is left alone. Clocks need not agree: offset and drift are estimated from the fastest packets of either
    direction. The result has the tables `packets` (with one-way delays), `missing` (each packet that one
    point has and the other has not: lost between them, missed by a capture, …), `connections`, `clocks` and
    `paths`. Of more than two points those that stand next to each other are compared.

    Raises UsageError for fewer than two points, SchemaError where the captures were loaded without needed
    columns, and what reading the files raises.
    """
    from k8scap.correlation.chain import legs
    from k8scap.correlation.points import points_of

    points, addresses = points_of(captures)
    return Correlation(legs(points), [point.name for point in points], addresses)
