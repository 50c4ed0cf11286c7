"""What the tables say went wrong: one rule a file, each with its evidence and the next command to type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.findings.bad_checksums import bad_checksums
from k8scap.findings.case import PACKET_COLUMNS, Case
from k8scap.findings.checksum_offload import checksum_offload
from k8scap.findings.connection_refused import connection_refused
from k8scap.findings.dns_timeout import dns_timeout
from k8scap.findings.duplicate_capture import duplicate_capture
from k8scap.findings.packet_loss import packet_loss
from k8scap.findings.slow_proxy import slow_proxy
from k8scap.findings.slow_reader import slow_reader
from k8scap.findings.slow_server import slow_server
from k8scap.findings.super_packets import super_packets
from k8scap.findings.verdict import order
from k8scap.schema import require

if TYPE_CHECKING:
    from collections.abc import Callable

    from k8scap.model import Finding

__all__ = ["RULES", "Case", "judge"]

RULES: tuple[Callable[[Case], list[Finding]], ...] = (
    packet_loss,
    slow_server,
    slow_reader,
    connection_refused,
    dns_timeout,
    slow_proxy,
    bad_checksums,
    checksum_offload,
    duplicate_capture,
    super_packets,
)


def judge(case: Case) -> list[Finding]:
    """Every rule's answers at every capture point: found, worst first; then not judged; then ruled out.

    Raises SchemaError where the packets table lacks a column that a rule needs.
    """
    require(case.packets, PACKET_COLUMNS, what="diagnose")
    cases = (case.at(point) for point in case.points)
    answers = [finding for here in cases for rule in RULES for finding in rule(here)]
    return sorted(answers, key=order)
