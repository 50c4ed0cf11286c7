"""Views: a capture, or the table that one needs, and `ax=None` → matplotlib Axes.

None shows itself, and none changes matplotlib's global style.
"""

from k8scap.plot.conversations import conversations
from k8scap.plot.latency import latency
from k8scap.plot.latency_ecdf import latency_ecdf
from k8scap.plot.retransmissions import retransmissions
from k8scap.plot.throughput import throughput
from k8scap.plot.time_sequence import time_sequence

__all__ = [
    "conversations",
    "latency",
    "latency_ecdf",
    "retransmissions",
    "throughput",
    "time_sequence",
]
