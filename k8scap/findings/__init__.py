"""What the tables say went wrong: one rule a file, each with its evidence and the next command to type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.findings.bad_checksums import bad_checksums
from k8scap.findings.case import PACKET_COLUMNS, Case
from k8scap.findings.checksum_offload import checksum_offload
from k8scap.findings.connect_timeout import connect_timeout
from k8scap.findings.connection_churn import connection_churn
from k8scap.findings.connection_leak import connection_leak
from k8scap.findings.connection_refused import connection_refused
from k8scap.findings.connection_reset import connection_reset
from k8scap.findings.delayed_ack import delayed_ack
from k8scap.findings.dns_failure import dns_failure
from k8scap.findings.dns_search_waste import dns_search_waste
from k8scap.findings.dns_timeout import dns_timeout
from k8scap.findings.duplicate_capture import duplicate_capture
from k8scap.findings.duplicate_packets import duplicate_packets
from k8scap.findings.half_open import half_open
from k8scap.findings.http_errors import http_errors
from k8scap.findings.listen_queue_overflow import listen_queue_overflow
from k8scap.findings.mtu_black_hole import mtu_black_hole
from k8scap.findings.packet_loss import packet_loss
from k8scap.findings.reordering import reordering
from k8scap.findings.slow_endpoint import slow_endpoint
from k8scap.findings.slow_proxy import slow_proxy
from k8scap.findings.slow_reader import slow_reader
from k8scap.findings.slow_sender import slow_sender
from k8scap.findings.slow_server import slow_server
from k8scap.findings.super_packets import super_packets
from k8scap.findings.tls_failure import tls_failure
from k8scap.findings.verdict import order
from k8scap.schema import require

if TYPE_CHECKING:
    from collections.abc import Callable

    from k8scap.model import Finding

__all__ = ["RULES", "Case", "judge"]

RULES: tuple[Callable[[Case], list[Finding]], ...] = (
    packet_loss,
    mtu_black_hole,
    half_open,
    slow_server,
    slow_endpoint,
    slow_reader,
    slow_sender,
    connect_timeout,
    listen_queue_overflow,
    connection_refused,
    connection_churn,
    connection_leak,
    connection_reset,
    dns_timeout,
    delayed_ack,
    reordering,
    duplicate_packets,
    slow_proxy,
    bad_checksums,
    checksum_offload,
    duplicate_capture,
    super_packets,
    dns_failure,
    dns_search_waste,
    tls_failure,
    http_errors,
)


def judge(case: Case) -> list[Finding]:
    """Every rule's answers at every capture point: found, worst first; then not judged; then ruled out.

    Raises SchemaError where the packets table lacks a column that a rule needs.
    """
    require(case.packets, PACKET_COLUMNS, what="diagnose")
    here = (case.at(point) for point in case.points)  # one each: rules share what it remembers
    answers = [finding for there in here for rule in RULES for finding in rule(there)]
    return sorted(answers, key=order)
